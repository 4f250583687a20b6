from __future__ import annotations

import numpy as np
import pytest
import skimage.color
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.images import ab_bins, device_resize, square_crops
from selfsup.tasks.colorization import Colorization, ColorizationConfig


@pytest.fixture
def task(tiny):
    return tiny("colorization")


@pytest.fixture
def batch(task, batch_of):
    return batch_of(task)


def test_inputs_are_lightness_and_targets_mean_colours(task, batch, monkeypatch):
    monkeypatch.setattr(square_crops, "random_mirror", lambda images, seed: images)
    images, targets = task.preprocess_batch(batch, tf.constant([1, 2]))
    lab = skimage.color.rgb2lab(device_resize.resize_canvases(batch, 64))
    for channel in range(3):
        np.testing.assert_allclose(images[..., channel], lab[..., 0] / 100, atol=1e-4)
    blocks = lab[..., 1:].reshape(4, 8, 8, 8, 8, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(targets["ab"], blocks, atol=2e-3)
    assert targets["indices"].shape == (4, 8, 8, 5)
    nearest = np.linalg.norm(blocks[..., None, :] - ab_bins.centres(), axis=-1)
    agree = nearest.argmin(-1) == targets["indices"][..., 0].numpy()
    assert agree.mean() > 0.99


def test_gray_photos_do_not_count(task, batch):
    gray = {**batch, "canvas": tf.repeat(batch["canvas"][..., :1], 3, axis=-1)}
    both = {key: tf.concat([batch[key], gray[key]], axis=0) for key in batch}
    _, colorful = task.preprocess_batch(batch, tf.constant([1, 2]))
    _, mixed = task.preprocess_batch(both, tf.constant([1, 2]))
    np.testing.assert_array_equal(mixed["colorful"], [1] * 4 + [0] * 4)
    logits = np.random.default_rng(0).normal(size=(8, 8, 8, 313)).astype(np.float32)
    for function in (task.metrics, lambda outputs, targets: task.chance(targets)):
        expected = function(tf.constant(logits[:4]), colorful)
        for name, value in function(tf.constant(logits), mixed).items():
            assert float(value) == pytest.approx(float(expected[name]), rel=1e-5)


def test_a_batch_of_gray_photos_gives_zero_and_no_gradient(task):
    canvas = tf.fill([2, 96, 96, 3], tf.constant(90, tf.uint8))
    gray = {"canvas": canvas, "extent": tf.constant([[64, 64], [80, 80]])}
    _, targets = task.preprocess_batch(gray, tf.constant([1, 2]))
    logits = tf.Variable(tf.random.stateless_normal([2, 8, 8, 313], [0, 1]))
    with tf.GradientTape() as tape:
        loss = task.loss(logits, targets)
    assert float(loss) == 0
    np.testing.assert_array_equal(tape.gradient(loss, logits), 0)


def test_losses_by_loops(task, batch):
    _, targets = task.preprocess_batch(batch, tf.constant([1, 2]))
    logits = np.random.default_rng(0).normal(size=(4, 8, 8, 313)).astype(np.float32)
    metrics = task.metrics(tf.constant(logits), targets)
    prior = ab_bins.imagenet_prior().astype(float)
    rarity = 1 / (0.5 * prior + 0.5 / 313)
    rarity /= (prior * rarity).sum()
    plain = weighted = hits = 0.0
    indices, weights = targets["indices"].numpy(), targets["weights"].numpy()
    for place in np.ndindex(4, 8, 8):
        row = logits[place].astype(float)
        log_probabilities = row - np.log(np.exp(row).sum())
        loss = -sum(
            w * log_probabilities[k] for k, w in zip(indices[place], weights[place])
        )
        plain += loss / 256
        weighted += loss * rarity[indices[place][0]] / 256
        hits += (row.argmax() == indices[place][0]) / 256
    assert float(metrics["unweighted_loss"]) == pytest.approx(plain, rel=1e-4)
    assert float(metrics["weighted_loss"]) == pytest.approx(weighted, rel=1e-4)
    assert float(metrics["accuracy"]) == pytest.approx(hits, abs=1e-6)
    trained = task.loss(tf.constant(logits), targets)
    assert float(trained) == pytest.approx(weighted, rel=1e-4)


def test_chance_is_the_score_of_the_prior(task, batch):
    _, targets = task.preprocess_batch(batch, tf.constant([1, 2]))
    chance = {key: float(value) for key, value in task.chance(targets).items()}
    prior = ab_bins.imagenet_prior()
    constant = np.broadcast_to(np.log(prior), (4, 8, 8, 313))
    scored = task.metrics(tf.constant(constant), targets)
    assert chance["unweighted_loss"] == pytest.approx(
        float(scored["unweighted_loss"]), rel=1e-4
    )
    assert chance["accuracy"] == pytest.approx(float(scored["accuracy"]))
    share = np.mean(targets["indices"].numpy()[..., 0] == prior.argmax())
    assert chance["accuracy"] == pytest.approx(share)


def _targets_like(prior):
    """Pixels whose colours are the bin centres, as often as the prior says."""
    counts = np.round(prior * 20000).astype(int)
    indices = np.repeat(np.arange(313), counts)
    indices = indices[: len(indices) // 4 * 4].reshape(1, 4, -1, 1)
    return {
        "indices": tf.constant(np.repeat(indices, 5, axis=-1), tf.int32),
        "weights": tf.constant(np.full(indices.shape[:3] + (5,), 0.2), tf.float32),
        "ab": tf.zeros(indices.shape[:3] + (2,)),
        "colorful": tf.ones([1]),
    }


def test_on_the_prior_itself_chance_is_the_best_constant(task):
    prior = ab_bins.imagenet_prior()
    targets = _targets_like(prior)
    chance = task.chance(targets)
    entropy = -np.sum(prior * np.log(prior))
    assert float(chance["unweighted_loss"]) == pytest.approx(entropy, rel=0.02)
    assert float(chance["accuracy"]) == pytest.approx(prior.max(), rel=0.02)
    shape = (1, 4, targets["ab"].shape[2], 313)
    for other in (prior, np.full(313, 1 / 313, np.float32)):
        logits = tf.broadcast_to(np.log(other), shape)
        scored = task.metrics(logits, targets)["weighted_loss"]
        assert float(scored) > float(chance["weighted_loss"])


def test_perfect_logits_score_perfectly_and_paint_the_truth(task, batch):
    images, targets = task.preprocess_batch(batch, tf.constant([1, 2]))
    logits = 20 * tf.one_hot(targets["indices"][..., 0], 313)
    assert float(task.metrics(logits, targets)["accuracy"]) == 1
    arrays = [images.numpy(), logits.numpy(), {"ab": targets["ab"].numpy()}]
    picture = task.pictures(*arrays)["gray_predicted_true"].astype(int)
    third = picture.shape[1] // 3
    painted, truth = picture[:, third : 2 * third], picture[:, 2 * third : 3 * third]
    gray = picture[:, :third]
    assert np.abs(painted - truth).mean() < 0.5 * np.abs(gray - truth).mean()


def test_a_measured_prior_replaces_imagenets(tiny, tmp_path, batch):
    prior = np.full(313, 0.5 / 312)
    prior[100] = 0.5
    path = tmp_path / "prior.csv"
    ab_bins.write_prior(path, prior)
    task = tiny("colorization", prior_file=str(path))
    targets = _targets_like(prior)
    assert float(task.chance(targets)["accuracy"]) == pytest.approx(0.5, rel=0.02)
    with pytest.raises(UserError, match=r"nowhere\.csv"):
        tiny("colorization", prior_file=str(tmp_path / "nowhere.csv"))


def test_fewer_bins_keep_the_most_frequent(tiny, batch, features):
    task = tiny("colorization", bins=40)
    images, targets = task.preprocess_batch(batch, tf.constant([1, 2]))
    assert int(tf.reduce_max(targets["indices"])) < 40
    outputs = task.build_head()(features(images))
    assert outputs.shape == (4, 8, 8, 40)
    assert np.isfinite(task.loss(outputs, targets))
    kept = {tuple(centre) for centre in task._centres}
    by_frequency = np.argsort(-ab_bins.imagenet_prior())[:40]
    assert kept == {tuple(ab_bins.centres()[k]) for k in by_frequency}


def test_the_number_of_neighbors_is_configurable(tiny, batch):
    targets = {}
    for neighbors in (5, 10):
        task = tiny("colorization", soft_encoding_neighbors=neighbors)
        _, targets[neighbors] = task.preprocess_batch(batch, tf.constant([1, 2]))
        assert targets[neighbors]["weights"].shape == (4, 8, 8, neighbors)
    np.testing.assert_array_equal(
        targets[5]["indices"], targets[10]["indices"][..., :5]
    )
    # The nearest five keep their proportions.
    first = targets[10]["weights"][..., :5]
    first /= tf.reduce_sum(first, axis=-1, keepdims=True)
    np.testing.assert_allclose(targets[5]["weights"], first, atol=1e-5)


def test_there_are_at_least_as_many_bins_as_neighbors():
    expected = r"bins=7: expected soft_encoding_neighbors=10 to 313"
    with pytest.raises(UserError, match=expected):
        Colorization(ColorizationConfig(bins=7, soft_encoding_neighbors=10))


def test_parameters_of_the_head(count_parameters):
    trained, moving = count_parameters(Colorization().build_head(), (2, 32, 32, 1024))
    convolutions = (
        (2 * 2 * 1024 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 313 + 313)
    )
    assert convolutions == 34_844_985
    assert trained == convolutions + 2 * 1024
    assert moving == 2 * 1024


def test_a_prior_with_empty_bins_needs_a_uniform_share(tiny, tmp_path):
    prior = np.full(313, 1 / 312)
    prior[100] = 0.0
    path = str(tmp_path / "prior.csv")
    ab_bins.write_prior(path, prior)
    with pytest.raises(UserError, match=r"uniform_share=0\.0: .* 1 of the 313 bins"):
        tiny("colorization", prior_file=path, uniform_share=0.0)
    # Without the empty bin, and with ImageNet's colours, weights are finite.
    for options in ({"prior_file": path, "bins": 312}, {}):
        task = tiny("colorization", uniform_share=0.0, **options)
        assert np.all(np.isfinite(task._rebalancing_weights))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_size", 100),
        ("bins", 314),
        ("soft_encoding_neighbors", 0),
        ("uniform_share", -0.1),
        ("uniform_share", 1.1),
        ("temperature", 0.0),
    ],
)
def test_bad_values_are_refused_by_name(key, value):
    with pytest.raises(UserError, match=rf"colorization\.{key}={value}: expected"):
        Colorization(ColorizationConfig(**{key: value}))
