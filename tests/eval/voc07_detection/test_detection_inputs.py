"""Boxes, canvases, the set and the batches of the detection evaluation."""

import dataclasses
import itertools

import numpy as np
import object_sets
import pytest
import tensorflow as tf
from object_sets import ColoredBox

from eval import complete_pass
from eval.voc07_detection import box_conventions, canvases, dataset, examples
from eval.voc07_detection.config import Config
from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline

CONFIG = Config(
    min_size=64, max_size=96, sizes=2, batch_size=2, test_size=64, test_batch_size=2
)
RED = ColoredBox((8, 4, 28, 24), 0)
BLUE = ColoredBox((20, 40, 44, 60), 2)
HARD = ColoredBox((2, 30, 12, 38), 1, difficult=True)


def test_boxes_to_voc_and_back():
    boxes = np.array([[0, 0, 1, 1], [4, 2, 20, 10]], np.float32)
    np.testing.assert_array_equal(
        box_conventions.to_voc(boxes), [[1, 1, 1, 1], [3, 5, 10, 20]]
    )
    np.testing.assert_array_equal(
        box_conventions.from_voc(box_conventions.to_voc(boxes)), boxes
    )
    assert box_conventions.to_voc(np.zeros([0, 4])).shape == (0, 4)


def test_sizes_of_training():
    assert canvases.training_sizes(Config()).tolist() == [480, 560, 640, 720, 800]
    assert canvases.training_sizes(Config(sizes=1)).tolist() == [480]


@pytest.mark.parametrize(
    ("image", "canvas", "resized"),
    [
        ((375, 500), (600, 800), (600, 800)),
        ((500, 375), (800, 600), (800, 600)),
        ((333, 500), (600, 1008), (600, 901)),
        ((500, 333), (1008, 600), (901, 600)),
        ((374, 500), (600, 1008), (600, 802)),
        ((281, 500), (600, 1008), (562, 1000)),
        ((500, 500), (600, 800), (600, 600)),
        ((100, 1000), (600, 1008), (100, 1000)),
        ((1, 3000), (600, 1008), (1, 1000)),
    ],
)
def test_images_fit_their_canvas(image, canvas, resized):
    sizes = tf.constant([image])
    np.testing.assert_array_equal(canvases.for_images(600, sizes), canvas)
    np.testing.assert_array_equal(canvases.resized(image, 600), resized)


def _published_rule(image, target, limit):
    """Faster R-CNN's public Python code: the scale, then OpenCV's rounding of sides."""
    scale = target / min(image)
    if round(scale * max(image)) > limit:
        scale = limit / max(image)
    return tuple(round(side * scale) for side in image)


@pytest.mark.parametrize("size", [480, 600, 720])
def test_sizes_follow_the_published_rule(size):
    """At 600 with the published limit of 1000, at other sizes in proportion."""
    rng = np.random.default_rng(0)
    for image in rng.integers(100, 501, [60, 2]).tolist():
        expected = _published_rule(image, size, size * 5 // 3)
        made = canvases.resized(image, size).numpy()
        # Halves may be rounded to the other side in float32.
        assert np.max(np.abs(made - expected)) <= 1, image
        canvas = canvases.for_images(size, tf.constant([image])).numpy()
        assert np.all(made <= canvas) and min(canvas) == size


def test_several_images_share_a_square_that_holds_the_longest():
    lying, wide = (375, 500), (333, 500)
    for images, side in [([lying, lying[::-1]], 800), ([lying, wide], 1008)]:
        canvas = canvases.for_images(600, tf.constant(images))
        np.testing.assert_array_equal(canvas, [side, side])


def test_what_follows_the_image_is_gray():
    image = np.full([40, 40, 3], 255, np.uint8)
    placed, size = canvases.place(image, tf.constant([64, 96]), 64)
    np.testing.assert_array_equal(size, [64, 64])
    np.testing.assert_allclose(placed[:, :64], 1.0)
    np.testing.assert_array_equal(placed[:, 64:], np.full([64, 32, 3], 0.5))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A set whose train split has a difficult object and an image without any."""
    folder = tmp_path_factory.mktemp("set")
    return object_sets.write(
        folder,
        {
            "train": [
                object_sets.record("V/a", [RED, HARD]),
                object_sets.record("V/b", [], size=(64, 48)),
            ],
            "validation": [object_sets.record("V/c", [HARD])],
            "test": [
                object_sets.record("V/d", [RED, BLUE, HARD]),
                object_sets.record("V/e", [], size=(64, 48)),
                object_sets.record("V/f", [BLUE]),
            ],
        },
    )


def test_trainval_is_both_splits(built):
    labelled = dataset.find(built)
    assert labelled.trainval.records == 3
    assert labelled.max_objects == 1
    assert labelled.counts == {
        "training_images": 3,
        "training_images_without_objects": 2,
        "training_objects": 1,
        "test_images": 3,
    }


def _training(built, position, count, config=CONFIG, seed=3):
    stream = examples.training(dataset.find(built), config, seed, position)
    return list(itertools.islice(stream.as_numpy_iterator(), count))


def test_boxes_move_with_their_images(built):
    """The red square's pixels are where its box says, mirrored or not."""
    lefts = set()
    for batch in _training(built, 0, 12):
        assert batch["image"].shape[1:3] in {(96, 96), (128, 128)}
        for image, all_boxes, classes in zip(
            batch["image"], batch["boxes"], batch["classes"]
        ):
            red = (image[..., 0] > 0.7) & (image[..., 1] < 0.4)
            assert red.any() == (classes[0] == 1)
            if not red.any():
                np.testing.assert_array_equal(all_boxes, [[-1] * 4])
                continue
            rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
            seen = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
            np.testing.assert_allclose(all_boxes[0], seen, atol=1.5)
            lefts.add(all_boxes[0, 1] / image.shape[1] > 0.3)
    assert lefts == {True, False}


def test_batches_follow_from_the_position(built):
    straight, resumed = _training(built, 0, 6), _training(built, 8, 2)
    for expected, batch in zip(straight[4:], resumed):
        for key, value in expected.items():
            np.testing.assert_array_equal(value, batch[key])
    other = _training(built, 0, 6, seed=4)
    assert any(
        a["image"].shape != b["image"].shape or np.any(a["image"] != b["image"])
        for a, b in zip(straight, other)
    )


def test_a_batch_of_one_has_the_shape_of_its_image(built):
    config = Config(min_size=64, max_size=64, sizes=1)
    shapes = {batch["image"].shape for batch in _training(built, 0, 6, config)}
    assert shapes == {(1, 64, 96, 3), (1, 96, 64, 3)}


@pytest.mark.parametrize(
    ("shape", "side"),
    [((48, 64), 96), ((64, 48), 96), ((60, 60), 96), ((60, 95), 112), ((30, 90), 112)],
)
def test_images_of_a_batch_are_as_large_as_alone_and_in_the_test(shape, side, tmp_path):
    images = [object_sets.record("V/a", [RED], size=shape)]
    folder = object_sets.write(tmp_path, {"train": images, "test": images})
    config = dataclasses.replace(CONFIG, min_size=64, max_size=64, test_size=64)
    batches = [
        _training(folder, 0, 1, dataclasses.replace(config, batch_size=size))[0]
        for size in (1, 3)
    ]
    assert batches[1]["image"].shape == (3, side, side, 3)
    serialized = complete_pass.serialized_records(dataset.find(folder).test)
    tested = next(examples.for_test(serialized, config).as_numpy_iterator())
    for batch in batches:
        np.testing.assert_array_equal(batch["size"][0], tested["size"][0])


def test_the_test_split_is_seen_once_and_whole(built):
    labelled = dataset.find(built)
    serialized = complete_pass.serialized_records(labelled.test)
    batches = list(examples.for_test(serialized, CONFIG).as_numpy_iterator())
    assert [batch["image"].shape for batch in batches] == [
        (2, 64, 96, 3),
        (1, 96, 64, 3),
    ]
    first, second = batches
    assert first["key"].tolist() == [b"V/d", b"V/f"]
    np.testing.assert_array_equal(first["old_size"], [[48, 64]] * 2)
    np.testing.assert_array_equal(first["boxes"][0], [RED.box, BLUE.box, HARD.box])
    np.testing.assert_array_equal(first["classes"], [[0, 2, 1], [2, -1, -1]])
    np.testing.assert_array_equal(first["difficult"][0], [False, False, True])
    assert second["boxes"].shape == (1, 0, 4)


ONE = [object_sets.record("V/a", [RED])]
NONE = [object_sets.record("V/b", [])]
BLANK = [object_sets.record("V/b 1", [RED])]
ONLY_HARD = [object_sets.record("V/c", [HARD])]


@pytest.mark.parametrize(
    ("splits", "changes", "message"),
    [
        ({"train": ONE}, {}, "no test split"),
        (
            {"train": ONE, "test": NONE},
            {"options": {"splits_without_annotations": ["test"]}},
            "no test split with boxes",
        ),
        ({"test": ONE}, {}, "neither a train nor a validation split"),
        ({"train": NONE, "test": ONE}, {}, "nothing to train on"),
        (
            {"train": ONLY_HARD, "test": ONE},
            {},
            "not difficult, so there is nothing to train on",
        ),
        ({"train": ONE, "test": ONE}, {"labels": ()}, "names no classes"),
        ({"train": ONE, "test": ONE}, {"labels": ("a/b",)}, "'a/b' has a slash"),
        ({"train": ONE, "test": BLANK}, {}, "'b 1' has a blank in its name"),
        ({"train": ONE, "test": ONE * 2}, {}, "two test images have the id 'a'"),
        ({"train": ONE, "test": ONE}, {"kind": manifest.PHOTOS}, r"found 0; .*photos"),
    ],
)
def test_sets_that_will_not_do(tmp_path, splits, changes, message):
    object_sets.write(tmp_path, splits, **changes)
    with pytest.raises(UserError, match=message):
        dataset.find(str(tmp_path))


def test_two_sets_are_one_too_many(tmp_path):
    for name in "ab":
        object_sets.write(tmp_path / name, {"train": ONE, "test": ONE})
    with pytest.raises(UserError, match=r"expected one set with boxes.*found 2"):
        dataset.find(str(tmp_path))


def test_classes_beyond_the_manifest(tmp_path):
    wrong = [object_sets.record("V/a", [BLUE])]
    object_sets.write(tmp_path, {"train": wrong, "test": ONE}, labels=("red", "green"))
    with pytest.raises(UserError, match="not one of the 2 of the manifest"):
        dataset.find(str(tmp_path))


def test_a_damaged_shard_is_named(tmp_path):
    folder = object_sets.write(tmp_path, {"train": ONE * 3, "test": ONE})
    path = tmp_path / "train-00000.tfrecord"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match="train-00000"):
        dataset.find(folder)


def test_a_shard_that_ends_early_is_damaged(tmp_path):
    """Empty, or cut between two records: TensorFlow reads either without an error."""
    folder = object_sets.write(tmp_path, {"train": ONE, "test": ONE})
    (tmp_path / "test-00000.tfrecord").write_bytes(b"")
    with pytest.raises(UserError, match=r"test-00000|no whole record"):
        dataset.find(folder)
    records = object_sets.write(tmp_path / "two", {"train": ONE * 2, "test": ONE})
    shard = tmp_path / "two" / "train-00000.tfrecord"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with pytest.raises(UserError, match=r"not of the size.*train-00000"):
        dataset.find(records)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_size": 7}, "crop_size=7: expected an even number"),
        ({"min_size": 31}, "min_size=31: expected 32 or more"),
        ({"batch_size": 0}, "batch_size=0: expected 1 or more"),
        ({"steps": 0}, "steps=0: expected 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected more than 0"),
        ({"momentum": 1.0}, "momentum=1.0: expected 0 to less than 1"),
    ],
)
def test_bad_hyperparameters(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)


def test_examples_say_what_stands_in(built):
    _, replaced = pipeline.split_replaced_shard(_training(built, 0, 1)[0])
    np.testing.assert_array_equal(replaced, [-1, -1])
