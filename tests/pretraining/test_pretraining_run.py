import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from built_sets import write_set
from hub_finetuning import finetune

from launch import feature_extraction
from launch.reports import html, run_page
from selfsup.common import files, history, provenance
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import manifest
from selfsup.export import from_run
from selfsup.hybrid import assignment
from selfsup.pretraining import (
    configuration,
    pretrained_trunk,
    pretraining_run,
    training_data,
)
from selfsup.pretraining.presets import DEFAULT_TASKS

_OVERRIDES = (
    "relative_position.batch_size=4",
    "colorization.batch_size=2",
    "colorization.image_size=64",
    "exemplar.batch_size=4",
    "motion_segmentation.batch_size=2",
    "motion_segmentation.height=64",
    "motion_segmentation.width=96",
)


# One on photos and one on videos; the slow tests repeat everything with all four.
_TWO_TASKS = ("colorization", "motion_segmentation")


def _config(tasks, **options):
    overrides = [text for text in _OVERRIDES if text.split(".")[0] in tasks]
    config = configuration.resolve(
        "tiny", tasks, task_overrides=overrides, lasso=0.01, **options
    )
    return dataclasses.replace(config, log_steps=1, validation_batches=1)


@pytest.fixture(
    scope="module",
    params=[_TWO_TASKS, pytest.param(DEFAULT_TASKS, marks=pytest.mark.slow)],
    ids=["two", "four"],
)
def tasks(request):
    """The tasks of a run."""
    return request.param


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    splits = ["train", "validation"]
    write_set(str(folder / "photos"), [6, 3], splits=splits, size=(320, 320))
    kind = manifest.VIDEO_FRAMES
    write_set(str(folder / "videos"), [6, 3], splits=splits, size=(64, 96), kind=kind)
    return str(folder)


@pytest.fixture(scope="module")
def straight(tasks, data, tmp_path_factory):
    """The folder of a run of the tasks, with the lasso, that was never stopped."""
    folder = str(tmp_path_factory.mktemp("straight"))
    run = pretraining_run.PretrainingRun(_config(tasks, steps=2), data, folder)
    assert run.run(StopSignals())
    return folder


@pytest.fixture(scope="module")
def stopped(tasks, data, tmp_path_factory):
    """The folder of the same run, stopped half-way and resumed."""
    folder = str(tmp_path_factory.mktemp("stopped"))
    for steps in (1, 2):
        run = pretraining_run.PretrainingRun(_config(tasks, steps=steps), data, folder)
        assert run.run(StopSignals())
    return folder


def _trained(folder):
    return [row for row in history.read(folder) if "gradient_norm" in row]


def test_every_task_trains_validates_and_draws_pictures(straight, tasks):
    rows = history.read(straight)
    for name in tasks:
        task_rows = [row for row in rows if row["task"] == name and "loss" in row]
        assert [row["step"] for row in task_rows if row["split"] == "train"] == [1, 2]
        assert [row["step"] for row in task_rows if row["split"] == "validation"] == [2]
        assert all(np.isfinite(row["loss"]) for row in task_rows)
        alpha = [row for row in rows if row["task"] == name and "alpha/unit_01" in row]
        units = [value for key, value in alpha[-1].items() if key.startswith("alpha/")]
        assert np.linalg.norm(units) == pytest.approx(1.0, rel=1e-4)
    drawn = os.listdir(os.path.join(straight, "pictures"))
    assert {name.split("-")[0] for name in drawn} == {*tasks, "alpha.png"}
    with open(os.path.join(straight, "validation.json")) as file:
        measured = json.load(file)
    assert set(measured["held_out"]) == set(tasks)
    assert measured["checkpoint"] == f"checkpoint-{2 * len(tasks):09d}"
    for split in ("train", "validation"):
        assert os.listdir(os.path.join(straight, "tensorboard", split))


def test_the_pauses_of_checkpoints_are_logged(straight):
    (row,) = [row for row in history.read(straight) if row["split"] == "run"]
    assert 0 < row["pause_seconds"] < row["seconds"]
    assert row["pause_share"] == pytest.approx(row["pause_seconds"] / row["seconds"])


def test_resuming_gives_the_losses_of_not_stopping(straight, stopped):
    expected, resumed = _trained(straight), _trained(stopped)
    assert [row["task"] for row in resumed] == [row["task"] for row in expected]
    for row, other in zip(expected, resumed):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert row["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-3)


def test_resuming_gives_the_weights_of_not_stopping(straight, stopped):
    trunks = [pretrained_trunk.load(folder).trunk for folder in (straight, stopped)]
    for weight, other in zip(*(trunk.get_weights() for trunk in trunks)):
        np.testing.assert_allclose(weight, other, rtol=1e-3, atol=1e-5)


def test_the_data_of_a_run_are_stored(straight, data):
    with open(os.path.join(straight, training_data.FILE_NAME)) as file:
        photos, videos = json.load(file)
    assert photos["directory"] == os.path.join(data, "photos")
    assert photos["records"] == {"train": 6, "validation": 3}
    assert videos["kind"] == manifest.VIDEO_FRAMES


def test_tasks_share_the_trunk_and_nothing_else(straight, tasks, data):
    run = pretraining_run.PretrainingRun(_config(tasks, steps=2), data, straight)
    network = run.network
    trunk = {id(variable) for variable in network.trunk.trainable_variables}
    others = []
    for name in tasks:
        variables = {id(variable) for variable in network.trained_variables(name)}
        assert trunk < variables
        assert id(network.combination.variable(name)) in variables
        others.append(variables - trunk)
    assert sum(len(variables) for variables in others) == len(set().union(*others))


def test_resuming_on_other_data_is_refused(straight, tasks, tmp_path):
    splits = ["train", "validation"]
    write_set(str(tmp_path / "photos"), [5, 3], splits=splits, size=(320, 320))
    kind = manifest.VIDEO_FRAMES
    write_set(str(tmp_path / "videos"), [6, 3], splits=splits, size=(64, 96), kind=kind)
    with pytest.raises(UserError, match="now it would read other data"):
        pretraining_run.PretrainingRun(_config(tasks, steps=3), str(tmp_path), straight)


def test_two_processes_in_one_folder_are_refused(straight, tasks, data):
    run = pretraining_run.PretrainingRun(_config(tasks, steps=2), data, straight)
    lock = os.path.join(straight, ".lock")
    refused = pytest.raises(UserError, match="another process is training there")
    with files.locked(lock, "taken"), refused:
        run.run(StopSignals())


def test_nothing_is_written_where_another_process_trains(straight, tasks, data):
    path = os.path.join(straight, "config.json")
    with open(path) as file:
        before = file.read()
    lock = os.path.join(straight, ".lock")
    refused = pytest.raises(UserError, match="another process is training there")
    with files.locked(lock, "taken"), refused:
        pretraining_run.PretrainingRun(_config(tasks, steps=9), data, straight)
    with open(path) as file:
        assert file.read() == before


@pytest.mark.slow
def test_held_out_numbers_belong_to_the_last_checkpoint_of_a_finished_run(
    data, tmp_path
):
    run, validation = str(tmp_path / "run"), tmp_path / "run" / "validation.json"
    small = ["rotation.batch_size=2", "rotation.image_size=32"]

    def continue_run(steps, stop):
        config = configuration.resolve(
            "tiny", ["rotation"], steps=steps, task_overrides=small
        )
        config = dataclasses.replace(config, validation_batches=1)
        return pretraining_run.PretrainingRun(config, data, run).run(stop)

    def held_out(checkpoint):
        trunk = str(tmp_path / checkpoint)
        from_run.export_run(run, trunk, checkpoint=checkpoint)
        with open(os.path.join(trunk, "model_card.json")) as file:
            return json.load(file)["held_out"]

    assert continue_run(1, StopSignals()) and validation.exists()
    stop = StopSignals()
    stop.received = "SIGTERM"
    assert not continue_run(2, stop) and not validation.exists()
    assert continue_run(2, StopSignals()) and validation.exists()
    assert held_out("checkpoint-000000001") == {}
    assert set(held_out("checkpoint-000000002")) == {"rotation"}


def test_the_wrong_data_is_explained(data, tmp_path):
    with pytest.raises(UserError, match=r"motion_segmentation: no data set .* --tasks"):
        folder = os.path.join(data, "photos")
        pretraining_run.PretrainingRun(
            _config(_TWO_TASKS), folder, str(tmp_path / "run")
        )


def test_a_run_exports_and_the_export_gives_features(straight, tasks, data, tmp_path):
    output = str(tmp_path / "trunk")
    from_run.export_run(straight, output, output_stride=16, recalibrate_on=data)
    loaded = tf.saved_model.load(output)
    assert loaded(tf.zeros([1, 64, 96, 3]), training=False).shape[:3] == (1, 4, 6)
    with open(os.path.join(output, "model_card.json")) as file:
        card = json.load(file)
    assert {
        name: task["steps"] for name, task in card["tasks"].items()
    } == dict.fromkeys(tasks, 2)
    assert card["batch_norm_recalibration"]["images"] == 6
    assert set(card["held_out"]) == set(tasks)
    with open(os.path.join(output, "MODEL_CARD.md")) as file:
        text = file.read()
    assert "BatchNormalization" in text
    assert card["data"][0]["shards"]["train-00000.tfrecord"] not in text

    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 50, 3), np.uint8)
        tf.io.write_file(str(photos / f"{index}.png"), tf.io.encode_png(pixels))
    (photos / "broken.jpg").write_text("no image")
    features = str(tmp_path / "features.npz")
    assert feature_extraction.extract(output, str(photos), features, 64, 2) == 3
    with np.load(features) as stored:
        assert stored["keys"].tolist() == ["0.png", "1.png", "2.png"]
        assert stored["features"].shape == (
            3,
            loaded(tf.zeros([1, 64, 64, 3])).shape[-1],
        )
    picture = str(tmp_path / "neighbours.png")
    feature_extraction.draw_neighbours(features, str(photos), picture, 2)
    assert tf.io.decode_png(tf.io.read_file(picture)).shape == (2 * 116, 3 * 116, 3)


@pytest.mark.slow
def test_an_export_can_be_fine_tuned_on_labels(straight, data, tmp_path):
    output = str(tmp_path / "trunk")
    from_run.export_run(straight, output)
    folder = os.path.join(data, "photos")
    result = finetune(output, folder, steps=12)
    assert result.losses[-1] < result.losses[0]
    # Keys 6, 7 and 8 have different labels.
    assert result.chance == pytest.approx(1 / 3)
    assert 0.0 <= result.accuracy <= 1.0


def test_an_export_is_refused_before_the_work(straight, tmp_path):
    output = tmp_path / "trunk"
    output.mkdir()
    (output / "mine.txt").write_text("")
    with pytest.raises(UserError, match="already exists and is not empty"):
        from_run.export_run(straight, str(output), recalibrate_on="/nonexistent")
    with pytest.raises(UserError, match="not overwritten, because it is not an export"):
        from_run.export_run(straight, str(output), overwrite=True)
    assert os.listdir(output) == ["mine.txt"]


def test_a_run_has_a_page(straight, tasks):
    """With what it recorded itself: command, speed, curves and pictures."""
    document = run_page.document(straight)
    assert f"of each of {len(tasks)} tasks" in document.summary
    page = html.render(document)
    assert "images a second" in page
    assert page.count("<svg") >= len(tasks)
    assert page.count("data:image/png;base64,") == len(tasks) + 1
    (start,) = provenance.read_starts(straight)
    assert start["command"] == provenance.command_line() in page
    assert start["versions"]["tensorflow"] == tf.__version__


def test_an_unknown_checkpoint_is_explained(straight, tmp_path):
    with pytest.raises(
        UserError, match="no checkpoint 'snapshot-009'; existing checkpoints: check"
    ):
        from_run.export_run(straight, str(tmp_path / "out"), checkpoint="snapshot-009")


def test_nearest_leaves_out_the_query_and_prefers_similar_rows():
    random = np.random.default_rng(0)
    centres = random.normal(size=(2, 8)) * 5
    rows = np.repeat(centres, 4, axis=0) + random.normal(size=(8, 8)) * 0.1
    for query, row in enumerate(feature_extraction.nearest(rows, 3)):
        assert query not in row
        assert {index // 4 for index in row} == {query // 4}


@pytest.mark.slow
def test_all_tasks_in_parallel_on_their_own_devices(data, tmp_path):
    """Four groups, the first with two replicas, which share the trunk of the lasso."""
    groups = {
        "relative_position": ("/CPU:0", "/CPU:1"),
        "colorization": ("/CPU:2",),
        "exemplar": ("/CPU:3",),
        "motion_segmentation": ("/CPU:1",),
    }
    assigned = assignment.Assignment(groups, ("/CPU:0", "/CPU:2"))
    config = _config(DEFAULT_TASKS, steps=3, checkpoint_seconds=0.0)
    run = pretraining_run.PretrainingRun(config, data, str(tmp_path), assigned)
    before = [variable.numpy() for variable in run.network.trainable_variables]
    assert run.run(StopSignals())
    assert run.engine.steps() == dict.fromkeys(DEFAULT_TASKS, 3)
    after = [variable.numpy() for variable in run.network.trainable_variables]
    assert all(np.any(old != new) for old, new in zip(before, after))
    devices = {variable.device[-5:] for variable in run.network.trunk.variables}
    assert devices == {"CPU:0", "CPU:2"}
    with open(tmp_path / "validation.json") as file:
        assert json.load(file)["held_out"].keys() == set(DEFAULT_TASKS)
    # A run may be resumed on other devices, such as a single device.
    more = pretraining_run.PretrainingRun(
        _config(DEFAULT_TASKS, steps=4), data, str(tmp_path)
    )
    assert more.run(StopSignals())
    assert more.engine.steps() == dict.fromkeys(DEFAULT_TASKS, 4)
