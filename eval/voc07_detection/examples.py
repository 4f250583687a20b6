"""Images on canvases: batches for training, for statistics and for the test."""

from __future__ import annotations

import tensorflow as tf

from eval.voc07_detection import canvases
from eval.voc07_detection.config import Config
from eval.voc07_detection.dataset import Dataset, usable
from selfsup.data import pipeline, records

_FEATURES = (records.IMAGE, records.BOXES)
_SIZE_DRAW, _FLIP_DRAW = 0, 1
_ABSENT = -1


def training(
    dataset: Dataset, config: Config, seed: int, position: int
) -> tf.data.Dataset:
    """Returns endless training batches.

    Each batch has one of the sizes of `canvases.training_sizes`, and each image may be
    mirrored. Seed and position determine everything.

    Args:
      dataset: the data set.
      config: the hyperparameters.
      seed: seed of the order, the sizes and the mirroring.
      position: number of examples consumed so far.

    Returns:
      tf.data.Dataset of dicts: "image" float32 [B, H, W, 3] in [0, 1]; "size" float32
      [B, 2], height and width of the image on the canvas; "boxes" float32 [B, M, 4], in
      its pixels, and "classes" int32 [B, M] from 1 (0 is background), both padded with
      rows of -1; and `pipeline.REPLACED_SHARD`.
    """
    positions = tf.data.Dataset.counter(position)
    stream = pipeline.record_stream(dataset.trainval, seed, position)
    examples = tf.data.Dataset.zip((positions, stream)).map(
        lambda number, element: _example(element, pipeline.example_seed(seed, number)),
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

    def on_canvas(
        number: tf.Tensor, batch: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        draw = _uniform(pipeline.example_seed(seed, number), _SIZE_DRAW)
        index = tf.cast(draw * len(sizes), tf.int32)
        return _on_canvas(batch, tf.gather(sizes, index))

    return numbered.map(
        on_canvas, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).prefetch(2)


_PADDING = {
    "image": tf.constant(0, tf.uint8),
    "size": 0,
    "boxes": float(_ABSENT),
    "classes": _ABSENT,
    pipeline.REPLACED_SHARD: 0,
}


def _padded_shapes(max_objects: int) -> dict[str, list[int | None]]:
    return {
        "image": [None, None, 3],
        "size": [2],
        "boxes": [max_objects, 4],
        "classes": [max_objects],
        pipeline.REPLACED_SHARD: [],
    }


def _example(
    element: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Parses and mirrors one training example, at its own size."""
    serialized, replaced = element
    record = records.parse(serialized, _FEATURES)
    boxes, classes = usable(record)
    image, boxes = _mirrored(record["image"], boxes, _uniform(seed, _FLIP_DRAW) < 0.5)
    return {
        "image": image,
        "size": tf.shape(image)[:2],
        "boxes": boxes,
        "classes": tf.cast(classes, tf.int32) + 1,
        pipeline.REPLACED_SHARD: replaced,
    }


def _mirrored(
    image: tf.Tensor, boxes: tf.Tensor, mirror: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Exchanges left and right of an image and its boxes if `mirror`, a bool scalar."""
    width = tf.cast(tf.shape(image)[1], tf.float32)
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    mirrored_boxes = tf.stack([ymin, width - xmax, ymax, width - xmin], 1)
    return (
        tf.where(mirror, image[:, ::-1], image),
        tf.where(mirror, mirrored_boxes, boxes),
    )


def _uniform(seed: tf.Tensor, draw: int) -> tf.Tensor:
    """A random number in [0, 1), different for each `draw`."""
    seed = tf.random.experimental.stateless_fold_in(seed, draw)
    return tf.random.stateless_uniform([], seed)


def _on_canvas(batch: dict[str, tf.Tensor], size: tf.Tensor) -> dict[str, tf.Tensor]:
    """Resizes a padded batch and places it on the canvas of the shorter side `size`."""
    old = batch["size"]
    canvas = canvases.for_images(size, old)

    def place(inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        image, image_size = inputs
        return canvases.place(image[: image_size[0], : image_size[1]], canvas, size)

    images, new = tf.map_fn(
        place, (batch["image"], old), fn_output_signature=(tf.float32, tf.float32)
    )
    boxes = canvases.scale_boxes(batch["boxes"], tf.cast(old, tf.float32), new)
    absent = batch["classes"][..., tf.newaxis] == _ABSENT
    return {
        **batch,
        "image": tf.ensure_shape(images, [old.shape[0], None, None, 3]),
        "size": tf.ensure_shape(new, [old.shape[0], 2]),
        "boxes": tf.where(absent, float(_ABSENT), boxes),
    }


def for_test(serialized: tf.data.Dataset, config: Config) -> tf.data.Dataset:
    """Reads records once, in batches of images on canvases of the same size.

    Args:
      serialized: tf.data.Dataset of serialized records, scalar strings.
      config: the hyperparameters.

    Returns:
      tf.data.Dataset of dicts: "image" and "size" as in `training`, at `test_size`;
      "old_size" float32 [B, 2], height and width before resizing; "key" string [B]; and
      the true objects before resizing: "boxes" float32 [B, N, 4] and "classes" int64
      [B, N] from 0, padded with -1, and "difficult" bool [B, N]. The last batches may be
      smaller.
    """
    examples = serialized.map(
        lambda record: _test_example(record, config.test_size),
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
        lambda example: _canvas_number(tf.shape(example["image"], tf.int64)),
        lambda _, group: group.padded_batch(size, padding_values=padding),
        window_size=size,
    ).prefetch(2)


def _canvas_number(shape: tf.Tensor) -> tf.Tensor:
    """A different int64 for each height and width."""
    return shape[0] * (1 << 31) + shape[1]


def _test_example(serialized: tf.Tensor, size: int) -> dict[str, tf.Tensor]:
    record = records.parse(serialized, _FEATURES)
    old = tf.shape(record["image"])[:2]
    canvas = canvases.for_images(size, old[tf.newaxis])
    image, new = canvases.place(record["image"], canvas, size)
    return {**record, "image": image, "size": new, "old_size": tf.cast(old, tf.float32)}
