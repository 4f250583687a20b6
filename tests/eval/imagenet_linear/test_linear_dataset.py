"""Which set is taken, what is refused, and what the streams hold."""

import labelled_photos
import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear import dataset
from eval.imagenet_linear.config import Config
from selfsup.data import manifest, pipeline
from selfsup.errors import UserError

CLASSES = labelled_photos.CLASSES


@pytest.fixture(scope="module")
def found(photos):
    return dataset.find(photos)


def test_what_a_set_holds(found):
    assert found.classes == CLASSES
    assert found.description()["classes"] == 6
    train, test = dataset.count_labels(found)
    np.testing.assert_array_equal(train, [12] * 6)
    np.testing.assert_array_equal(test, [5] * 6)


def test_test_stands_in_for_validation(tmp_path):
    labels = {"train": [0, 1], "test": [0, 1]}
    made = dataset.find(labelled_photos.write(tmp_path / "set", labels))
    assert made.test_split == "test"


GOOD = {"train": [0, 1], "validation": [0, 1]}


@pytest.mark.parametrize(
    ("splits", "options", "message"),
    [
        (GOOD, {"classes": ()}, "expected one labelled set of photos"),
        (GOOD, {"kind": manifest.OBJECTS}, r"found 0 among: .*objects, 6 classes"),
        ({"train": [0, 0], "validation": [0]}, {"classes": ["a"]}, "the one class 'a'"),
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
        ([0, 1, -1, 0], [0, 1], r"split train: 1 photos .* have the label -1"),
        ([0, 1], [0, 7], r"split validation: .* label 7; expected 0 to 5"),
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
        dataset.count_labels(made)


def test_a_damaged_shard_ends_every_pass(tmp_path):
    splits = {"train": [0, 1] * 4, "validation": [0, 1]}
    folder = labelled_photos.write(tmp_path / "set", splits)
    shard = tmp_path / "set" / "train-00001.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-9])
    made = dataset.find(folder)
    with pytest.raises(UserError, match=r"shard is damaged.*train-00001"):
        dataset.count_labels(made)
    with pytest.raises(UserError, match="damaged"):
        list(dataset.in_file_order(made.train, 48, 2))
    with pytest.raises(UserError, match=r"train-00001.tfrecord: is damaged"):
        list(dataset.sample(made.train, 48, 2, 8, seed=0))


def _keys(batches):
    return [key for batch in batches for key in batch["key"].numpy()]


def test_passes_hold_every_photo_once(found):
    keys = _keys(dataset.in_file_order(found.test, 48, 8))
    assert sorted(keys) == sorted(b"validation/%d.jpg" % n for n in range(30))
    drawn = _keys(dataset.sample(found.train, 48, 8, 40, seed=1))
    assert len(set(drawn)) == len(drawn) == 40
    assert drawn == _keys(dataset.sample(found.train, 48, 8, 40, seed=1))
    assert drawn != _keys(dataset.sample(found.train, 48, 8, 40, seed=2))
    assert len(_keys(dataset.sample(found.train, 48, 8, 1000, seed=1))) == 72


def _first(found, **changes):
    examples = dataset.TrainingPhotos(Config(image_size=48, **changes))
    batches = pipeline.training_batches(examples, found.train, 0, 0, 8)
    return next(iter(batches))


def test_training_crops_differ_with_augmentation_alone(found):
    augmented, plain = _first(found), _first(found, augment=False)
    np.testing.assert_array_equal(augmented["label"], plain["label"])
    assert augmented["image"].shape == plain["image"].shape == (8, 48, 48, 3)
    assert augmented["image"].dtype == tf.uint8
    assert np.any(augmented["image"].numpy() != plain["image"].numpy())


def test_mirroring_and_colours_follow_from_the_seed_and_can_be_off(found):
    config = Config(image_size=48)
    images = _first(found, augment=False)["image"]
    seed = tf.constant([0, 1])
    once, again = (dataset.augmented(images, config, seed) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    other = dataset.augmented(images, config, tf.constant([0, 2]))
    assert np.any(once.numpy() != other.numpy())
    assert np.min(once) >= 0.0 and np.max(once) <= 1.0
    same = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    off = Config(image_size=48, mirror=False, **same)
    np.testing.assert_allclose(
        dataset.augmented(images, off, seed), dataset.to_float(images), atol=1e-5
    )
    none = Config(image_size=48, augment=False)
    np.testing.assert_array_equal(
        dataset.augmented(images, none, seed), dataset.to_float(images)
    )
