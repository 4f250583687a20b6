"""The only TFRecord schema, shared by the builders (writers) and training (reader).

| feature             | type  | meaning                                             |
|---------------------|-------|-----------------------------------------------------|
| image/encoded       | bytes | JPEG or PNG, upright, decodes to 3 channels of uint8 |
| image/height, width | int64 | pixels                                              |
| image/key           | bytes | input path relative to the input folder (UTF-8)     |
| image/label         | int64 | class index, -1 where there is none                 |
| video/frame         | int64 | frame index from 0, -1 for a photo                  |
| motion_mask/encoded | bytes | PNG, uint8 [H/8, W/8]: 0 background, 1 foreground,  |
|                     |       | 255 ignore; empty where there is none               |
| object/box          | float | N x 4: ymin, xmin, ymax, xmax; edges in pixels from |
|                     |       | 0, so that a box covers rows ymin to ymax - 1       |
| object/class        | int64 | N class indices                                     |
| object/difficult    | int64 | N of 0 or 1: VOC's "difficult"                      |
| depth/encoded       | bytes | PNG, uint16 [H, W], 0 where unknown; empty where    |
|                     |       | there is none                                       |
| depth/unit          | float | metres a step of depth/encoded                      |
"""

import tensorflow as tf

from selfsup.common import files

IMAGE = "image"
LABEL = "label"
MOTION_MASK = "motion_mask"
BOXES = "boxes"
DEPTH = "depth"
MASK_STRIDE = 8
MASK_IGNORE = 255
NO_LABEL = -1
# What an error of the input pipeline begins with that a record's content is to blame for.
BAD_RECORD = "bad record"


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int64(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, values)))


def _float(*values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=map(float, values)))


def serialize(
    *,
    key,
    encoded,
    height,
    width,
    label=NO_LABEL,
    frame=-1,
    motion_mask=b"",
    boxes=(),
    classes=(),
    difficult=(),
    depth=b"",
    depth_unit=0.0,
):
    """Returns one record as serialized `tf.train.Example` bytes.

    Args:
      key: str, the input's path relative to the input folder; what is not Unicode
        in a file name is stored as `\\udcXX`.
      encoded: bytes of a JPEG or PNG that is upright and not CMYK.
      height, width: its size in pixels.
      label: class index, or -1.
      frame: index of the video frame, or -1 for a photo.
      motion_mask: PNG bytes, uint8 [height / 8, width / 8] of 0, 1 and 255, or b"".
      boxes: [N, 4] floats (ymin, xmin, ymax, xmax), edges in pixels from 0. VOC's
        (xmin, ymin, xmax, ymax), which count from 1 and include their last pixel,
        are (ymin - 1, xmin - 1, ymax, xmax) here.
      classes: [N] class indices of the boxes.
      difficult: [N] of 0 or 1.
      depth: PNG bytes, uint16 [height, width], 0 where unknown, or b"".
      depth_unit: metres a step of `depth`.
    """
    feature = {
        "image/encoded": _bytes(encoded),
        "image/height": _int64(height),
        "image/width": _int64(width),
        "image/key": _bytes(files.as_utf8(key).encode()),
        "image/label": _int64(label),
        "video/frame": _int64(frame),
        "motion_mask/encoded": _bytes(motion_mask),
        "object/box": _float(*(edge for box in boxes for edge in box)),
        "object/class": _int64(*classes),
        "object/difficult": _int64(*difficult),
        "depth/encoded": _bytes(depth),
        "depth/unit": _float(depth_unit),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def parse(serialized, features):
    """Decodes one record; to be mapped over a dataset of serialized examples.

    Args:
      serialized: scalar string tensor.
      features: which of `IMAGE`, `LABEL`, `MOTION_MASK`, `BOXES` and `DEPTH` to
        decode.

    Returns:
      dict of "key" (string) and the features asked for: "image" uint8 [H, W, 3],
      "label" int64 [], "motion_mask" uint8 [H / 8, W / 8, 1]; with `BOXES` "boxes"
      float32 [N, 4] (see `serialize`), "classes" int64 [N] and "difficult" bool [N];
      "depth" float32 [H, W, 1] in metres, 0 where unknown.
    """
    spec = {"image/key": tf.io.FixedLenFeature([], tf.string)}
    for feature in features:
        spec.update(_SPECS[feature])
    values = tf.io.parse_single_example(serialized, spec)
    parsed = {"key": values["image/key"]}
    for feature in features:
        parsed.update(_DECODERS[feature](values))
    return parsed


def _decode_image(values):
    image = tf.io.decode_image(
        values["image/encoded"], channels=3, expand_animations=False
    )
    return {"image": tf.ensure_shape(image, [None, None, 3])}


def _decode_label(values):
    return {"label": values["image/label"]}


def _decode_motion_mask(values):
    return {"motion_mask": tf.io.decode_png(values["motion_mask/encoded"], channels=1)}


def _decode_boxes(values):
    return {
        "boxes": tf.reshape(values["object/box"], [-1, 4]),
        "classes": values["object/class"],
        "difficult": tf.cast(values["object/difficult"], tf.bool),
    }


def _decode_depth(values):
    steps = tf.io.decode_png(values["depth/encoded"], channels=1, dtype=tf.uint16)
    return {"depth": tf.cast(steps, tf.float32) * values["depth/unit"]}


def _scalar(name, dtype):
    return {name: tf.io.FixedLenFeature([], dtype)}


def _list(name, dtype):
    return {name: tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)}


_SPECS = {
    IMAGE: _scalar("image/encoded", tf.string),
    LABEL: _scalar("image/label", tf.int64),
    MOTION_MASK: _scalar("motion_mask/encoded", tf.string),
    BOXES: {
        **_list("object/box", tf.float32),
        **_list("object/class", tf.int64),
        **_list("object/difficult", tf.int64),
    },
    DEPTH: {
        **_scalar("depth/encoded", tf.string),
        **_scalar("depth/unit", tf.float32),
    },
}
_DECODERS = {
    IMAGE: _decode_image,
    LABEL: _decode_label,
    MOTION_MASK: _decode_motion_mask,
    BOXES: _decode_boxes,
    DEPTH: _decode_depth,
}
