"""The choice of the set, refused sets, and the content of the streams."""

import labelled_photos
import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear import dataset, photo_streams
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.held_out import is_held_out
from eval.trunk_features import trunk_input
from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline

CLASSES = labelled_photos.CLASSES


@pytest.fixture(scope="module")
def labelled(photos):
    return dataset.find(photos)


def test_what_a_set_holds(labelled):
    assert labelled.classes == CLASSES
    assert labelled.description()["classes"] == 6
    counts = dataset.count_labels(labelled, 0.0)
    np.testing.assert_array_equal(counts.trained, [12] * 6)
    np.testing.assert_array_equal(counts.held_out, [0] * 6)
    np.testing.assert_array_equal(counts.tested, [5] * 6)


SHARE = 0.2


def _keys_held_out(keys):
    return {key for key in keys if is_held_out(tf.constant(key), SHARE)}


def test_what_is_held_out_is_read_and_trained_on_apart(labelled):
    every = {b"train/%d.jpg" % number for number in range(72)}
    expected = _keys_held_out(every)
    assert 5 < len(expected) < 30
    counts = dataset.count_labels(labelled, SHARE)
    assert counts.held_out.sum() == len(expected)
    np.testing.assert_array_equal(counts.trained + counts.held_out, [12] * 6)
    assert counts.tested.sum() == 30
    held_out = photo_streams.in_file_order(
        labelled.train, 48, 8, keep=lambda key: is_held_out(key, SHARE)
    )
    assert sorted(_keys(held_out)) == sorted(expected)
    others = photo_streams.sample(
        labelled.train, 48, 8, 1000, 0, keep=lambda key: ~is_held_out(key, SHARE)
    )
    assert sorted(_keys(others)) == sorted(every - expected)


@pytest.mark.parametrize(
    "task", [photo_streams.TrainingPhotos, photo_streams.TrainingKeys]
)
def test_examples_say_whether_they_are_held_out(labelled, task):
    examples = task(Config(image_size=48, held_out_share=SHARE))
    batch = next(iter(pipeline.training_batches(examples, labelled.train, 0, 0, 72)))
    keys = photo_streams.TrainingKeys(Config(held_out_share=SHARE))
    keys = next(iter(pipeline.training_batches(keys, labelled.train, 0, 0, 72)))["key"]
    expected = is_held_out(keys, SHARE)
    np.testing.assert_array_equal(batch["held_out"], expected)
    assert np.any(expected)


def test_a_share_that_holds_nothing_out_is_refused(labelled):
    with pytest.raises(UserError, match="none of the 72 training photos is held out"):
        dataset.count_labels(labelled, 1e-5)


def test_a_class_that_is_held_out_as_a_whole_is_named(tmp_path):
    held_out = sorted(_keys_held_out(b"train/%d.jpg" % number for number in range(80)))
    labels = [int(b"train/%d.jpg" % number == held_out[0]) for number in range(80)]
    splits = {"train": labels, "validation": [0, 1]}
    made = dataset.find(labelled_photos.write(tmp_path / "set", splits))
    with pytest.raises(
        UserError, match="all photos of across are held out: use a lower"
    ):
        dataset.count_labels(made, SHARE)


def _slow_centre(image, size):
    """The middle 7/8 of each side, averaged to a square by areas."""
    height, width = image.shape[:2]
    rows, columns = height // 16, width // 16
    image = image[rows : height - rows, columns : width - columns].astype(np.float64)
    taller, wider = image.shape[0] // size, image.shape[1] // size
    return image.reshape(size, taller, size, wider, 3).mean(axis=(1, 3))


def test_tests_see_the_middle_that_slims_evaluation_sees():
    y, x = np.mgrid[:256, :512] / 255.0
    image = np.stack([60 + 120 * y, 60 + 50 * x, 200 - 90 * y * x / 2], axis=-1)
    cropped = photo_streams.centre_crop(tf.constant(np.uint8(image)), 56)
    assert cropped.dtype == tf.uint8
    assert cropped.shape == (56, 56, 3)
    np.testing.assert_allclose(cropped, _slow_centre(np.uint8(image), 56), atol=2.0)
    # Photos that are smaller than the crop are made larger.
    tiny = photo_streams.centre_crop(tf.fill([8, 16, 3], tf.constant(7, tf.uint8)), 56)
    np.testing.assert_array_equal(tiny, np.full([56, 56, 3], 7))


def test_the_test_split_serves_without_validation(tmp_path):
    labels = {"train": [0, 1], "test": [0, 1]}
    made = dataset.find(labelled_photos.write(tmp_path / "set", labels))
    assert made.test_split == "test"


GOOD = {"train": [0, 1], "validation": [0, 1]}


@pytest.mark.parametrize(
    ("splits", "options", "message"),
    [
        (GOOD, {"classes": ()}, "expected one labelled set of photos"),
        (GOOD, {"kind": manifest.OBJECTS}, r"found 0 among: .*objects, 6 classes"),
        (
            {"train": [0, 0], "validation": [0]},
            {"classes": ["a"]},
            "only the class 'a'",
        ),
        ({"train": [0, 1]}, {}, r"validation or test; it has .*'validation': 0"),
        ({"validation": [0, 1]}, {}, r"expected photos in the split train"),
    ],
)
def test_sets_that_cannot_be_used_are_named(tmp_path, splits, options, message):
    labelled_photos.write(tmp_path / "set", splits, **options)
    with pytest.raises(UserError, match=message):
        dataset.find(str(tmp_path))


def test_two_labelled_sets_are_one_too_many(tmp_path):
    for name in "ab":
        labelled_photos.write(tmp_path / name, GOOD)
    with pytest.raises(UserError, match="found 2 among"):
        dataset.find(str(tmp_path))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([0, 1, -1, 0], [0, 1], r"split train: at least 1 photos .* such as -1"),
        ([0, 1], [0, 7], r"split validation: .* such as 7; expected 0 to 5"),
        ([0, 1], [0, 3], "1 are tested and have no training photo: checks"),
        ([2, 2], [2, 2], "all training photos are of one class"),
    ],
)
def test_labels_that_cannot_be_used_are_named(
    tmp_path, monkeypatch, train, test, message
):
    texture = labelled_photos.photo
    monkeypatch.setattr(
        labelled_photos, "photo", lambda key, label: texture(key, label % 6)
    )
    splits = {"train": train, "validation": test}
    made = dataset.find(labelled_photos.write(tmp_path / "set", splits))
    with pytest.raises(UserError, match=message):
        dataset.count_labels(made, 0.0)


def test_a_damaged_shard_ends_every_pass(tmp_path):
    splits = {"train": [0, 1] * 4, "validation": [0, 1]}
    folder = labelled_photos.write(tmp_path / "set", splits)
    shard = tmp_path / "set" / "train-00001.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-9])
    made = dataset.find(folder)
    with pytest.raises(UserError, match=r"shard is damaged.*train-00001"):
        dataset.count_labels(made, 0.0)
    with pytest.raises(UserError, match="damaged"):
        list(photo_streams.in_file_order(made.train, 48, 2))
    with pytest.raises(UserError, match=r"train-00001.tfrecord: this shard is damaged"):
        list(photo_streams.sample(made.train, 48, 2, 8, seed=0))


def _keys(batches):
    return [key for batch in batches for key in batch["key"].numpy()]


def test_passes_hold_every_photo_once(labelled):
    keys = _keys(photo_streams.in_file_order(labelled.test, 48, 8))
    assert sorted(keys) == sorted(b"validation/%d.jpg" % n for n in range(30))
    drawn = _keys(photo_streams.sample(labelled.train, 48, 8, 40, seed=1))
    assert len(set(drawn)) == len(drawn) == 40
    assert drawn == _keys(photo_streams.sample(labelled.train, 48, 8, 40, seed=1))
    assert drawn != _keys(photo_streams.sample(labelled.train, 48, 8, 40, seed=2))
    assert len(_keys(photo_streams.sample(labelled.train, 48, 8, 1000, seed=1))) == 72


def _first(labelled, **changes):
    examples = photo_streams.TrainingPhotos(Config(image_size=48, **changes))
    batches = pipeline.training_batches(examples, labelled.train, 0, 0, 8)
    return next(iter(batches))


def test_training_crops_differ_with_augmentation_alone(labelled):
    augmented, plain = _first(labelled), _first(labelled, augment=False)
    np.testing.assert_array_equal(augmented["label"], plain["label"])
    assert augmented["image"].shape == plain["image"].shape == (8, 48, 48, 3)
    assert augmented["image"].dtype == tf.uint8
    assert np.any(augmented["image"].numpy() != plain["image"].numpy())


def test_mirroring_and_colours_follow_from_the_seed_and_can_be_off(labelled):
    config = Config(image_size=48)
    images = _first(labelled, augment=False)["image"]
    seed = tf.constant([0, 1])
    once, again = (photo_streams.augmented(images, config, seed) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    other = photo_streams.augmented(images, config, tf.constant([0, 2]))
    assert np.any(once.numpy() != other.numpy())
    assert np.min(once) >= 0.0 and np.max(once) <= 1.0
    same = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    off = Config(image_size=48, mirror=False, **same)
    np.testing.assert_allclose(
        photo_streams.augmented(images, off, seed), trunk_input(images), atol=1e-5
    )
    none = Config(image_size=48, augment=False)
    np.testing.assert_array_equal(
        photo_streams.augmented(images, none, seed), trunk_input(images)
    )
