"""A toy task on two frames: are they in the order of the video?

Misra, Zitnick & Hebert, "Shuffle and Learn" (ECCV 2016), with two frames instead of
three.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.data import records
from selfsup.images import mosaic, resize, square_crops
from selfsup.tasks import classification, heads
from selfsup.tasks.task import Metric, Task, TaskConfig
from selfsup.trunk.layers import BatchNorm
from selfsup.trunk.residual import ResidualUnit


@dataclasses.dataclass(frozen=True)
class FrameOrderConfig(TaskConfig):
    """Hyperparameters.

    Attributes:
      batch_size: pairs; the trunk receives twice as many images.
      image_size: side of the square to which frames are resized, in pixels.
      channels: output channels of the head's residual unit.
    """

    batch_size: int = 8
    image_size: int = 224
    channels: int = 512


class FrameOrderHead(heads.ConfiguredHead):
    """A unit, the mean over all positions of each frame, and two logits for a pair."""

    Config = FrameOrderConfig

    def __init__(
        self,
        config: FrameOrderConfig,
        dtype: str | None = None,
        name: str = "frame_order_head",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, dtype=dtype, name=name, **kwargs)
        self.unit = ResidualUnit(
            config.channels,
            config.channels // 4,
            stride=2,
            weight_decay=config.weight_decay,
            dtype=dtype,
            name="unit",
        )
        self.postnorm = BatchNorm(dtype=dtype, name="postnorm")
        self.logits = heads.logits_layer(2, config.weight_decay)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps features [2B, h, w, C], pair by pair, to logits, float32 [B, 2]."""
        net = self.unit(features, training=training)
        net = tf.nn.relu(self.postnorm(net, training=training))
        frames = tf.reduce_mean(net, axis=[1, 2])
        return self.logits(tf.reshape(frames, [-1, 2 * self.config.channels]))


class FrameOrder(Task):
    """Predicts which of two frames came first; see the module's docstring."""

    name = "frame_order"
    Config = FrameOrderConfig
    config: FrameOrderConfig
    features = (records.IMAGE, records.SECOND_FRAME)
    exported_parts = ("frame_order",)
    metric_specs = (Metric("accuracy", True, "share of pairs in the correct order"),)

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Resizes both frames: "first" and "second", uint8 [size, size, 3]."""
        del seed
        size = self.config.image_size
        return {
            "first": resize.resize(record[records.IMAGE], size, size),
            "second": resize.resize(record[records.SECOND_FRAME], size, size),
        }

    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Mirrors pairs at random, and swaps the frames of half of them.

        Returns:
          images: float32 [2B, size, size, 3] in [0, 1]; the frames of a pair follow each
            other.
          targets: "labels" int32 [B], 1 for swapped frames.
        """
        mirror_seed, order_seed = tf.unstack(tf.random.split(seed))
        frames = [
            tf.cast(examples[key], tf.float32) / 255.0 for key in ("first", "second")
        ]
        pairs = tf.stack(square_crops.random_mirror(frames, mirror_seed), axis=1)
        count = pairs.shape[0]
        # Exactly half, so that no batch has a single answer.
        swapped = tf.random.experimental.stateless_shuffle(
            tf.range(count) % 2, order_seed
        )
        pairs = tf.where(
            swapped[:, None, None, None, None] > 0, tf.reverse(pairs, [1]), pairs
        )
        return tf.reshape(pairs, [-1, *pairs.shape[2:]]), {"labels": swapped}

    def build_head(self, dtype: str | None = None) -> FrameOrderHead:
        """Returns a new head; see the base class."""
        return FrameOrderHead(self.config, dtype=dtype)

    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mean cross-entropy in nats."""
        return classification.cross_entropy(outputs, targets["labels"])

    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the accuracy."""
        return {"accuracy": classification.accuracy(outputs, targets["labels"])}

    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the accuracy of guessing."""
        del targets
        return {"accuracy": tf.constant(0.5)}

    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws a row per pair, framed in green where the order is predicted."""
        right = np.argmax(outputs, axis=-1) == targets["labels"]
        pictures = [mosaic.shrink(image, 96) for image in mosaic.to_uint8(images)]
        rows = [
            [
                mosaic.frame(picture, mosaic.RIGHT if good else mosaic.WRONG)
                for picture in pictures[2 * pair : 2 * pair + 2]
            ]
            for pair, good in enumerate(right)
        ]
        return {"pairs": mosaic.grid(rows)}
