"""The only TFRecord schema, shared by the builders (writers) and training (reader).

| feature             | type  | meaning                                             |
|---------------------|-------|-----------------------------------------------------|
| image/encoded       | bytes | JPEG or PNG, upright, decodes to 3 channels of uint8 |
| image/height, width | int64 | pixels                                              |
| image/key           | bytes | input path relative to the input folder (UTF-8)     |
| image/label         | int64 | class index, -1 where there is none                 |
| video/frame         | int64 | frame index from 0, -1 for a photo                  |
| motion_mask/encoded | bytes | PNG, uint8 [H/8, W/8]: 0 background, 1 foreground,  |
|                     |       | 255 ignore; empty for a photo                       |
"""

import tensorflow as tf

IMAGE = "image"
LABEL = "label"
MOTION_MASK = "motion_mask"
MASK_STRIDE = 8
MASK_IGNORE = 255
NO_LABEL = -1


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int64(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))


def serialize(
    *, key, encoded, height, width, label=NO_LABEL, frame=-1, motion_mask=b""
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
    """
    feature = {
        "image/encoded": _bytes(encoded),
        "image/height": _int64(height),
        "image/width": _int64(width),
        "image/key": _bytes(key.encode("utf-8", "backslashreplace")),
        "image/label": _int64(label),
        "video/frame": _int64(frame),
        "motion_mask/encoded": _bytes(motion_mask),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def parse(serialized, features):
    """Decodes one record; to be mapped over a dataset of serialized examples.

    Args:
      serialized: scalar string tensor.
      features: which of `IMAGE`, `LABEL`, `MOTION_MASK` to decode.

    Returns:
      dict of "key" (string) and the features asked for: "image" uint8 [H, W, 3],
      "label" int64 [], "motion_mask" uint8 [H / 8, W / 8, 1].
    """
    spec = {"image/key": tf.io.FixedLenFeature([], tf.string)}
    if IMAGE in features:
        spec["image/encoded"] = tf.io.FixedLenFeature([], tf.string)
    if LABEL in features:
        spec["image/label"] = tf.io.FixedLenFeature([], tf.int64)
    if MOTION_MASK in features:
        spec["motion_mask/encoded"] = tf.io.FixedLenFeature([], tf.string)
    values = tf.io.parse_single_example(serialized, spec)
    parsed = {"key": values["image/key"]}
    if IMAGE in features:
        image = tf.io.decode_image(
            values["image/encoded"], channels=3, expand_animations=False
        )
        parsed["image"] = tf.ensure_shape(image, [None, None, 3])
    if LABEL in features:
        parsed["label"] = values["image/label"]
    if MOTION_MASK in features:
        parsed["motion_mask"] = tf.io.decode_png(
            values["motion_mask/encoded"], channels=1
        )
    return parsed
