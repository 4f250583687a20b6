from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from skimage import transform

from selfsup.common.errors import UserError
from selfsup.images import exemplar_augmentation, resize
from selfsup.tasks import exemplar
from selfsup.tasks.exemplar import Exemplar, ExemplarConfig


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(6, 2, 10)).astype(np.float32)


TARGETS = {"negative": tf.constant([3, 0, 1, 5, 2, 4])}


def _distance_reference(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    lengths = [sum(x * x for x in v) ** 0.5 for v in (a, b)]
    return 1 - dot / (lengths[0] * lengths[1])


def _loss_reference(vectors, negatives, margin=0.5):
    losses = []
    for index, negative in enumerate(negatives):
        anchor, positive = vectors[index].astype(float)
        other = vectors[negative, 1].astype(float)
        near, far = (
            _distance_reference(anchor, positive),
            _distance_reference(anchor, other),
        )
        losses.append(max(near - far + margin, 0))
    return sum(losses) / len(losses)


def test_random_triplet_loss_by_loops(tiny, vectors):
    loss = tiny("exemplar").loss(tf.constant(vectors), TARGETS)
    expected = _loss_reference(vectors, TARGETS["negative"].numpy())
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def _semi_hard_reference(distances):
    chosen = []
    for index, row in enumerate(distances):
        others = [d for k, d in enumerate(row) if k != index]
        farther = [d for d in others if d > row[index]]
        chosen.append(min(farther) if farther else max(others))
    return chosen


def test_semi_hard_distances_by_loops():
    distances = np.random.default_rng(1).random((7, 7)).astype(np.float32)
    distances[2, 2] = 1.5  # No negative is farther away than this positive.
    chosen = exemplar.semi_hard_distances(tf.constant(distances))
    np.testing.assert_allclose(chosen, _semi_hard_reference(distances), rtol=1e-6)
    assert float(chosen[2]) == np.delete(distances[2], 2).max()


def test_semi_hard_loss_by_loops(tiny, vectors):
    distances = np.array(
        [[_distance_reference(a, p) for p in vectors[:, 1]] for a in vectors[:, 0]]
    )
    negatives = _semi_hard_reference(distances)
    losses = [max(distances[k, k] - n + 0.5, 0) for k, n in enumerate(negatives)]
    loss = tiny("exemplar", negatives="semi_hard").loss(tf.constant(vectors), TARGETS)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("negatives", ["random", "semi_hard"])
def test_loss_ignores_the_scale_of_each_vector_but_not_the_rest(
    tiny, vectors, negatives
):
    task = tiny("exemplar", negatives=negatives)
    loss = float(task.loss(tf.constant(vectors), TARGETS))
    scales = np.random.default_rng(2).uniform(0.1, 10, (6, 2, 1)).astype(np.float32)
    scaled = task.loss(tf.constant(vectors * scales), TARGETS)
    assert float(scaled) == pytest.approx(loss, rel=1e-4)
    # The loss would not change if vectors were normalised over the batch instead.
    turned = vectors.copy()
    turned[0, 1] = turned[0, 0]
    assert float(task.loss(tf.constant(turned), TARGETS)) < loss - 1e-3


def test_extreme_distances():
    first = tf.constant([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    second = tf.constant([[5.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    distances = exemplar.cosine_distance(first, second)
    np.testing.assert_allclose(distances, [0, 1, 2], atol=1e-6)


def test_collapse_is_visible(tiny):
    task = tiny("exemplar")
    metrics = task.metrics(tf.ones([6, 2, 10]), TARGETS)
    assert float(metrics["mean_distance"]) == pytest.approx(0, abs=1e-6)
    assert float(metrics["triplet_loss"]) == pytest.approx(0.5, abs=1e-6)
    assert float(metrics["satisfied"]) == 0


def test_perfect_vectors_have_no_loss(tiny):
    task = tiny("exemplar")
    perfect = tf.repeat(tf.eye(6)[:, None], 2, axis=1)
    metrics = task.metrics(perfect, TARGETS)
    assert float(metrics["satisfied"]) == 1 and float(metrics["triplet_loss"]) == 0
    assert float(metrics["mean_distance"]) == pytest.approx(1)
    assert float(task.loss(perfect, TARGETS)) == 0


def test_negatives_are_any_other_photo(tiny, batch_of):
    task = tiny("exemplar")
    examples = batch_of(task)
    seen = [set() for _ in range(4)]
    for n in range(30):
        _, targets = task.preprocess_batch(examples, tf.constant([n, 1]))
        for index, negative in enumerate(targets["negative"].numpy()):
            seen[index].add(negative)
    assert seen == [set(range(4)) - {index} for index in range(4)]


def test_anchor_and_positive_show_the_same_place_differently(tiny):
    """Two warps of a photo overlap, and each photo has a colour of its own."""
    colors = tf.constant([[200, 30, 30], [30, 200, 30], [30, 30, 200]], tf.uint8)
    photos = tf.tile(colors[:, None, None, :], [1, 64, 64, 1])
    y = tf.range(64)[None, :, None, None]
    photos = tf.where(y % 9 < 4, photos, tf.cast(photos // 3, tf.uint8))
    task = tiny("exemplar")
    centres = tf.fill([6, 2], 31.0)
    warps = exemplar_augmentation.draw_warps(centres, task.config.patch_size, [2, 3])
    examples = {"image": photos, "warps": tf.reshape(warps, [3, 2, 8])}
    images, _ = task.preprocess_batch(examples, tf.constant([1, 5]))
    pairs = images.numpy().reshape(3, 2, 32, 32, 3)
    strongest = pairs.mean(axis=(2, 3)).argmax(axis=-1)
    np.testing.assert_array_equal(strongest, [[0, 0], [1, 1], [2, 2]])
    assert np.abs(pairs[:, 0] - pairs[:, 1]).mean() > 0.02


@pytest.mark.parametrize("size", [(256, 256), (375, 500), (500, 333)])
@pytest.mark.parametrize(("image_size", "patch_size"), [(256, 96), (160, 64)])
def test_patches_of_a_window_are_those_of_the_whole_photo(
    size, image_size, patch_size, monkeypatch
):
    """The window has all pixels of its warps, including reflections at the border."""
    photo = transform.resize(skimage.data.astronaut(), size, anti_aliasing=True)
    photo = tf.cast(150 + 100 * photo, tf.uint8)
    record = {"encoded": tf.io.encode_png(photo)}
    whole = resize.resize(photo, image_size, image_size)
    whole = tf.cast(whole, tf.float32)[None].numpy()
    config = ExemplarConfig(image_size=image_size, patch_size=patch_size)
    task = Exemplar(config)
    seeds = tf.stack([tf.range(40), tf.fill([40], 7)], axis=1)

    def examples():
        return tf.map_fn(
            lambda seed: task.preprocess_example(record, seed),
            seeds,
            fn_output_signature={"image": tf.uint8, "warps": tf.float32},
        )

    cut = examples()
    side = cut["image"].shape[1]
    assert side == min(2 * exemplar_augmentation.reach(patch_size) + 1, image_size)
    # With this reach, the window is the whole photo, and so are the warps' coordinates.
    monkeypatch.setattr(exemplar_augmentation, "reach", lambda _: image_size)
    in_photo = tf.reshape(examples()["warps"], [-1, 8])
    patches = exemplar_augmentation.warp(
        np.repeat(tf.cast(cut["image"], tf.float32), 2, axis=0),
        tf.reshape(cut["warps"], [-1, 8]),
        patch_size,
    ).numpy()
    expected = exemplar_augmentation.warp(
        np.repeat(whole, 80, axis=0), in_photo, patch_size
    ).numpy()
    assert np.abs(patches - expected).mean(axis=(1, 2, 3)).max() < 3
    # Pixels outside of the window are black, and no warp reaches them.
    assert patches.min() > 140
    assert (cut["image"].numpy() == 0).mean() > 0.1
    low, high = exemplar_augmentation.visible_range(in_photo, patch_size)
    assert low.numpy().min() < 0 and high.numpy().max() > image_size


def test_head_keeps_pairs_together(tiny):
    head = tiny("exemplar").build_head()
    features = np.random.default_rng(0).normal(size=(6, 4, 4, 8)).astype(np.float32)
    vectors = head(features).numpy()
    assert vectors.shape == (3, 2, 16)
    single = head(features[2:4]).numpy()
    np.testing.assert_allclose(single[0], vectors[1], rtol=1e-4, atol=1e-5)


def test_parameters_of_the_head(count_parameters):
    trained, moving = count_parameters(Exemplar().build_head(), (4, 12, 12, 1024))
    unit1 = 1024 * 128 + 9 * 128 * 128 + 128 * 1024 + 1024
    unit2 = 1024 * 128 + 9 * 128 * 128 + 128 * 512 + 512 + (1024 * 512 + 512)
    norms = 2 * (1024 + 2 * 128)
    assert trained == unit1 + unit2 + 2 * norms == 1_285_120
    assert moving == 2 * norms


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("margin", -0.1),
        ("negatives", "hard"),
        ("image_size", 64),
        ("patch_size", 90),
    ],
)
def test_bad_values_are_refused_by_name(key, value):
    with pytest.raises(UserError, match=rf"exemplar\.{key}={value}: expected"):
        Exemplar(ExemplarConfig(**{key: value}))
