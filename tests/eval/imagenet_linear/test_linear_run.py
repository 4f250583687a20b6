"""The evaluation from its data to its files, at a tiny size."""

import dataclasses
import json
import os
import shutil
import signal

import numpy as np
import pytest

from eval import evaluation_run, metrics_file, output_folder, trunks
from eval.imagenet_linear.evaluation import ImagenetLinear, chance_levels
from eval.imagenet_linear.ladder import Scores, choose
from eval.training import Training
from selfsup.common import config_file, history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import manifest


def _run(settings):
    """The finished evaluation of some settings."""
    with StopSignals() as stop, output_folder.opened(settings) as folder:
        evaluation = ImagenetLinear(settings, folder, stop)
        assert evaluation_run.evaluate(evaluation)
    return evaluation


def _weights(run):
    return run.model.weights()[0].numpy()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, settings_for):
    """(folder, evaluation) of a random trunk after enough steps to learn."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, _run(settings_for(folder, steps=60))


def test_it_learns_separable_classes(finished):
    folder, _ = finished
    fields = metrics_file.read(folder)
    assert fields["evaluation"] == "imagenet_linear"
    assert fields["headline"] == "top5"
    assert fields["details"]["chance"] == {
        "top1": pytest.approx(1 / 6),
        "top5": pytest.approx(5 / 6),
    }
    assert fields["metrics"]["top1"] > 0.4
    assert fields["metrics"]["top5"] >= fields["metrics"]["top1"]
    assert fields["metrics"]["neighbours_top1"] > 1 / 6
    assert fields["trunk"]["kind"] == "random"
    assert fields["settings"]["config"]["image_size"] == 48
    assert fields["data"]["test"] == {"split": "validation", "records": 30}


def test_predictions_are_those_that_the_metrics_count(finished):
    folder, _ = finished
    metrics = metrics_file.read(folder)["metrics"]
    with np.load(folder / "predictions.npz") as stored:
        classes, labels = stored["classes"], stored["labels"]
        assert len(set(stored["keys"])) == 30
        assert classes.shape == stored["scores"].shape == (30, 5)
        assert np.all(np.diff(stored["scores"], axis=1) <= 0)
        assert metrics["top1"] == pytest.approx(np.mean(classes[:, 0] == labels))
        hits5 = np.any(classes == labels[:, None], axis=1)
        assert metrics["top5"] == pytest.approx(hits5.mean())
        near = np.mean(stored["neighbours"] == labels)
        assert metrics["neighbours_top1"] == pytest.approx(near)


def test_every_unit_has_an_accuracy_and_pictures_are_written(finished):
    folder, run = finished
    details = metrics_file.read(folder)["details"]
    assert details["rows"] == [f"unit_{number}" for number in range(1, 6)]
    assert details["top1"][-1] == metrics_file.read(folder)["metrics"]["top1"]
    assert len(details["top5"]) == 5
    assert run.model.trunk.num_units == 5
    pictures = sorted(os.listdir(folder / "pictures"))
    assert pictures == ["curves.png", "predictions.png", "probe.png"]
    assert os.listdir(folder / "tensorboard")
    rows = history.read(folder)
    assert rows[-1]["step"] == 60
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_only_the_statistics_of_the_trunk_change(finished):
    _, run = finished
    random = trunks.load(
        "random", checkpoint=None, depth="tiny", output_stride=16, seed=0
    ).trunk
    pairs = zip(run.model.trunk.trainable_weights, random.trainable_weights)
    for first, second in pairs:
        np.testing.assert_array_equal(first, second)
    moved = run.model.trunk.block3[0].preact.moving_mean
    assert np.any(moved.numpy() != random.block3[0].preact.moving_mean.numpy())


def test_metrics_hold_the_whole_ladder_and_the_choice_on_held_out_photos(
    finished,
):
    folder, run = finished
    fields = metrics_file.read(folder)
    ladder, rates = fields["details"]["ladder"], run.model._config.learning_rates
    assert ladder["learning_rates"] == list(rates)
    assert ladder["held_out"]["photos"] == fields["data"]["held_out"] > 0
    assert fields["details"]["neighbour_images"] == 72 - fields["data"]["held_out"]
    assert ladder["test"]["photos"] == 30
    for part in ("held_out", "test"):
        for name in ("top1", "top5", "cross_entropy"):
            assert np.shape(ladder[part][name]) == (5, len(rates))
    scores = Scores(
        0,
        *(
            np.array(ladder["held_out"][name])
            for name in ("top1", "top5", "cross_entropy")
        ),
    )
    chosen = choose(scores)
    assert ladder["chosen"] == [rates[index] for index in chosen]
    picked = np.array(ladder["test"]["top1"])[range(5), chosen]
    np.testing.assert_allclose(fields["details"]["top1"], picked)
    nats = ladder["test"]["cross_entropy"][-1][chosen[-1]]
    assert fields["metrics"]["cross_entropy"] == pytest.approx(nats)
    remarks = " ".join(fields["details"]["remarks"])
    assert f"learning rate {rates[chosen[-1]]:g} of " in remarks
    row = history.read(folder)[-1]
    assert all(f"loss_rate_{rate:g}" in row for rate in rates)


def test_a_folder_of_the_version_with_one_learning_rate_is_refused(
    tmp_path, settings_for
):
    settings = settings_for(tmp_path, **PLAIN)
    config_file.save_or_compare(settings, tmp_path, "output")
    stored = json.loads((tmp_path / config_file.FILE_NAME).read_text())
    del stored["config"]["learning_rates"], stored["config"]["held_out_share"]
    stored["config"]["learning_rate"] = 1.0
    (tmp_path / config_file.FILE_NAME).write_text(json.dumps(stored))
    with (
        pytest.raises(UserError, match=r"another configuration: .*learning_rate was 1"),
        output_folder.opened(settings),
    ):
        pass


def test_a_finished_run_says_so(finished, settings_for, capsys):
    folder, _ = finished
    evaluation_run.run_and_print(ImagenetLinear, settings_for(folder, steps=60))
    output = capsys.readouterr().out
    assert output.startswith(f"{folder}: finished before\n")
    assert "top1: " in output
    assert "(chance 0.8333)" in output
    assert "says nothing" not in output


@pytest.fixture(scope="module")
def straight(tmp_path_factory, settings_for):
    """(folder, evaluation) of 12 steps without augmentation, probes and neighbours."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, _run(settings_for(folder, **PLAIN))


PLAIN = {"augment": False, "probe_units": False, "neighbours": 0}


@pytest.mark.slow
def test_cached_features_give_the_same_weights_and_metrics(
    tmp_path, straight, settings_for
):
    folder, plain = straight
    cached = _run(settings_for(tmp_path, cache_features=True, **PLAIN))
    np.testing.assert_array_equal(_weights(cached), _weights(plain))
    first, second = metrics_file.read(tmp_path), metrics_file.read(folder)
    assert first["metrics"] == second["metrics"]
    assert not os.path.exists(tmp_path / "feature_cache")


def test_stopped_by_a_signal_and_run_again_equals_straight(
    tmp_path, straight, settings_for, monkeypatch
):
    folder, plain = straight
    settings = settings_for(tmp_path, **PLAIN)
    take = Training._take

    def signalled(training, batch):
        take(training, batch)
        if training.number == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_take", signalled)
        outcome = evaluation_run.run(ImagenetLinear, settings)
    assert outcome.stopped_by == "SIGTERM"
    assert not (tmp_path / metrics_file.FILE_NAME).exists()
    resumed = _run(settings)
    np.testing.assert_array_equal(_weights(resumed), _weights(plain))
    first, second = metrics_file.read(tmp_path), metrics_file.read(folder)
    assert first["metrics"] == second["metrics"]
    assert first["data"] == second["data"]


class Signalled(ImagenetLinear):
    """Receives a signal before its first pass over the photos."""

    def prepare(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().prepare()


def test_a_signal_during_a_pass_stops_it(tmp_path, settings_for):
    outcome = evaluation_run.run(Signalled, settings_for(tmp_path, **PLAIN))
    assert (outcome.metrics, outcome.stopped_by) == (None, "SIGTERM")
    assert not os.path.exists(tmp_path / "checkpoints")


def test_a_resumed_run_refuses_other_photos(tmp_path, straight, settings_for, photos):
    folder, _ = straight
    other = tmp_path / "photos"
    shutil.copytree(photos, other)
    content = json.loads((other / manifest.FILE_NAME).read_text())
    content["labels"] = [f"{label}s" for label in content["labels"]]
    (other / manifest.FILE_NAME).write_text(json.dumps(content))
    settings = dataclasses.replace(settings_for(folder, **PLAIN), data=str(other))
    evaluation = ImagenetLinear(settings, str(folder), StopSignals())
    with pytest.raises(UserError, match="was started on other data"):
        evaluation_run.evaluate(evaluation)


@pytest.mark.slow
def test_the_lasso_learns_its_row(tmp_path, settings_for):
    changes = {"neighbours": 0, "cache_features": True, "augment": False}
    settings = settings_for(tmp_path, lasso=0.01, alpha_learning_rate=0.1, **changes)
    run = _run(settings)
    fields = metrics_file.read(tmp_path)
    alpha = np.array(fields["alpha"])
    assert np.sum(alpha**2) == pytest.approx(1.0, abs=1e-5)
    assert np.ptp(alpha) > 1e-3
    assert fields["details"]["rows"][-1] == "combination"
    assert len(fields["details"]["rows"]) == 6
    rows = history.read(tmp_path)
    assert rows[0]["lasso_penalty"] == pytest.approx(0.01 * 5**0.5, rel=0.02)
    assert run._cache is None


def test_a_cache_that_would_be_too_large_is_refused(tmp_path, settings_for):
    settings = settings_for(
        tmp_path, cache_features=True, cache_gigabytes=1e-4, **PLAIN
    )
    evaluation = ImagenetLinear(settings, str(tmp_path), StopSignals())
    with pytest.raises(UserError, match=r"cache_gigabytes=0.0001"):
        evaluation_run.start(evaluation)


def test_chance_names_the_most_frequent_training_classes():
    train, test = np.array([5, 1, 9, 2, 2, 2, 3]), np.array([1, 3, 2, 1, 1, 1, 1])
    levels = chance_levels(train, test)
    assert levels == {"top1": pytest.approx(0.2), "top5": pytest.approx(0.6)}
