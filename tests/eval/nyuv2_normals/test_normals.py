"""Surface normals: loss, measures, augmentation, chance, and what a run learns."""

from __future__ import annotations

import math
import os

import depth_sets
import numpy as np
import pytest
import tensorflow as tf

from eval import evaluation_run, trunks
from eval.nyuv2_depth.augmentation import Views, crop_depths, crop_maps
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_normals import dataset
from eval.nyuv2_normals.angle_metrics import NAMES, AngleMetrics, degrees_between
from eval.nyuv2_normals.augmentation import turn
from eval.nyuv2_normals.config import PRESETS, Config
from eval.nyuv2_normals.constant_normals import NormalCounts, best_constants
from eval.nyuv2_normals.drawing import colors
from eval.nyuv2_normals.evaluation import Nyuv2Normals
from eval.nyuv2_normals.network import NormalsNetwork
from eval.nyuv2_normals.plane_fit import Camera, PlaneFit, normals
from eval.nyuv2_normals.testing import resize
from eval.nyuv2_normals.trainer import cosine_loss, share_within
from eval.settings import resolve
from eval.trunk_features import TrunkFeatures
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals

SIZE = (48, 64)


def _unit(values):
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def _vectors(seed, shape):
    return _unit(np.random.default_rng(seed).normal(size=(*shape, 3)))


def _truth():
    truth = _vectors(1, (2, 6, 8))
    truth[0, :3] = 0
    return truth


def test_the_loss_equals_a_loop():
    predicted, truth, losses = _vectors(0, (2, 6, 8)), _truth(), []
    for index in np.ndindex(2, 6, 8):
        if any(truth[index]):
            losses.append(
                1 - sum(p * t for p, t in zip(predicted[index], truth[index]))
            )
    assert len(losses) == 72
    assert float(cosine_loss(predicted, truth)) == pytest.approx(np.mean(losses), 1e-5)
    assert float(cosine_loss(truth, truth)) == pytest.approx(0, abs=1e-6)
    assert float(cosine_loss(predicted, np.zeros_like(truth))) == 0


def test_unknown_pixels_have_no_gradient():
    predicted, truth = tf.constant(_vectors(0, (2, 6, 8))), _truth()
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        loss = cosine_loss(predicted, truth)
    gradient = tape.gradient(loss, predicted).numpy()
    assert not gradient[0, :3].any()
    assert gradient[0, 3:].all()


def test_measures_equal_numpys():
    predicted, truth = _vectors(0, (4, 6, 8)), _vectors(1, (4, 6, 8))
    # Half of the pixels are close to the truth.
    predicted[:2] = _unit(truth[:2] + 0.3 * predicted[:2])
    truth[3, :2] = 0
    metrics = AngleMetrics()
    for images in (slice(0, 1), slice(1, 4)):
        metrics.add(predicted[images], truth[images])
    valid = truth.any(axis=-1)
    cosines = np.sum(predicted * truth, axis=-1, dtype=np.float64)[valid]
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    result = metrics.result()
    assert tuple(result) == NAMES
    assert metrics.pixels == angles.size == 4 * 48 - 16
    assert result["angle_mean"] == pytest.approx(angles.mean(), rel=1e-5)
    middle = np.sort(angles)[(angles.size - 1) // 2]
    assert result["angle_median"] == pytest.approx(middle, abs=0.006)
    for limit in (11.25, 22.5, 30):
        assert result[f"within_{limit:g}"] == np.mean(angles < limit)
        shares = share_within(predicted, truth, limit)
        assert float(shares) == pytest.approx(np.mean(angles < limit), abs=1e-6)


def test_angles_of_equal_and_opposite_vectors():
    up = np.array([0, 1, 0], np.float32)
    tilted = np.array([0, math.cos(1e-6), math.sin(1e-6)])
    assert degrees_between(up, -up) == 180
    assert degrees_between(up, tilted) == pytest.approx(math.degrees(1e-6), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_predictions_without_direction_are_refused(value):
    predicted = _vectors(0, (3, 3))
    predicted[1, 1] = value
    with pytest.raises(
        UserError, match="1 predicted normals are not finite or have no"
    ):
        AngleMetrics().add(predicted, _vectors(1, (3, 3)))


def test_no_known_normal_is_refused():
    metrics = AngleMetrics()
    metrics.add(_vectors(0, (3, 3)), np.zeros((3, 3, 3), np.float32))
    with pytest.raises(UserError, match="no pixel has a known normal"):
        metrics.result()


@pytest.mark.parametrize(
    ("scale", "degrees", "mirror"),
    [(1, 0, -1), (1.5, 0, 1), (1, 20, 1), (1, 20, -1), (1.4, -15, -1)],
)
def test_turned_normals_are_those_of_the_cropped_depth(scale, degrees, mirror):
    """A crop is an image of the same camera: its depth has the turned normals."""
    camera, side = Camera(1.1, 1.1), 160
    x = ((np.arange(side) + 0.5) / side - 0.5) / 1.1
    # A slanted plane, which is exact.
    depth = 2 / (1 + 0.5 * x[None, :] - 0.3 * x[:, None])
    depth = depth.astype(np.float32)[None, ..., None]
    views = Views(
        scale=tf.constant([scale], tf.float32),
        angle=tf.constant([math.radians(degrees)], tf.float32),
        mirror=tf.constant([mirror], tf.float32),
        centre=tf.constant([[side / 2, side / 2]], tf.float32),
    )
    fit, size = PlaneFit(0.06, 0.5, 0.05), (side, side)
    whole = normals(depth[0, ..., 0], camera, fit)[None]
    turned = turn(crop_maps(whole, views, size), views)[0].numpy()
    expected = normals(crop_depths(depth, views, size)[0], camera, fit).numpy()
    known = turned.any(axis=-1) & expected.any(axis=-1)
    assert known.mean() > 0.5
    # Depth is sampled at its nearest pixel, which adds noise.
    angles = degrees_between(turned[known], expected[known])
    assert np.median(angles) < 0.7
    average = [_unit(vectors[known].mean(axis=0)) for vectors in (turned, expected)]
    assert degrees_between(*average) < 0.2
    np.testing.assert_allclose(np.linalg.norm(turned[known], axis=-1), 1, rtol=1e-5)


def test_unknown_normals_stay_unknown():
    views = Views(*(tf.constant([value]) for value in (1.2, 0.1, -1.0)), None)
    assert not turn(tf.zeros([1, 4, 4, 3]), views).numpy().any()


def test_predictions_are_unit_vectors_at_half_the_size():
    loaded = trunks.load(
        "random", checkpoint=None, depth="tiny", output_stride=16, seed=0
    )
    features = TrunkFeatures(loaded.trunk, "nyuv2_normals", 0.0)
    network = NormalsNetwork(features, (8, 8, 8), 0.5)
    images = tf.random.stateless_uniform([2, 32, 48, 3], [0, 0])
    predicted = network(images, training=True).numpy()
    assert predicted.shape == (2, 16, 24, 3)
    np.testing.assert_allclose(np.linalg.norm(predicted, axis=-1), 1, rtol=1e-4)
    resized = resize(predicted[0], (40, 60))
    assert resized.shape == (40, 60, 3)
    np.testing.assert_allclose(np.linalg.norm(resized, axis=-1), 1, rtol=1e-4)


def test_colours_of_walls_floors_and_unknown_pixels():
    vectors = np.array([[[0, 0, 1], [0, 1, 0], [0, 0, 0]]], np.float32)
    expected = [[[0.5, 0.5, 1], [0.5, 1, 0.5], [0.5, 0.5, 0.5]]]
    np.testing.assert_array_equal(colors(vectors), expected)


def _plane_scene(upwards):
    """A slope that faces up, and is bright, or faces down, and is dark."""
    y = ((np.arange(SIZE[0]) + 0.5) / SIZE[0] - 0.5) / 1.08
    slope = 0.8 if upwards else -0.8
    depth = np.tile(2 / (1 + slope * y)[:, None], (1, SIZE[1]))
    shade = 200 if upwards else 50
    return np.full((*SIZE, 3), shade, np.uint8), depth


def _settings(data, output, *texts):
    return resolve(
        Config,
        PRESETS,
        preset="tiny",
        overrides=(
            *("height=48", "width=64", "crop_height=48", "crop_width=64"),
            *("up_projection_1=8", "up_projection_2=8", "up_projection_3=8"),
            *("batch_size=4", "pictures=2", "fit_window=0.08", "batch_norm_images=8"),
            *("max_scale=1", "max_rotation=0", "color_range=0"),
            *("focal_x=1.08", "focal_y=1.08", "centre_x=0.5", "centre_y=0.5"),
            *texts,
        ),
        trunk="random",
        checkpoint=None,
        data=str(data),
        output=str(output),
        lasso=0.0,
        seed=0,
        mixed_precision=False,
    )


def test_chance_is_the_best_constant():
    """Three of five normals point up, two to the left or right of the camera."""
    up, left = np.array([0, 1, 0]), np.array([-0.6, 0, 0.8])
    directions = np.stack([up, up, up, left, left * [-1, 1, 1]])
    truth = _unit(directions + 0.02 * _vectors(0, (400, 5)))
    truth[0] = 0
    counts = NormalCounts()
    for part in np.array_split(truth, 3):
        counts.add(part)
    constants = counts.best_constants()
    assert tuple(constants) == NAMES
    assert degrees_between(constants["within_11.25"], up) < 2
    assert degrees_between(constants["angle_median"], up) < 3
    for name, constant in constants.items():
        measured = _measure(constant, truth)[name]
        for other in [*_vectors(1, (100,)), *directions, directions.mean(axis=0)]:
            worse = _measure(_unit(other), truth)[name]
            slack = 0.01 if name.startswith("within") else -0.5
            assert measured + slack >= worse if slack > 0 else measured + slack <= worse


def _measure(constant, truth):
    metrics = AngleMetrics()
    metrics.add(constant, truth)
    return metrics.result()


def test_sets_without_normals_are_refused(tmp_path):
    scenes = [(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE))] * 2
    depth_sets.write_depth_set(tmp_path / "set", {"train": scenes, "test": scenes})
    config = _settings(tmp_path, tmp_path / "run").config
    data = DepthDataset(str(tmp_path), config, dataset.NormalsExamples(config))
    with StopSignals() as stop, pytest.raises(UserError, match="has a surface normal"):
        best_constants(data, stop)


def test_a_batch_has_normals_at_the_size_of_the_depth(tmp_path):
    scenes = [_plane_scene(True)] * 2
    depth_sets.write_depth_set(tmp_path / "set", {"train": scenes, "test": scenes})
    config = _settings(tmp_path, tmp_path / "run").config
    data = DepthDataset(str(tmp_path), config, dataset.NormalsExamples(config))
    batch = next(iter(data.in_file_order(data.train)))
    assert batch["normals"].shape == (2, *SIZE, 3)
    known = batch["normals"].numpy()[batch["normals"].numpy().any(axis=-1)]
    assert len(known) > 0.8 * 2 * SIZE[0] * SIZE[1]
    truth = np.broadcast_to(_unit(np.array([0, 0.8, 1.0])), known.shape)
    assert degrees_between(known, truth).max() < 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fit_window=0.5", "fit_window=0.5: expected more than 0, up to 0.25"),
        ("fit_known=0.3", "fit_known=0.3: expected 0.5 to 1"),
        ("fit_error=0", "fit_error=0.0: expected more than 0"),
        ("focal_x=0", "focal_x=0.0: expected more than 0"),
        ("centre_y=2", "centre_y=2.0: expected 0 to 1"),
        ("crop_height=40", "crop_height=40: expected a multiple of 16"),
    ],
)
def test_bad_values_are_named(text, message, tmp_path):
    with pytest.raises(UserError, match=message):
        _settings(tmp_path, tmp_path, text)


@pytest.mark.slow
def test_it_learns_normals(tmp_path):
    """Slopes that face down are dark."""
    scenes = [_plane_scene(number % 2 == 0) for number in range(8)]
    depth_sets.write_depth_set(tmp_path / "set", {"train": scenes, "test": scenes})
    made = _settings(tmp_path / "set", tmp_path / "run", "steps=60")
    metrics = evaluation_run.run(Nyuv2Normals, made).metrics
    assert metrics["metrics"]["angle_mean"] < 15 < metrics["details"]["chance"]["mean"]
    with np.load(tmp_path / "run" / "predictions.npz") as arrays:
        assert arrays["normals"].shape == (8, 24, 32, 3)
    assert "normals.png" in os.listdir(tmp_path / "run" / "pictures")
