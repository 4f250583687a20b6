"""The plan of a quickstart: its commands, its inputs, and what it refuses."""

import json
import pathlib
import re
import shlex

import pytest

from launch.pipeline import execution, inputs, machine, plan, state
from launch.pipeline.commands import Command
from launch.pipeline.machine import Machine
from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.pretraining.presets import DEFAULT_TASKS

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def folders(tmp_path):
    """Folders with files that are photos and videos by their names."""
    for name in ("cat", "dog"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(20):
            (folder / f"{number}.jpg").write_bytes(b"x" * number)
    (tmp_path / "videos").mkdir()
    for number in range(2):
        (tmp_path / "videos" / f"{number}.mp4").write_bytes(b"x")
    return tmp_path


def _settings(folders, labelled=None, videos=True, **changes):
    output = str(folders / "out")
    given = {
        "output": output,
        "photos": inputs.find_photos("photos", str(folders / "photos"), output),
        "videos": inputs.find_videos("videos", str(folders / "videos"), output)
        if videos
        else None,
        "labelled": labelled,
        "preset": "tiny",
        "steps": 600,
        "measures_speed": True,
        **changes,
    }
    return plan.Settings(**given)


def _labelled(folders):
    path, output = str(folders / "photos"), str(folders / "out")
    return inputs.find_labelled("labelled", path, output)


def test_the_stages_of_photos_and_videos(folders):
    settings = _settings(folders)
    stages = plan.stages(settings)
    assert [stage.name for stage in stages] == [
        "photos", "videos", "prior", "speed", "pretrain", "export", "report",
    ]  # fmt: skip
    out = folders / "out"
    texts = {stage.name: stage.command.text() for stage in stages}
    assert texts["photos"] == (
        f"python -m data_prep.photos --input={folders}/photos --output={out}/data/photos "
        "--validation_fraction=0.15"
    )
    pretrain = (
        f"python -m launch.pretrain --data={out}/data --model_dir={out}/run "
        "--preset=tiny --steps={} "
        f"--task_set=colorization.prior_file={out}/data/color_prior.csv"
    )
    # The second command resumes the first.
    assert texts["speed"] == pretrain.format(10)
    assert texts["pretrain"] == pretrain.format(600)


def test_without_videos_motion_segmentation_is_left_out(folders):
    settings = _settings(folders, videos=False)
    stages = {stage.name: stage.command.text() for stage in plan.stages(settings)}
    assert "videos" not in stages
    assert "--tasks=relative_position,colorization,exemplar" in stages["pretrain"]
    assert "--tasks" not in plan.stages(_settings(folders))[4].command.text()


def test_labelled_photos_are_evaluated_with_both_trunks(folders):
    evaluations = {"imagenet_linear": {"steps": 5}, "few_labels": {}}
    settings = _settings(folders, _labelled(folders), evaluations=evaluations)
    stages = {stage.name: stage for stage in plan.stages(settings)}
    names = [name for name in stages if "/" in name]
    assert names == [
        "imagenet_linear/pretrained", "imagenet_linear/random",
        "few_labels/pretrained", "few_labels/random",
    ]  # fmt: skip
    first, second = (stages[name].command.options for name in names[:2])
    differing = {key for key in first if first[key] != second[key]}
    assert differing == {"trunk", "output"}
    assert (first["steps"], second["trunk"]) == (5, "random")
    # The labelled photos are those of --photos, so they are built once.
    assert first["data"] == str(folders / "out" / "data/photos")
    assert stages["photos"].command.options["labels"] == "folders"
    assert "labelled" not in stages


def test_another_trunk_is_the_one_that_is_compared(folders):
    evaluations = {"imagenet_linear": {"steps": 5}}
    given = _settings(folders, _labelled(folders), evaluations=evaluations)
    assert given.with_trunk(()) == given
    settings = given.with_trunk(("kind=vgg", "phases=false"))
    texts = {each.name: each.command.text() for each in plan.stages(settings)}
    for name in ("speed", "pretrain"):
        assert texts[name].endswith("--trunk_set=kind=vgg --trunk_set=phases=false")
    for which in ("pretrained", "random"):
        text = texts[f"imagenet_linear/{which}"]
        assert text.endswith("--steps=5 --trunk_kind=vgg --depth=tiny")
    with pytest.raises(UserError, match=r"depth=50: .*expected one of 16, 19, tiny"):
        given.with_trunk(("kind=vgg", "depth=50"))


def test_other_labelled_photos_are_kept_away_from_pretraining(folders):
    (folders / "photos").rename(folders / "labels")
    labelled = inputs.find_labelled("labelled", str(folders / "labels"), "out")
    (folders / "photos").mkdir()
    for number in range(40):
        (folders / "photos" / f"{number}.jpg").write_bytes(b"")
    settings = _settings(folders, labelled, evaluations={"few_labels": {}})
    stages = {stage.name: stage for stage in plan.stages(settings)}
    built = stages["labelled"].command.options["output"]
    assert built == stages["few_labels/random"].command.options["data"]
    assert not built.startswith(str(stages["pretrain"].command.options["data"]))
    assert "labels" not in stages["photos"].command.options


def test_every_flag_of_the_plan_exists(folders):
    """As its command's own help would say."""
    evaluations = {
        "imagenet_linear": {"steps": 5},
        "few_labels": {"set": ("shares=[1.0]", "epochs=[1.0]")},
    }
    settings = _settings(folders, _labelled(folders), evaluations=evaluations)
    for stage in plan.stages(settings):
        if stage.name == plan.REPORT:
            continue
        path = ROOT / stage.command.module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()
        sources = [
            *path.parent.glob("*.py"),
            *(ROOT / "data_prep" / "flags").glob("*.py"),
            ROOT / "eval" / "evaluation_flags.py",
            ROOT / "launch" / "network_flags.py",
            ROOT / "selfsup" / "pretraining" / "configuration.py",
        ]
        text = "\n".join(source.read_text() for source in sources)
        for name in stage.command.options:
            assert re.search(rf'"{name}",|^    {name}: ', text, re.MULTILINE), name


def test_a_command_is_what_a_person_would_type():
    command = Command(
        "eval.few_labels",
        {"set": ("a=[1]", "b=2"), "data": "my photos"},
        {"CUDA_VISIBLE_DEVICES": "0"},
    )
    assert shlex.split(command.text()) == [
        "CUDA_VISIBLE_DEVICES=0", "python", "-m", "eval.few_labels",
        "--set=a=[1]", "--set=b=2", "--data=my photos",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "share"), [(40, 0.15), (1275, 0.118), (1_000_000, 0.05)]
)
def test_many_inputs_need_a_smaller_share_held_out(count, share):
    assert inputs.Input("photos", count, "").held_out_share == share


def test_bad_inputs_are_named(folders):
    photos, output = str(folders / "photos"), str(folders / "out")
    with pytest.raises(UserError, match=r"^photos=/no: is not a folder"):
        inputs.find_photos("photos", "/no", output)
    with pytest.raises(UserError, match=r"^photos: .*/videos: has no photos in it"):
        inputs.find_photos("photos", str(folders / "videos"), output)
    with pytest.raises(UserError, match=r"has 20 photos; pretraining needs 32 or more"):
        inputs.find_photos("photos", f"{photos}/cat", output)
    with pytest.raises(UserError, match=r"^videos: .*/photos: has no videos"):
        inputs.find_videos("videos", photos, output)
    (folders / "videos" / "0.mp4").unlink()
    with pytest.raises(UserError, match=r"has one video; .* Leave out videos"):
        inputs.find_videos("videos", str(folders / "videos"), output)
    with pytest.raises(UserError, match=r"^labelled=.*cat: has photos but no folders"):
        inputs.find_labelled("labelled", f"{photos}/cat", output)


@pytest.mark.parametrize(
    ("described", "preset", "words", "visible"),
    [
        (Machine(2), "tiny", "there is no NVIDIA GPU, but 2 processors", ""),
        (Machine(8, (80.0,), 0), "tiny", "pip install -e '.[gpu]'", ""),
        (Machine(8, (4.0,), 1), "tiny", "the GPU has 4 GB, and the preset small", ""),
        (Machine(8, (24.0,), 1), "small", "there is 1 GPU with 24 GB", ""),
        (Machine(8, (24.0,) * 2, 2), "small", "of which one is used", "0"),
        (Machine(8, (24.0,) * 4, 4), "small", "there are 4 GPUs with 24 GB", ""),
    ],
)
def test_the_preset_fits_the_machine(described, preset, words, visible):
    choice = machine.choose(described, len(DEFAULT_TASKS))
    assert choice.preset == preset
    assert words in choice.reason
    assert choice.visible_gpus == visible
    assert choice.takes_turns == (described.usable_gpus < 4)


def test_this_machine_is_described():
    assert machine.look().processors >= 1


def test_a_folder_resumes_only_with_the_same_inputs_and_settings(folders):
    settings = _settings(folders)
    begun = state.begin(settings, "why")
    begun["seconds"]["photos"] = 3.0
    state.save(settings.output, begun)
    assert state.begin(_settings(folders), "another")["seconds"] == {"photos": 3.0}
    assert state.read(settings.output)["reason"] == "why"

    # Until the pretraining has finished, the number of its steps may change.
    begun = state.begin(_settings(folders, steps=700), "why")
    begun["seconds"]["pretrain"] = 9.0
    state.save(settings.output, begun)
    with pytest.raises(
        UserError, match=r"steps was 700, now 600\. Give another folder"
    ):
        state.begin(settings, "why")
    with pytest.raises(UserError, match=r": videos was .*/videos, now not given"):
        state.begin(_settings(folders, videos=False), "why")
    (folders / "photos" / "cat" / "0.jpg").write_bytes(b"longer")
    with pytest.raises(
        UserError, match=r"files in .*/photos have changed: 40 then, 40"
    ):
        state.begin(_settings(folders), "why")


def test_a_folder_of_something_else_is_refused(folders):
    (folders / "out" / "run").mkdir(parents=True)
    with pytest.raises(UserError, match=r"already holds run, but no pipeline\.json"):
        state.begin(_settings(folders), "why")


def test_the_time_left_follows_from_the_first_steps(folders):
    settings = _settings(folders)
    current = state.begin(settings, "why")
    stages = plan.stages(settings)
    assert execution.time_left(settings, stages, current) == ""
    (folders / "out" / "run").mkdir()
    rows = [
        {
            "task": task,
            "split": "train",
            "step": 10,
            "total_steps": 40,
            "step_seconds": 2,
        }
        for task in DEFAULT_TASKS
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folders / "out" / "run" / history.FILE_NAME).write_text(text)
    # 590 steps of four tasks, 2 s each.
    assert execution.pretraining_seconds(settings, current) == 4720.0
    parallel = _settings(folders, takes_turns=False)
    assert execution.pretraining_seconds(parallel, current) == 1180.0
    assert execution.time_left(settings, stages[4:], current) == (
        "time left: about 1 h 18 min, and 2 stages whose time is not known yet"
    )
    # Of 100 s, the first steps took 80 s, and starting and tracing the others.
    current["seconds"]["speed"] = 100.0
    assert execution.pretraining_seconds(settings, current) == 4740.0


def test_an_evaluation_takes_as_long_as_that_of_the_trunk_before(folders):
    evaluations = {"few_labels": {}}
    settings = _settings(folders, _labelled(folders), evaluations=evaluations)
    current = state.begin(settings, "why")
    current["seconds"] = {"few_labels/pretrained": 65.0}
    stage = next(
        each for each in plan.stages(settings) if each.name == "few_labels/random"
    )
    left = execution.time_left(settings, (stage,), current)
    assert left == "time left: about 1 min 5 s"


def test_a_stage_is_done_only_while_its_result_exists(folders):
    settings = _settings(folders)
    stage = plan.stages(settings)[0]
    current = state.begin(settings, "why")
    current["seconds"]["photos"] = 1.0
    assert not execution.is_done(stage, current)
    result = pathlib.Path(stage.result)
    result.parent.mkdir(parents=True)
    result.write_text("{}")
    assert execution.is_done(stage, current)


def test_a_failed_command_names_its_stage(folders, monkeypatch):
    monkeypatch.setattr(execution.commands, "start", lambda command: 1)
    with pytest.raises(
        UserError, match=r"build the data set of 40 photos ended with st"
    ):
        execution.run(_settings(folders), "why")
