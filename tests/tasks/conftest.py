"""Fixtures: records, tiny configurations and a small network instead of the trunk."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from selfsup.data import pipeline, records
from selfsup.keras import keras
from selfsup.tasks import task_class

# Values by field name, so that they also apply to new tasks with such fields.
TINY = {
    "batch_size": 4,
    "image_size": 64,
    "height": 48,
    "width": 64,
    "grids": 2,
    "grid_rows": 2,
    "grid_columns": 3,
    "patch_size": 32,
    "gap": 16,
    "jitter": 3,
    "min_pixels": 10_000,
    "max_pixels": 30_000,
    "resample_smallest": 8,
    "head_channels": 32,
    "channels": 32,
    "unit1_channels": 32,
    "unit2_channels": 16,
    "bottleneck_channels": 8,
    "fc_bottleneck_channels": 32,
    "kind": "resnet_v2",
    "depth": "tiny",
    "classes": 5,
}


def tiny_task(name, **changes):
    cls = task_class(name)
    fields = {field.name for field in dataclasses.fields(cls.Config)}
    values = {key: value for key, value in TINY.items() if key in fields}
    return cls(dataclasses.replace(cls.Config(), **{**values, **changes}))


def photos():
    """A small square, a wide, a tall, a tiny and a gray photo: uint8 [H, W, 3]."""
    astronaut, cat = skimage.data.astronaut(), skimage.data.chelsea()
    coffee = skimage.data.coffee()
    gray = np.repeat(skimage.data.camera()[..., None], 3, axis=-1)
    return [astronaut[::3, ::3], cat[:70], coffee[:, :60], cat[100:119, :23], gray[::4]]


def mask_for(photo):
    """A disc of foreground and an ignored band: uint8 [H/8, W/8, 1]."""
    height, width = (max(1, side // 8) for side in photo.shape[:2])
    y, x = np.mgrid[:height, :width]
    mask = (np.hypot(y - height / 2, x - width / 2) < height / 3).astype(np.uint8)
    mask[:, : width // 5] = records.MASK_IGNORE
    return mask[..., None]


def moved(photo):
    """The photo after a pan of 3 pixels: uint8 [H, W, 3]."""
    return np.roll(photo, 3, axis=1)


def boxes_for(photo):
    """The left half and the lower half: ymin, xmin, ymax, xmax in pixels."""
    height, width = photo.shape[:2]
    return [(0, 0, height, width // 2), (height // 2, 0, height, width)]


def depth_for(photo):
    """A floor that recedes upward, unknown on the left: uint16 [H, W, 1], in mm."""
    height, width = photo.shape[:2]
    depth = np.tile(np.linspace(4000, 1000, height)[:, None], [1, width])
    depth[:, : width // 5] = 0
    return depth.astype(np.uint16)[..., None]


@pytest.fixture(scope="session")
def serialized():
    """Serialized records of all photos, in the format of the builders."""
    return [
        records.serialize(
            key=f"{index}.png",
            encoded=tf.io.encode_png(photo).numpy(),
            height=photo.shape[0],
            width=photo.shape[1],
            label=index,
            frame=index,
            motion_mask=tf.io.encode_png(mask_for(photo)).numpy(),
            second_frame=(index + 5, tf.io.encode_png(moved(photo)).numpy()),
            boxes=boxes_for(photo),
            classes=[0, 1],
            difficult=[0, 0],
            depth=tf.io.encode_png(depth_for(photo)).numpy(),
            depth_unit=0.001,
        )
        for index, photo in enumerate(photos())
    ]


@pytest.fixture(scope="session")
def dataset_of(serialized):
    """`dataset_of(task, *seeds)`: for each seed, an example of each photo."""

    def build(task, *seeds):
        photos = tf.data.Dataset.from_tensor_slices(serialized).enumerate()
        # One graph for all seeds: tracing takes longer than the examples.
        dataset = tf.data.Dataset.from_tensor_slices(list(seeds or (0,))).flat_map(
            lambda seed: photos.map(lambda index, record: (seed, index, record))
        )

        def example(seed, index, record):
            parsed = pipeline.parse(record, task.features)
            return task.preprocess_example(
                parsed, tf.stack([seed, tf.cast(index, tf.int32)])
            )

        return dataset.map(example)

    return build


@pytest.fixture(scope="session")
def batch_of(dataset_of):
    """`batch_of(task, seed=0)`: a batch of the first four photos."""

    @functools.cache
    def batch(task, seed=0):
        return next(iter(dataset_of(task, seed).batch(4)))

    # A test may change its dictionary, but not the tensors.
    return lambda task, seed=0: dict(batch(task, seed))


class Features(keras.layers.Layer):
    """Two convolutions instead of the tiny trunk: 192 channels at stride 8."""

    def __init__(self):
        super().__init__()
        self.convs = [
            keras.layers.Conv2D(width, 5, strides, "same", activation=activation)
            for width, strides, activation in ((16, 4, "relu"), (192, 2, None))
        ]

    def call(self, images):
        for conv in self.convs:
            images = conv(images)
        return images


@pytest.fixture(scope="session")
def features():
    keras.utils.set_random_seed(1)
    return Features()


@pytest.fixture(scope="session")
def tiny():
    return tiny_task


@pytest.fixture
def train(batch_of):
    """`train(task)`: losses of twenty steps on a single batch."""

    def run(task, steps=20):
        keras.utils.set_random_seed(1)
        features, head = Features(), task.build_head()
        images, targets = task.preprocess_batch(batch_of(task), tf.constant([1, 2]))
        optimizer = keras.optimizers.Adam(1e-2)

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                outputs = head(features(images), training=True)
                loss = task.loss(outputs, targets)
            variables = features.trainable_variables + head.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables))
            return loss

        return [float(step()) for _ in range(steps)]

    return run


@pytest.fixture
def count_parameters():
    """`count_parameters(head, shape)`: numbers of (trainable, moving) parameters."""

    def count(head, shape):
        spec = tf.TensorSpec(shape, tf.float32)
        tf.function(lambda x: head(x, training=False)).get_concrete_function(spec)

        def total(variables):
            return sum(int(np.prod(variable.shape)) for variable in variables)

        return total(head.trainable_variables), total(head.non_trainable_variables)

    return count
