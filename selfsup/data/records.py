"""The TFRecord schema: how builders write records and how everything reads them.

| feature             | type  | meaning                                             |
|---------------------|-------|-----------------------------------------------------|
| image/encoded       | bytes | JPEG or PNG, upright, decodes to 3 channels of uint8 |
| image/height, width | int64 | size in pixels                                      |
| image/key           | bytes | input path relative to the input folder (UTF-8)     |
| image/label         | int64 | class index; -1 without a label                     |
| video/frame         | int64 | frame index from 0; -1 for a photo                  |
| motion_mask/encoded | bytes | PNG, uint8 [H/8, W/8]: 0 background, 1 foreground,  |
|                     |       | 255 ignore; empty without a mask                    |
| second_frame/encoded| bytes | JPEG of a later frame of the same shot, of the same  |
|                     |       | size; only in sets with pairs of frames             |
| video/second_frame  | int64 | its frame index; only in sets with pairs of frames  |
| object/box          | float | N x 4: ymin, xmin, ymax, xmax; edges in pixels from |
|                     |       | 0, so that a box covers rows ymin to ymax - 1       |
| object/class        | int64 | N class indices                                     |
| object/difficult    | int64 | N values, 0 or 1: VOC's "difficult"                 |
| depth/encoded       | bytes | PNG, uint16 [H, W], 0 for unknown; empty without    |
|                     |       | depth                                               |
| depth/unit          | float | metres per step of depth/encoded                    |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypedDict, Union, cast

import tensorflow as tf
from google.protobuf.message import DecodeError

from selfsup.common import files

# What `parse` can decode. `ENCODED` is the undecoded image; the other names are also
# those of `Manifest.features`.
ENCODED = "encoded"
IMAGE = "image"
LABEL = "label"
MOTION_MASK = "motion_mask"
BOXES = "boxes"
DEPTH = "depth"
SECOND_FRAME = "second_frame"
# Features that only frames of videos have.
VIDEO_FEATURES = (MOTION_MASK, SECOND_FRAME)
MASK_STRIDE = 8
MASK_IGNORE = 255
NO_LABEL = -1
NO_FRAME = -1
# First words of an error of the input pipeline that a record's content causes.
BAD_RECORD = "bad record"

_Scalar = Union[bytes, int, float]


class _Field(NamedTuple):
    """How the schema stores a feature.

    Attributes:
      kind: "bytes", "int64" or "float".
      default: value for records written before the feature existed; None where every
        record has the feature.
      is_list: whether the feature holds a list, which may be empty.
    """

    kind: str
    default: _Scalar | None = None
    is_list: bool = False


_SCHEMA = {
    "image/encoded": _Field("bytes"),
    "image/height": _Field("int64"),
    "image/width": _Field("int64"),
    "image/key": _Field("bytes"),
    "image/label": _Field("int64", NO_LABEL),
    "video/frame": _Field("int64", NO_FRAME),
    "motion_mask/encoded": _Field("bytes", b""),
    "second_frame/encoded": _Field("bytes", b""),
    "video/second_frame": _Field("int64", NO_FRAME),
    "object/box": _Field("float", is_list=True),
    "object/class": _Field("int64", is_list=True),
    "object/difficult": _Field("int64", is_list=True),
    "depth/encoded": _Field("bytes", b""),
    "depth/unit": _Field("float", 0.0),
}

RawRecord = TypedDict(
    "RawRecord",
    {
        "image/encoded": bytes,
        "image/height": int,
        "image/width": int,
        "image/key": bytes,
        "image/label": int,
        "video/frame": int,
        "motion_mask/encoded": bytes,
        "second_frame/encoded": bytes,
        "video/second_frame": int,
        "object/box": "list[float]",
        "object/class": "list[int]",
        "object/difficult": "list[int]",
        "depth/encoded": bytes,
        "depth/unit": float,
    },
)


def serialize(
    *,
    key: str,
    encoded: bytes,
    height: int,
    width: int,
    label: int = NO_LABEL,
    frame: int = NO_FRAME,
    motion_mask: bytes = b"",
    second_frame: tuple[int, bytes] | None = None,
    boxes: Iterable[Sequence[float]] = (),
    classes: Iterable[int] = (),
    difficult: Iterable[int] = (),
    depth: bytes = b"",
    depth_unit: float = 0.0,
) -> bytes:
    """Returns one record as serialized `tf.train.Example` bytes.

    Args:
      key: the input's path relative to the input folder. Bytes of a file name that are
        not Unicode are stored as `\\udcXX`.
      encoded: JPEG or PNG file content of an image that is upright and not CMYK.
      height: image height in pixels.
      width: image width in pixels.
      label: class index, or -1.
      frame: index of the video frame, or -1 for a photo.
      motion_mask: PNG bytes, uint8 [height / 8, width / 8] of 0, 1 and 255, or b"".
      second_frame: index and JPEG bytes of a later frame of the same shot, which has the
        same size; None for a record without a pair.
      boxes: [N, 4] floats (ymin, xmin, ymax, xmax), edges in pixels from 0. VOC's
        (xmin, ymin, xmax, ymax) count from 1 and include the last pixel, so VOC's box is
        (ymin - 1, xmin - 1, ymax, xmax) here.
      classes: [N] class indices of the boxes.
      difficult: [N] values, 0 or 1.
      depth: PNG bytes, uint16 [height, width], 0 for unknown, or b"".
      depth_unit: metres per step of `depth`.
    """
    values: dict[str, list[_Scalar]] = {
        "image/encoded": [encoded],
        "image/height": [height],
        "image/width": [width],
        "image/key": [files.as_utf8(key).encode()],
        "image/label": [label],
        "video/frame": [frame],
        "motion_mask/encoded": [motion_mask],
        "object/box": [edge for box in boxes for edge in box],
        "object/class": [*classes],
        "object/difficult": [*difficult],
        "depth/encoded": [depth],
        "depth/unit": [depth_unit],
    }
    if second_frame is not None:
        # Other records have no such fields, so their bytes are those of older builds.
        index, image = second_frame
        values["video/second_frame"] = [index]
        values["second_frame/encoded"] = [image]
    feature = {
        name: _feature(_SCHEMA[name].kind, items) for name, items in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def _feature(kind: str, items: list[_Scalar]) -> tf.train.Feature:
    if kind == "bytes":
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=items))
    # NumPy numbers are converted, as the protocol buffers do not take all of them.
    if kind == "int64":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, items)))
    return tf.train.Feature(float_list=tf.train.FloatList(value=map(float, items)))


def read_raw(serialized: bytes) -> RawRecord:
    """Reads all features of a record without TensorFlow operations or decoding.

    Returns:
      dict of Python values by name of the schema. Features that the record was written
      without have their defaults.

    Raises:
      ValueError: the bytes are not a record, or a required feature is missing.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except DecodeError as error:
        raise ValueError("is not a tf.train.Example") from error
    values: dict[str, _Scalar | list[_Scalar] | None] = {}
    for name, field in _SCHEMA.items():
        items: list[_Scalar] = []
        if name in features:
            items = list(getattr(features[name], f"{field.kind}_list").value)
        if field.is_list:
            values[name] = items
        elif items or field.default is not None:
            values[name] = items[0] if items else field.default
        else:
            raise ValueError(f"has no {name}")
    return cast(RawRecord, values)


def parse(serialized: tf.Tensor, features: Iterable[str]) -> dict[str, tf.Tensor]:
    """Decodes one record inside a `tf.data` pipeline.

    A feature that the caller then does not use costs nothing in a graph.

    Args:
      serialized: scalar string tensor.
      features: which of `ENCODED`, `IMAGE`, `LABEL`, `MOTION_MASK`, `SECOND_FRAME`,
        `BOXES` and `DEPTH` to decode.

    Returns:
      dict of "key" (scalar string) and the requested features: "encoded" (scalar
      string, the image file), "image" uint8 [H, W, 3], "label" int64 [], "motion_mask"
      uint8 [H / 8, W / 8, 1]; "second_frame" uint8 [H, W, 3]; for `BOXES` "boxes"
      float32 [N, 4] (see `serialize`), "classes" int64 [N] and "difficult" bool [N];
      "depth" float32 [H, W, 1] in metres, 0 for unknown.
    """
    features = tuple(features)
    values = tf.io.parse_single_example(serialized, feature_spec(features))
    parsed = {"key": values["image/key"]}
    for feature in features:
        parsed.update(_DECODERS[feature](values))
    return parsed


def feature_spec(features: Iterable[str]) -> dict[str, tf.io.FixedLenFeature]:
    """The argument of `tf.io.parse_example` for "image/key" and some features.

    Args:
      features: as in `parse`.

    Returns:
      dict by name of the schema.
    """
    names = ["image/key"]
    names += [name for feature in features for name in _STORED_AS[feature]]
    return {name: _parsing_rule(_SCHEMA[name]) for name in names}


def _parsing_rule(field: _Field) -> tf.io.FixedLenFeature:
    dtype = {"bytes": tf.string, "int64": tf.int64, "float": tf.float32}[field.kind]
    if field.is_list:
        return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)
    return tf.io.FixedLenFeature([], dtype)


def _decode_encoded(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"encoded": values["image/encoded"]}


def _decode_image(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"image": _decode_colors(values["image/encoded"])}


def _decode_colors(encoded: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def _decode_label(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"label": values["image/label"]}


def _decode_motion_mask(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"motion_mask": tf.io.decode_png(values["motion_mask/encoded"], channels=1)}


def _decode_second_frame(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"second_frame": _decode_colors(values["second_frame/encoded"])}


def _decode_boxes(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {
        "boxes": tf.reshape(values["object/box"], [-1, 4]),
        "classes": values["object/class"],
        "difficult": tf.cast(values["object/difficult"], tf.bool),
    }


def _decode_depth(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    steps = tf.io.decode_png(values["depth/encoded"], channels=1, dtype=tf.uint16)
    return {"depth": tf.cast(steps, tf.float32) * values["depth/unit"]}


_STORED_AS = {
    ENCODED: ("image/encoded",),
    IMAGE: ("image/encoded",),
    LABEL: ("image/label",),
    MOTION_MASK: ("motion_mask/encoded",),
    SECOND_FRAME: ("second_frame/encoded",),
    BOXES: ("object/box", "object/class", "object/difficult"),
    DEPTH: ("depth/encoded", "depth/unit"),
}
_DECODERS: dict[str, Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]] = {
    ENCODED: _decode_encoded,
    IMAGE: _decode_image,
    LABEL: _decode_label,
    MOTION_MASK: _decode_motion_mask,
    SECOND_FRAME: _decode_second_frame,
    BOXES: _decode_boxes,
    DEPTH: _decode_depth,
}
