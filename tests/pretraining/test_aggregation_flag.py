"""The modes of aggregation, from the configuration to a training run."""

import dataclasses
import json
import os

import pytest
from built_sets import write_set

from selfsup.common import config_file
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid import assignment
from selfsup.pretraining import (
    configuration,
    devices,
    pretrained_trunk,
    pretraining_run,
)

TASKS = ("rotation", "colorization")
_SMALL = (
    "rotation.batch_size=3",
    "rotation.image_size=32",
    "colorization.batch_size=2",
    "colorization.image_size=32",
    "colorization.head_channels=8",
)


def _config(mode, **options):
    options = {"task_overrides": _SMALL, "steps": 3, **options}
    config = configuration.resolve("tiny", TASKS, aggregation=mode, **options)
    return dataclasses.replace(config, log_steps=1, validation_batches=1)


def test_an_unknown_mode_is_refused_with_the_known_modes():
    with pytest.raises(UserError, match="'allreduce'; known: async, hybrid, sync"):
        _config("allreduce")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": ["rotation=2"]}, "the same weight; task_weights gives rot"),
        (
            {"task_overrides": ["rotation.learning_rate=0.5"]},
            "the same learning rate; .* rotation 0.5, colorization 0.0003",
        ),
    ],
)
def test_a_joint_step_needs_equal_weights_and_learning_rates(options, message):
    with pytest.raises(UserError, match=f"^aggregation=sync: all tasks .* {message}"):
        _config("sync", **options)
    assert _config("hybrid", **options).aggregation == "hybrid"


def test_a_run_does_not_change_its_mode(tmp_path):
    configuration.save_or_compare(_config("sync"), str(tmp_path))
    assert config_file.read(str(tmp_path))["aggregation"] == "sync"
    with pytest.raises(UserError, match="aggregation was 'sync', now 'async'"):
        configuration.save_or_compare(_config("async"), str(tmp_path))


def test_a_run_stored_without_a_mode_is_hybrid(tmp_path):
    configuration.save_or_compare(_config("hybrid"), str(tmp_path))
    path = tmp_path / config_file.FILE_NAME
    stored = json.loads(path.read_text())
    del stored["aggregation"]
    path.write_text(json.dumps(stored))
    configuration.save_or_compare(_config("hybrid"), str(tmp_path))
    path.write_text(json.dumps(stored))
    with pytest.raises(UserError, match="aggregation was 'hybrid', now 'sync'"):
        configuration.save_or_compare(_config("sync"), str(tmp_path))


def test_fields_missing_in_a_stored_configuration_have_their_defaults(tmp_path):
    path = tmp_path / config_file.FILE_NAME
    configuration.save_or_compare(_config("hybrid"), str(tmp_path))
    stored = json.loads(path.read_text())
    del stored["trunk"]["phases"], stored["tasks"]["colorization"]["temperature"]
    path.write_text(json.dumps(stored))
    more = [*_SMALL, "colorization.temperature=0.5"]
    with pytest.raises(UserError, match=r"colorization.temperature was 0.38, now 0.5"):
        configuration.save_or_compare(
            _config("hybrid", task_overrides=more), str(tmp_path)
        )
    with pytest.raises(UserError, match=r"trunk.phases was True, now False"):
        off = ["phases=false"]
        configuration.save_or_compare(
            _config("hybrid", trunk_overrides=off), str(tmp_path)
        )
    configuration.save_or_compare(_config("hybrid"), str(tmp_path))
    assert json.loads(path.read_text())["trunk"]["phases"] is True


def test_another_task_is_another_run(tmp_path):
    single = configuration.resolve("tiny", ["rotation"])
    configuration.save_or_compare(single, str(tmp_path))
    both = configuration.resolve("tiny", ["rotation", "relative_position"])
    with pytest.raises(UserError, match=r"relative_position.gap was None, now 24"):
        configuration.save_or_compare(both, str(tmp_path))


def test_an_asynchronous_step_costs_one_replicas_batch():
    costs, replicas = dict.fromkeys(TASKS, 1.0), dict.fromkeys(TASKS, 2)
    expected = {
        mode: _config(mode, end_cost=20.0, steps=100).expected_steps(
            costs, replicas, takes_turns=False
        )
        for mode in assignment.AGGREGATIONS
    }
    assert expected["sync"] == dict.fromkeys(TASKS, 5)
    assert expected["hybrid"] == dict.fromkeys(TASKS, 10)
    assert expected["async"] == dict.fromkeys(TASKS, 20)


def test_on_a_single_device_sync_trains_all_tasks_and_async_is_refused():
    assigned = devices.local_assignment(_config("sync"), [], 0)
    assert assigned.groups == dict.fromkeys(TASKS, ("/CPU:0",))
    assert devices.local_assignment(_config("hybrid"), [], 0).takes_turns
    with pytest.raises(
        UserError, match=r"aggregation 'async': .* /CPU:0 is the only device"
    ):
        devices.local_assignment(_config("async"), [], 0)


def test_each_replica_has_its_own_batch_and_the_total_is_printed(monkeypatch):
    monkeypatch.setattr(
        devices, "_split_cpu", lambda count: ("/CPU:0", "/CPU:1")[:count]
    )
    overrides = ["exemplar.batch_size=5"]
    config = configuration.resolve("tiny", ["exemplar"], task_overrides=overrides)
    assigned = devices.local_assignment(config, [], 2)
    assert assigned.groups == {"exemplar": ("/CPU:0", "/CPU:1")}
    message = "exemplar on /CPU:0, /CPU:1: 2 replicas x 5 = 10 examples per step"
    assert devices.describe(assigned, config) == message
    turns = devices.describe(assignment.taking_turns(config.tasks), config)
    assert turns == (
        "the tasks take turns on one device\nexemplar: 5 examples per step"
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("data"))
    write_set(folder, [6, 3], splits=["train", "validation"], size=(64, 64))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_run_of_each_mode_trains_and_resumes(data, tmp_path, mode):
    workers = {"rotation": ("/CPU:1", "/CPU:2"), "colorization": ("/CPU:3",)}
    assigned = assignment.Assignment(workers, ("/CPU:0",))
    for steps in (3, 5):
        run = pretraining_run.PretrainingRun(
            _config(mode, steps=steps), data, str(tmp_path), assigned
        )
        assert run.run(StopSignals())
        assert run.engine.steps() == dict.fromkeys(TASKS, steps)
    store = pretrained_trunk.checkpoint_store(str(tmp_path))
    state = store.read_state(store.latest())["groups"]["rotation"]
    assert state["steps"] == 5 and ("workers" in state) == (mode == "async")
    assert os.path.exists(tmp_path / "validation.json")
