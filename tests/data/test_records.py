import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from selfsup.data import records


def _encoded(kind, mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def _mask():
    """Returns the PNG of a motion mask with all values, and its pixels [3, 5, 1]."""
    pixels = np.array([0, 1, records.MASK_IGNORE, 1, 0] * 3, np.uint8).reshape(3, 5)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), pixels[..., None]


def _parse(serialized, *features):
    """Parses a record in tf.data, as training does."""
    dataset = tf.data.Dataset.from_tensors(serialized)
    dataset = dataset.map(lambda record: records.parse(record, features))
    return next(dataset.as_numpy_iterator())


def test_all_features_come_back():
    encoded, (mask, pixels) = _encoded("PNG"), _mask()
    later = _encoded("JPEG")
    serialized = records.serialize(
        key="a/b.mp4", encoded=encoded, height=24, width=40, label=7, frame=3,
        motion_mask=mask, second_frame=(8, later),
    )  # fmt: skip
    parsed = _parse(serialized, "image", "label", "motion_mask", "second_frame")
    assert parsed["key"] == b"a/b.mp4"
    assert parsed["label"] == 7
    np.testing.assert_array_equal(parsed["image"], tf.io.decode_png(encoded))
    np.testing.assert_array_equal(parsed["motion_mask"], pixels)
    np.testing.assert_array_equal(parsed["second_frame"], tf.io.decode_jpeg(later))
    assert records.read_raw(serialized)["video/second_frame"] == 8


def test_records_without_a_second_frame_are_as_before():
    """Their checksums do not depend on the version that wrote them."""
    record = records.serialize(key="k", encoded=_encoded("PNG"), height=24, width=40)
    assert b"second_frame" not in record
    raw = records.read_raw(record)
    assert (raw["second_frame/encoded"], raw["video/second_frame"]) == (b"", -1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="second_frame/encoded"):
        _parse(record, "second_frame")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_images_have_three_channels(kind, mode):
    record = records.serialize(
        key="k", encoded=_encoded(kind, mode), height=24, width=40
    )
    image = _parse(record, "image")["image"]
    assert image.shape == (24, 40, 3) and image.dtype == np.uint8
    if mode == "L":
        assert (image == image[..., :1]).all()


def test_only_requested_features_are_decoded():
    record = records.serialize(key="k", encoded=b"no image", height=1, width=1)
    assert _parse(record).keys() == {"key"}
    assert _parse(record, "label")["label"] == records.NO_LABEL


def test_stored_fields_are_those_of_the_table():
    record = records.serialize(key="k", encoded=b"x", height=2, width=3)
    example = tf.train.Example.FromString(record)
    documented = records.__doc__
    for name in example.features.feature:
        assert name.split("/")[0] in documented
    values = example.features.feature
    assert values["image/height"].int64_list.value == [2]
    assert values["image/width"].int64_list.value == [3]
    assert values["video/frame"].int64_list.value == [-1]
    assert values["motion_mask/encoded"].bytes_list.value == [b""]


def test_serialization_is_reproducible():
    fields = {"key": "k", "encoded": b"x" * 99, "height": 2, "width": 3, "label": 1}
    assert records.serialize(**fields) == records.serialize(**fields)


def test_names_that_are_not_unicode_stay_readable():
    record = records.serialize(key="caf\udce9.jpg", encoded=b"", height=1, width=1)
    assert _parse(record)["key"] == rb"caf\udce9.jpg"
