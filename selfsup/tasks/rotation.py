"""Rotation: by which multiple of 90 degrees was a photo turned?

Not in the paper, whose section 7 leaves room for more tasks; Gidaris, Singh &
Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations" (ICLR
2018). All four turns of a photo go through the trunk in one batch, as they propose.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from selfsup.images import device_resize, mosaic, square_crops
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig
from selfsup.trunk.layers import BatchNorm
from selfsup.trunk.residual import ResidualUnit

TURNS = 4


@dataclasses.dataclass(frozen=True)
class Config(TaskConfig):
    """Hyperparameters of rotation.

    Attributes:
      batch_size: photos; the trunk sees four times as many.
      image_size: side of the square cut from the photo.
      channels, bottleneck_channels: of the head's residual unit.
    """

    batch_size: int = 8
    image_size: int = 224
    channels: int = 512
    bottleneck_channels: int = 128


class RotationHead(heads.ConfiguredHead):
    """A residual unit, the mean over the photo, and one logit for each turn."""

    Config = Config

    def __init__(self, config, dtype=None, name="rotation_head", **kwargs):
        super().__init__(config, dtype=dtype, name=name, **kwargs)
        self.unit = ResidualUnit(
            config.channels,
            config.bottleneck_channels,
            stride=2,
            weight_decay=config.weight_decay,
            dtype=dtype,
            name="unit",
        )
        self.postnorm = BatchNorm(dtype=dtype, name="postnorm")
        self.logits = heads.logits_layer(TURNS, config.weight_decay)

    def call(self, features, training=False):
        """Features [4B, h, w, C] to logits, float32 [4B, 4]."""
        net = self.unit(features, training=training)
        net = tf.nn.relu(self.postnorm(net, training=training))
        return self.logits(tf.reduce_mean(net, axis=[1, 2]))


class Rotation(Task):
    """See the module's docstring."""

    name = "rotation"
    Config = Config
    metric_specs = (
        Metric("accuracy", True, "share of photos whose turn is told"),
        Metric("cross_entropy", False, "nats a photo"),
    )

    def __init__(self, config=None):
        super().__init__(config)
        size = self.config.image_size
        checks.require_multiple(self.name, "image_size", size, self.output_stride)

    def preprocess_example(self, record, seed):
        """A square cut at random, as `square_crops.random_square` gives it."""
        return square_crops.random_square(
            record["encoded"], self.config.image_size, seed
        )

    def preprocess_batch(self, examples, seed):
        """Images [4B, s, s, 3], each photo's turns in a row; "labels" int32 [4B]."""
        photos = device_resize.resize_canvases(examples, self.config.image_size)
        (photos,) = square_crops.random_mirror([photos], seed)
        turned = tf.stack([tf.image.rot90(photos, k) for k in range(TURNS)], axis=1)
        images = tf.reshape(turned, [-1, *photos.shape[1:]])
        labels = tf.tile(tf.range(TURNS), tf.shape(photos)[:1])
        return images, {"labels": labels}

    def build_head(self, dtype=None):
        return RotationHead(self.config, dtype=dtype)

    def loss(self, outputs, targets):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            targets["labels"], outputs
        )
        return tf.reduce_mean(losses)

    def metrics(self, outputs, targets):
        predicted = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        right = tf.cast(predicted == targets["labels"], tf.float32)
        return {
            "accuracy": tf.reduce_mean(right),
            "cross_entropy": self.loss(outputs, targets),
        }

    def chance(self, targets):
        return {
            "accuracy": tf.constant(1.0 / TURNS),
            "cross_entropy": tf.math.log(float(TURNS)),
        }

    def pictures(self, images, outputs, targets):
        """Two rows a photo: its turns, and each turned back as was predicted."""
        predicted = np.argmax(outputs, axis=-1)
        pictures = [mosaic.shrink(image, 96) for image in mosaic.to_uint8(images)]
        rows = []
        for first in range(0, min(len(pictures), 4 * TURNS), TURNS):
            turns = range(first, first + TURNS)
            rows.append([mosaic.frame(pictures[k], (90, 90, 90)) for k in turns])
            rows.append(
                [
                    mosaic.frame(
                        np.rot90(pictures[k], -predicted[k]),
                        mosaic.RIGHT
                        if predicted[k] == targets["labels"][k]
                        else mosaic.WRONG,
                    )
                    for k in turns
                ]
            )
        return {"turned_and_turned_back": mosaic.grid(rows)}
