"""Rotation: by which multiple of 90 degrees was a photo rotated?

The task is not in the paper, whose section 7 proposes more tasks as future work.
Gidaris, Singh & Komodakis, "Unsupervised Representation Learning by Predicting Image
Rotations" (ICLR 2018). As they propose, all four rotations of a photo pass through the
trunk in the same batch.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.images import device_resize, mosaic, square_crops
from selfsup.tasks import checks, classification, heads
from selfsup.tasks.task import Metric, Task, TaskConfig
from selfsup.trunk.layers import BatchNorm
from selfsup.trunk.residual import ResidualUnit

ROTATIONS = 4


@dataclasses.dataclass(frozen=True)
class RotationConfig(TaskConfig):
    """Hyperparameters of rotation.

    Attributes:
      batch_size: photos; the trunk receives four times as many images.
      image_size: side of the square crop of the photo, in pixels.
      channels: output channels of the head's residual unit.
      bottleneck_channels: bottleneck channels of the head's residual unit.
    """

    batch_size: int = 8
    image_size: int = 224
    channels: int = 512
    bottleneck_channels: int = 128


class RotationHead(heads.ConfiguredHead):
    """A residual unit, the mean over all positions, and a logit for each rotation."""

    Config = RotationConfig

    def __init__(
        self,
        config: RotationConfig,
        dtype: str | None = None,
        name: str = "rotation_head",
        **kwargs: Any,
    ) -> None:
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
        self.logits = heads.logits_layer(ROTATIONS, config.weight_decay)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps features [4B, h, w, C] to logits, float32 [4B, 4]."""
        net = self.unit(features, training=training)
        net = tf.nn.relu(self.postnorm(net, training=training))
        return self.logits(tf.reduce_mean(net, axis=[1, 2]))


class Rotation(Task):
    """Predicts the rotation of a photo; see the module's docstring."""

    name = "rotation"
    Config = RotationConfig
    config: RotationConfig
    exported_parts = ("rotation",)
    metric_specs = (
        Metric("accuracy", True, "share of images with the correct rotation"),
        Metric("cross_entropy", False, "nats per image"),
    )

    def __init__(self, config: RotationConfig | None = None) -> None:
        super().__init__(config)
        size = self.config.image_size
        checks.require_multiple(self.name, "image_size", size, self.output_stride)

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns a random square crop; see `square_crops.random_square`."""
        return square_crops.random_square(
            record["encoded"], self.config.image_size, seed
        )

    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Mirrors photos at random and rotates them.

        Returns:
          images: float32 [4B, image_size, image_size, 3] in [0, 1]; the four rotations
            of a photo follow each other.
          targets: "labels" int32 [4B], number of quarter turns, counterclockwise.
        """
        photos = device_resize.resize_canvases(examples, self.config.image_size)
        (photos,) = square_crops.random_mirror([photos], seed)
        rotated = tf.stack(
            [tf.image.rot90(photos, k) for k in range(ROTATIONS)], axis=1
        )
        images = tf.reshape(rotated, [-1, *photos.shape[1:]])
        labels = tf.tile(tf.range(ROTATIONS), tf.shape(photos)[:1])
        return images, {"labels": labels}

    def build_head(self, dtype: str | None = None) -> RotationHead:
        """Returns a new head; see the base class."""
        return RotationHead(self.config, dtype=dtype)

    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mean cross-entropy in nats."""
        return classification.cross_entropy(outputs, targets["labels"])

    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns accuracy and cross-entropy."""
        return {
            "accuracy": classification.accuracy(outputs, targets["labels"]),
            "cross_entropy": self.loss(outputs, targets),
        }

    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of equal probabilities for all rotations."""
        del targets
        return {
            "accuracy": tf.constant(1.0 / ROTATIONS),
            "cross_entropy": tf.math.log(float(ROTATIONS)),
        }

    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws two rows per photo: its rotations, and each rotated back as predicted.

        The frame is green if the prediction is correct and red otherwise.
        """
        labels, predicted = targets["labels"], np.argmax(outputs, axis=-1)
        pictures = [mosaic.shrink(image, 96) for image in mosaic.to_uint8(images)]
        rows = []
        for first in range(0, min(len(pictures), 4 * ROTATIONS), ROTATIONS):
            photo = range(first, first + ROTATIONS)
            rows.append([mosaic.frame(pictures[k], (90, 90, 90)) for k in photo])
            rows.append(
                [
                    mosaic.frame(
                        np.rot90(pictures[k], -predicted[k]),
                        mosaic.RIGHT if predicted[k] == labels[k] else mosaic.WRONG,
                    )
                    for k in photo
                ]
            )
        return {"turned_and_turned_back": mosaic.grid(rows)}
