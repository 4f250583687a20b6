import dataclasses

import pytest

from selfsup.common import config_file
from selfsup.common.errors import UserError
from selfsup.data import records
from selfsup.pretraining import configuration, presets
from selfsup.tasks import REGISTRY, task_class


def _resolve(**options):
    return configuration.resolve("tiny", ["colorization", "rotation"], **options)


def test_presets_and_overrides():
    config = _resolve(
        task_overrides=["colorization.learning_rate=0.5", "rotation.batch_size=3"],
        trunk_overrides=["phases=false"],
        steps=7,
    )
    assert config.tasks["colorization"].learning_rate == 0.5
    assert config.tasks["rotation"].batch_size == 3
    assert (config.trunk.depth, config.trunk.phases) == ("tiny", False)
    assert config.steps == 7


def test_paper_preset_is_the_papers_network():
    config = configuration.resolve("paper", ["colorization", "relative_position"])
    assert config.trunk.depth == "101"
    assert config.trunk.output_stride == 8
    # The cost clock runs in the paper's GPU hours.
    assert (config.snapshot_cost, config.end_cost) == (2400.0, 16800.0)
    assert config.tasks["colorization"].head_channels == 4096
    assert config.tasks["relative_position"].fc_bottleneck_channels == 512


def test_harmonize_reaches_the_tasks_that_have_it():
    names = ["relative_position", "colorization"]
    config = configuration.resolve("tiny", names, harmonize=True)
    assert config.tasks["relative_position"].harmonize
    assert not configuration.resolve("tiny", names).tasks["relative_position"].harmonize


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_overrides": ["colorization.bin=3"]}, "unknown 'bin'; known: .*bins"),
        ({"task_overrides": ["exemplar.margin=1"]}, "unknown 'exemplar'; known: color"),
        ({"task_overrides": ["colorization=3"]}, "expected TASK.KEY=VALUE"),
        ({"task_overrides": ["rotation.batch_size=x"]}, "expected int, got 'x'"),
        ({"task_overrides": ["rotation.batch_size="]}, "expected TASK.KEY=VALUE"),
        ({"trunk_overrides": ["deep=1"]}, "unknown 'deep'; known: depth"),
        ({"trunk_overrides": ["depth=7"]}, "depth"),
        ({"trunk_overrides": ["phases=maybe"]}, "expected bool, got 'maybe'"),
        ({"trunk_overrides": ["output_stride=16"]}, "each task has its own output"),
        ({"harmonize": True}, "none of colorization, rotation has this option"),
        (
            {"task_overrides": ["rotation.batch_size=1"]},
            r"rotation.batch_size=1: expected 2 or more photos .*batch_size=2 or more",
        ),
        ({"task_overrides": ["rotation.learning_rate=-1"]}, "expected more than 0"),
        (
            {"task_overrides": ["rotation.learning_rate=nan"]},
            "expected float, got 'nan'",
        ),
        ({"weights": ["rotation=inf"]}, "expected float, got 'inf'"),
        ({"weights": ["exemplar=2"]}, "unknown 'exemplar'"),
        ({"weights": ["rotation=0"]}, "above 0"),
        (
            {"task_overrides": ["rotation.step_cost=2"], "costs": "measured"},
            "^costs=measured: .* not for colorization. .* give "
            "task_set=colorization.step_cost=SECONDS too$",
        ),
        ({"costs": "free"}, "unknown 'free'; known: measured, multiply_adds, paper"),
        ({"rmsprop": "adam"}, "unknown 'adam'; known: scale_invariant, slim"),
    ],
)
def test_bad_flags_say_what_was_expected(options, message):
    with pytest.raises(UserError, match=message):
        _resolve(**options)


@pytest.mark.parametrize("names", [[], ["rotation", "rotation"]])
def test_tasks_are_distinct_and_at_least_one(names):
    message = r"^tasks: (give at least one|rotation is listed twice)"
    with pytest.raises(UserError, match=message):
        configuration.resolve("tiny", names)


def test_unknown_task_lists_the_registered():
    with pytest.raises(
        UserError, match=r"unknown task 'jigsaw'; tasks are: .*exemplar"
    ):
        configuration.resolve("tiny", ["jigsaw"])


def test_the_presets_say_what_tasks_need():
    def needing(has):
        return [name for name in REGISTRY if has(task_class(name))]

    videos = needing(lambda task: set(task.features) & set(records.VIDEO_FEATURES))
    kept = [name for name in presets.DEFAULT_TASKS if name not in videos]
    assert presets.default_tasks(videos=False) == tuple(kept)
    assert presets.default_tasks(videos=True) == presets.DEFAULT_TASKS
    colors = needing(lambda task: hasattr(task.Config, "prior_file"))
    expected = tuple(f"{name}.prior_file" for name in colors)
    assert (
        presets.color_prior_fields(REGISTRY) == expected == ("colorization.prior_file",)
    )


def test_steps_of_a_task_are_in_proportion_to_its_weight():
    config = _resolve(weights=["rotation=2.5"], steps=10)
    assert config.planned_steps() == {"colorization": 10, "rotation": 25}
    # Nothing ends the run earlier.
    for takes_turns in (True, False):
        expected = config.expected_steps({}, {}, takes_turns)
        assert expected == config.planned_steps()


COSTS = {"colorization": 2.0, "exemplar": 1.0}
ONE = dict.fromkeys(COSTS, 1)


def _with_end(mode="hybrid", weights=("exemplar=2",)):
    return configuration.resolve(
        "paper", list(COSTS), weights=weights, end_cost=100.0, aggregation=mode
    )


def test_the_end_of_the_cost_clock_limits_the_expected_steps():
    expected = _with_end().expected_steps(COSTS, ONE, takes_turns=True)
    assert expected == {"colorization": 25, "exemplar": 50}


def test_the_clock_holds_parallel_tasks_to_no_proportion():
    """A quick task may use the cost that a slow task leaves."""
    expected = _with_end().expected_steps(COSTS, ONE, takes_turns=False)
    assert expected == {"colorization": 50, "exemplar": 100}
    together = _with_end("sync", weights=())
    expected = together.expected_steps(COSTS, ONE, takes_turns=False)
    assert expected == {"colorization": 34, "exemplar": 34}


def test_each_replica_of_a_step_costs():
    replicas = {"colorization": 5, "exemplar": 4}
    expected = _with_end().expected_steps(COSTS, replicas, takes_turns=False)
    assert expected == {"colorization": 10, "exemplar": 25}
    # Each step is the step of one worker.
    config = _with_end("async")
    expected = config.expected_steps(COSTS, replicas, takes_turns=False)
    assert expected == {"colorization": 50, "exemplar": 100}


def test_a_folder_of_another_run_is_refused(tmp_path):
    config = _resolve(steps=7)
    configuration.save_or_compare(config, str(tmp_path))
    configuration.save_or_compare(dataclasses.replace(config, steps=9), str(tmp_path))
    assert config_file.read(str(tmp_path))["steps"] == 9
    other = _resolve(steps=9, task_overrides=["rotation.batch_size=3"])
    with pytest.raises(UserError, match=r"tasks.rotation.batch_size was \d+, now 3"):
        configuration.save_or_compare(other, str(tmp_path))


def test_no_config(tmp_path):
    with pytest.raises(UserError, match=r"config.json: not the config"):
        config_file.read(str(tmp_path))
