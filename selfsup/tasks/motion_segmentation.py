"""Motion segmentation: which pixels of a single video frame will move?

Paper sections 2 and 3.4; Pathak et al., "Learning Features by Watching Objects Move"
(CVPR 2017). The masks come from Improved Dense Trajectories, see
`data_prep.trajectories`. Positions where the tracking failed are ignored.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.data import records
from selfsup.images import (
    exemplar_augmentation,
    frame_augmentation,
    mosaic,
    resize,
    square_crops,
)
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig


@dataclasses.dataclass(frozen=True)
class MotionSegmentationConfig(TaskConfig):
    """Sources of the defaults: docs/hyperparameters.md.

    Attributes:
      batch_size: frames.
      height: height to which frames are resized, without keeping the aspect ratio.
      width: width to which frames are resized, without keeping the aspect ratio.
      head_channels: channels of the head's two hidden convolutions.
      min_scale: least scale of the random views that training steps see; below 1 a view
        contains the frame, and is gray around it.
      max_scale: greatest scale of these views; above 1 a view is an enlarged part of the
        frame. With both at 1 training steps see the whole frames.
      color_jitter: whether training steps change the frames' colours as the exemplar task
        does.
    """

    batch_size: int = 16
    height: int = 240
    width: int = 320
    head_channels: int = 4096
    min_scale: float = 1.0
    max_scale: float = 1.0
    color_jitter: bool = False


def sigmoid_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, valid: tf.Tensor
) -> tf.Tensor:
    """Returns the mean cross-entropy over the valid positions, in nats.

    Args:
      logits: float32 of any shape.
      labels: float32 of the same shape, 0 or 1.
      valid: float32 of the same shape, 0 or 1.

    Returns:
      float32 scalar; 0 if no position is valid.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return _weighted_mean(losses, valid)


def average_precision(
    scores: tf.Tensor, labels: tf.Tensor, valid: tf.Tensor
) -> tf.Tensor:
    """Returns the area under the precision-recall curve over the valid positions.

    The precision at a foreground position is the share of foreground among all
    positions with at least its score. The area is the mean of this precision over all
    foreground positions.

    Args:
      scores: float32 of any shape.
      labels: float32 of the same shape, 0 or 1.
      valid: float32 of the same shape, 0 or 1.

    Returns:
      float32 scalar in [0, 1]; 0 if there is no foreground.
    """
    lowest = scores.dtype.min
    flat = tf.reshape(tf.where(valid > 0, scores, lowest), [-1])
    order = tf.argsort(flat, direction="DESCENDING")
    labels = tf.gather(tf.reshape(labels * valid, [-1]), order)
    valid = tf.gather(tf.reshape(valid, [-1]), order)
    precision = tf.math.divide_no_nan(tf.cumsum(labels), tf.cumsum(valid))
    return _weighted_mean(precision, labels)


class MotionSegmentation(Task):
    """Predicts which pixels will move; see the module's docstring."""

    name = "motion_segmentation"
    Config = MotionSegmentationConfig
    config: MotionSegmentationConfig
    features = (records.IMAGE, records.MOTION_MASK)
    metric_specs = (
        Metric("cross_entropy", False, "nats per pixel"),
        Metric("average_precision", True, "area under the precision-recall curve"),
        Metric("iou", True, "of pixels with a foreground probability above one half"),
    )

    def __init__(self, config: MotionSegmentationConfig | None = None) -> None:
        super().__init__(config)
        for field in ("height", "width"):
            value = getattr(self.config, field)
            checks.require_multiple(self.name, field, value, self.output_stride)
        low, high = self.config.min_scale, self.config.max_scale
        expected = "a number above 0 and at most max_scale"
        checks.require(0 < low <= high, self.name, "min_scale", low, expected)

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Resizes the frame, and the mask to the resolution of the features.

        Returns:
          "image": uint8 [height, width, 3].
          "mask": uint8 [height/8, width/8, 1], 0, 1 or `records.MASK_IGNORE`.
        """
        del seed
        config = self.config
        size = config.height // self.output_stride, config.width // self.output_stride
        image = resize.resize(record[records.IMAGE], config.height, config.width)
        # Interpolation would make values between the labels.
        mask = tf.image.resize(record[records.MOTION_MASK], size, method="nearest")
        return {"image": image, "mask": mask}

    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Mirrors frames and masks at random.

        Returns:
          images: float32 [B, height, width, 3] in [0, 1].
          targets: "labels" and "valid", float32 [B, height/8, width/8], 0 or 1. The
            label of an invalid position is 0.
        """
        frames = tf.cast(examples["image"], tf.float32) / 255.0
        frames, masks = square_crops.random_mirror([frames, examples["mask"]], seed)
        mask = masks[..., 0]
        targets = {
            "labels": tf.cast(mask == 1, tf.float32),
            "valid": tf.cast(mask != records.MASK_IGNORE, tf.float32),
        }
        return frames, targets

    def random_views(
        self, images: tf.Tensor, targets: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Replaces frames and masks by random views, and jitters the frames' colours.

        See `frame_augmentation`; positions outside the frame are not valid.
        """
        view_seed, color_seed = tf.unstack(tf.random.split(seed))
        scales = self.config.min_scale, self.config.max_scale
        if scales != (1.0, 1.0):
            masks = tf.stack([targets["labels"], targets["valid"]], axis=-1)
            scale, corner = frame_augmentation.draw_views(
                tf.shape(images)[0], (masks.shape[1], masks.shape[2]), scales, view_seed
            )
            images, masks = frame_augmentation.view(images, masks, scale, corner)
            labels, valid = tf.unstack(masks, axis=-1)
            targets = {"labels": labels, "valid": valid}
        if self.config.color_jitter:
            images = exemplar_augmentation.random_color(images, color_seed)
        return images, targets

    def augment_images(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Jitters colours like other tasks, unless `color_jitter` does so already."""
        if self.config.color_jitter:
            return images
        return super().augment_images(images, seed)

    def build_head(self, dtype: str | None = None) -> heads.DenseHead:
        """Returns a new head; its outputs are logits [B, height/8, width/8, 1]."""
        return heads.DenseHead(
            outputs=1,
            channels=self.config.head_channels,
            kernel_sizes=(1, 1),
            weight_decay=self.config.weight_decay,
            dtype=dtype,
            name="motion_segmentation_head",
        )

    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mean cross-entropy over the valid positions, in nats."""
        return sigmoid_cross_entropy(
            outputs[..., 0], targets["labels"], targets["valid"]
        )

    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns cross-entropy, average precision and intersection over union."""
        logits, labels, valid = outputs[..., 0], targets["labels"], targets["valid"]
        predicted = tf.cast(logits > 0, tf.float32)
        union = tf.maximum(predicted, labels) * valid
        return {
            "cross_entropy": self.loss(outputs, targets),
            "average_precision": average_precision(logits, labels, valid),
            "iou": _weighted_mean(predicted * labels, union),
        }

    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of the best constant prediction for this batch.

        It is the batch's own foreground rate; for the IoU, foreground everywhere.
        """
        rate = _weighted_mean(targets["labels"], targets["valid"])
        entropy = -tf.math.xlogy(rate, rate) - tf.math.xlogy(1 - rate, 1 - rate)
        return {"cross_entropy": entropy, "average_precision": rate, "iou": rate}

    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws a row per frame: the frame, predicted and true foreground.

        Foreground is red, and ignored positions are gray.
        """
        rows = []
        for image, logits, labels, valid in zip(
            mosaic.to_uint8(images[:6]), outputs, targets["labels"], targets["valid"]
        ):
            probability = 1.0 / (1.0 + np.exp(-logits[..., 0]))
            predicted, truth, ignored = (
                mosaic.enlarge(plane, self.output_stride)
                for plane in (probability, labels, 1.0 - valid)
            )
            true_picture = mosaic.tint(image, ignored, (128, 128, 128), 0.8)
            row = (
                image,
                mosaic.tint(image, predicted, mosaic.WRONG),
                mosaic.tint(true_picture, truth, mosaic.WRONG),
            )
            rows.append([mosaic.shrink(picture, 160) for picture in row])
        return {"frame_predicted_true": mosaic.grid(rows)}


def _weighted_mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Mean of `values` weighted by `weights` of the same shape; 0 if all are 0."""
    return tf.math.divide_no_nan(
        tf.reduce_sum(values * weights), tf.reduce_sum(weights)
    )
