"""Features of augmented views that training repeats."""

import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from eval import evaluation_run, metrics_file, output_folder, trunks
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.evaluation import ImagenetLinear
from eval.imagenet_linear.view_cache import FOLDER, ViewCache
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import pipeline

RECORDS, VIEWS, BATCH, ROWS, SIZE = 7, 3, 4, 2, 5


def _batches(replaced=-1):
    """Batches like those of the pipeline; in each pass, photo k has the label k."""
    for number in range(100):
        photos = np.arange(number * BATCH, (number + 1) * BATCH) % RECORDS
        yield {
            "image": tf.constant(photos),
            "label": tf.constant(photos),
            "held_out": tf.constant(photos == 2),
            pipeline.REPLACED_SHARD: tf.fill([BATCH], replaced),
        }


def _features(images, number):
    """The features of photo k in batch n are 100 n + k."""
    values = tf.cast(100 * tf.cast(number, tf.int64) + images, tf.float32)
    return tf.tile(values[None, :, None], [ROWS, 1, SIZE])


@pytest.fixture
def cache(tmp_path):
    config = Config(batch_size=BATCH, augmented_views=VIEWS)
    made = ViewCache(str(tmp_path), RECORDS, ROWS, SIZE, config)
    made.fill(_features, _batches())
    return made


def _take(cache, seed, position, count):
    """(Features' first entry, label, whether held out) of `count` batches, joined."""
    batches = list(cache.training_batches(seed, position).take(count))
    assert all(np.all(batch[pipeline.REPLACED_SHARD] == -1) for batch in batches)
    assert batches[0]["features"].shape == (BATCH, ROWS, SIZE)
    return (
        np.concatenate([batch["features"].numpy()[:, 1, 3] for batch in batches]),
        np.concatenate([batch["label"].numpy() for batch in batches]),
        np.concatenate([batch["held_out"].numpy() for batch in batches]),
    )


def test_each_pass_has_every_view_once_with_its_label_in_another_order(cache):
    features, labels, held_out = _take(cache, 0, 0, 11)
    views = RECORDS * VIEWS
    expected = [100 * (k // BATCH) + k % RECORDS for k in range(views)]
    np.testing.assert_array_equal(np.sort(features[:views]), np.sort(expected))
    np.testing.assert_array_equal(
        np.sort(features[views : 2 * views]), np.sort(expected)
    )
    assert np.any(features[:views] != features[views : 2 * views])
    np.testing.assert_array_equal(features % 100, labels)
    np.testing.assert_array_equal(held_out, labels == 2)
    np.testing.assert_array_equal(np.bincount(labels[:views]), [VIEWS] * RECORDS)


def test_batches_follow_from_seed_and_position(cache):
    whole, part = _take(cache, 0, 0, 9), _take(cache, 0, 5 * BATCH, 4)
    np.testing.assert_array_equal(whole[0][5 * BATCH :], part[0])
    assert np.any(_take(cache, 1, 0, 9)[0] != whole[0])


def test_complete_files_are_not_computed_again_and_can_be_removed(cache, tmp_path):
    cache.fill(None, ())
    cache.remove()
    assert not os.path.exists(tmp_path / FOLDER)


def test_damage_is_an_error(tmp_path):
    config = Config(batch_size=BATCH, augmented_views=VIEWS)
    made = ViewCache(str(tmp_path), RECORDS, ROWS, SIZE, config)
    with pytest.raises(UserError, match="shard of the training set is damaged"):
        made.fill(_features, _batches(replaced=1))


def test_views_above_the_size_limit_are_refused(tmp_path):
    config = Config(augmented_views=1000, cache_gigabytes=0.1)
    with pytest.raises(UserError, match=r"augmented_views=1000.*take 1 GB, more than"):
        ViewCache(str(tmp_path), 1000, 25, 10, config)


OPTIONS = {"probe_units": False, "neighbours": 0, "augmented_views": 1}


class Signalled(ImagenetLinear):
    """Receives a signal in one of its steps."""

    stop_at = None

    def step(self, examples, number):
        if self.stop_at is not None and int(number) == self.stop_at - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(examples, number)


def _view_cache(settings, folder):
    evaluation = ImagenetLinear(settings, str(folder), StopSignals())
    evaluation.find_data()
    evaluation.build(trunks.load_for(settings, evaluation.output_stride))
    return evaluation._view_cache


def _run(settings, folder, stop_at=None):
    """The evaluation, stopped by a signal after a step, or finished."""
    with StopSignals() as stop, output_folder.opened(settings) as output:
        evaluation = Signalled(settings, output, stop)
        evaluation.stop_at = stop_at
        assert evaluation_run.evaluate(evaluation) == (stop_at is None)
    return evaluation


def test_a_stopped_and_resumed_run_equals_an_uninterrupted_run(tmp_path, settings_for):
    settings = settings_for(tmp_path / "straight", **OPTIONS)
    straight = _run(settings, tmp_path / "straight")
    assert not os.path.exists(tmp_path / "straight" / FOLDER)
    settings = settings_for(tmp_path / "stopped", **OPTIONS)
    _run(settings, tmp_path / "stopped", stop_at=5)
    assert os.path.exists(tmp_path / "stopped" / FOLDER)
    resumed = _run(settings, tmp_path / "stopped")
    for first, second in zip(resumed.model.weights(), straight.model.weights()):
        np.testing.assert_array_equal(first, second)
    first, second = (
        metrics_file.read(tmp_path / name)["metrics"]
        for name in ("straight", "stopped")
    )
    assert first == second


@pytest.mark.parametrize(
    ("lasso", "changes"),
    [
        (0.1, {}),
        (0.0, {"augment": False}),
        (0.0, {"augmented_views": 0}),
        # 72 photos: 144 views, of which 12 batches of 8 would see 96.
        (0.0, {"augmented_views": 2}),
    ],
)
def test_views_are_new_at_every_step_without_a_cache(
    tmp_path, settings_for, lasso, changes
):
    settings = settings_for(tmp_path, lasso=lasso, **{**OPTIONS, **changes})
    assert _view_cache(settings, tmp_path) is None
    cached = settings_for(tmp_path, **OPTIONS)
    assert _view_cache(cached, tmp_path).views == 72
