"""Images on canvases: batches for training, for statistics and for the test."""

import tensorflow as tf

from eval.voc07_detection import canvases
from eval.voc07_detection.dataset import usable
from selfsup.data import pipeline, records

_FEATURES = (records.IMAGE, records.BOXES)
_SIZE_DRAW, _FLIP_DRAW = 0, 1
_ABSENT = -1


def training(dataset, config, seed, position):
    """Batches from a position of the stream on, for ever.

    A batch has one size of `canvases.training_sizes`, its images are mirrored or not;
    all of it follows from seed and position.

    Args:
      dataset: a `Dataset`.
      config: the evaluation's `Config`.
      seed: int.
      position: number of examples consumed so far.

    Returns:
      tf.data.Dataset of dicts: "image" float32 [B, H, W, 3] in [0, 1], "size" float32
      [B, 2], the image's height and width in the canvas, "boxes" float32 [B, M, 4] in
      its pixels, "classes" int32 [B, M] from 1, 0 being background, rows of -1 behind
      an image's objects, and `pipeline.REPLACED_SHARD`.
    """
    positions = tf.data.Dataset.counter(position)
    stream = pipeline.record_stream(dataset.trainval, seed, position)
    examples = tf.data.Dataset.zip((positions, stream)).map(
        lambda at, element: _example(element, pipeline.example_seed(seed, at)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    batches = examples.padded_batch(
        config.batch_size,
        padded_shapes=_padded_shapes(dataset.max_objects),
        padding_values=_PADDING,
        drop_remainder=True,
    )
    numbered = batches.enumerate(position // config.batch_size)
    sizes = canvases.training_sizes(config)

    def on_canvas(number, batch):
        draw = _uniform(pipeline.example_seed(seed, number), _SIZE_DRAW)
        index = tf.cast(draw * len(sizes), tf.int32)
        return _on_canvas(batch, tf.gather(sizes, index))

    made = numbered.map(
        on_canvas, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return made.prefetch(2)


_PADDING = {
    "image": tf.constant(0, tf.uint8),
    "size": 0,
    "boxes": float(_ABSENT),
    "classes": _ABSENT,
    pipeline.REPLACED_SHARD: 0,
}


def _padded_shapes(max_objects):
    return {
        "image": [None, None, 3],
        "size": [2],
        "boxes": [max_objects, 4],
        "classes": [max_objects],
        pipeline.REPLACED_SHARD: [],
    }


def _example(element, seed):
    serialized, stand_in = element
    record = records.parse(serialized, _FEATURES)
    boxes, classes = usable(record)
    image, boxes = _mirrored(record["image"], boxes, _uniform(seed, _FLIP_DRAW) < 0.5)
    return {
        "image": image,
        "size": tf.shape(image)[:2],
        "boxes": boxes,
        "classes": tf.cast(classes, tf.int32) + 1,
        pipeline.REPLACED_SHARD: stand_in,
    }


def _mirrored(image, boxes, wanted):
    """Left and right exchanged where `wanted`, a scalar bool."""
    width = tf.cast(tf.shape(image)[1], tf.float32)
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    other = tf.stack([ymin, width - xmax, ymax, width - xmin], 1)
    return (
        tf.where(wanted, image[:, ::-1], image),
        tf.where(wanted, other, boxes),
    )


def _uniform(seed, draw):
    """A number in [0, 1), another for each `draw`."""
    seed = tf.random.experimental.stateless_fold_in(seed, draw)
    return tf.random.stateless_uniform([], seed)


def _on_canvas(batch, size):
    """Resizes a padded batch to the canvas of the shorter side `size`."""
    old = batch["size"]
    canvas = canvases.for_images(size, old)
    images, new = tf.map_fn(
        lambda one: canvases.place(one[0][: one[1][0], : one[1][1]], canvas, size),
        (batch["image"], old),
        fn_output_signature=(tf.float32, tf.float32),
    )
    boxes = canvases.scale_boxes(batch["boxes"], tf.cast(old, tf.float32), new)
    absent = batch["classes"][..., tf.newaxis] == _ABSENT
    return {
        **batch,
        "image": tf.ensure_shape(images, [old.shape[0], None, None, 3]),
        "size": tf.ensure_shape(new, [old.shape[0], 2]),
        "boxes": tf.where(absent, float(_ABSENT), boxes),
    }


def whole(serialized, config):
    """One pass over records in batches of images of one canvas.

    Args:
      serialized: tf.data.Dataset of serialized records.
      config: the evaluation's `Config`.

    Returns:
      tf.data.Dataset of dicts: "image" and "size" as of `training`, at `test_size`;
      "old_size" float32 [B, 2], height and width before; "key" string [B]; and of the
      true objects, before resizing, "boxes" float32 [B, N, 4], "classes" int64 [B, N]
      from 0 and "difficult" bool [B, N], with rows of -1 behind an image's. The last
      batches may be smaller.
    """
    examples = serialized.map(
        lambda one: _test_example(one, config.test_size),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    padding = {
        key: tf.constant(_ABSENT, tf.as_dtype(spec.dtype))
        if key in ("boxes", "classes")
        else None
        for key, spec in examples.element_spec.items()
    }
    size = config.test_batch_size
    return examples.group_by_window(
        lambda one: _canvas_number(tf.shape(one["image"], tf.int64)),
        lambda _, group: group.padded_batch(size, padding_values=padding),
        window_size=size,
    ).prefetch(2)


def _canvas_number(shape):
    """Another int64 for each height and width."""
    return shape[0] * (1 << 31) + shape[1]


def _test_example(serialized, size):
    record = records.parse(serialized, _FEATURES)
    old = tf.shape(record["image"])[:2]
    canvas = canvases.for_images(size, old[tf.newaxis])
    image, new = canvases.place(record["image"], canvas, size)
    return {**record, "image": image, "size": new, "old_size": tf.cast(old, tf.float32)}
