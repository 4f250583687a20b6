"""The anchors of a canvas, and the targets of the proposal network for them."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from official.vision.ops.anchor import AnchorLabeler

from eval.voc07_detection import canvases, sampling
from eval.voc07_detection.config import Config

try:
    from official.vision.ops.anchor_generator import AnchorGenerator
except ImportError:  # tf-models 2.16 renamed the class.
    from official.vision.ops.anchor_generator import (
        AnchorGeneratorv1 as AnchorGenerator,
    )

# The name of the trunk's features in tf-models: the binary logarithm of the pixels per
# feature.
LEVEL = "4"
_IGNORED = -1


def per_location(config: Config) -> int:
    """A, the number of anchors at each feature."""
    return len(config.anchor_scales) * len(config.anchor_ratios)


@functools.cache
def canvas_anchors(height: int, width: int, config: Config) -> npt.NDArray[np.float32]:
    """Computes the anchors (ymin, xmin, ymax, xmax) of a canvas.

    Args:
      height, width: size of the canvas, in pixels.
      config: the hyperparameters.

    Returns:
      float32 [h, w, 4 A], for the h x w features of the canvas.
    """
    generator = AnchorGenerator(
        anchor_sizes={LEVEL: config.anchor_size},
        scales={LEVEL: config.anchor_scales},
        aspect_ratios={LEVEL: config.anchor_ratios},
        strides={LEVEL: canvases.STRIDE},
    )
    # Computed eagerly, also when the caller is building a graph.
    with tf.init_scope():
        anchors: npt.NDArray[np.float32] = generator([height, width])[LEVEL].numpy()
        return anchors


class AnchorTargets:
    """Labels anchors: object or background, and the offset of the object's box."""

    def __init__(self, config: Config) -> None:
        """
        Args:
          config: the hyperparameters.
        """
        self._config = config
        self._labeler = AnchorLabeler(
            match_threshold=config.rpn_high_iou,
            unmatched_threshold=config.rpn_low_iou,
        )

    def __call__(
        self,
        anchors: npt.NDArray[np.float32],
        boxes: tf.Tensor,
        sizes: tf.Tensor,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the targets of a batch.

        An anchor is labelled as an object if its overlap with the object is at least
        `rpn_high_iou`, or the largest overlap of all anchors with this object. It is
        labelled as background if its overlap with every object is below `rpn_low_iou` and
        its centre lies in the image.

        Args:
          anchors: float32 [h, w, 4 A].
          boxes: float32 [B, M, 4]; rows of -1 follow the boxes of an image.
          sizes: float32 [B, 2], height and width of the image on its canvas.
          seed: int32 [2], for the choice of `rpn_samples` anchors.

        Returns:
          (float32 [B, h, w, A]: 1 for objects, 0 for background, -1 for anchors without
          a loss; float32 [B, h, w, 4 A]: offsets of the boxes, 0 for all other anchors).
        """
        height, width, sides = anchors.shape
        flat = tf.reshape(anchors, [-1, 4])
        positive, unmatched, offsets = tf.map_fn(
            lambda image_boxes: self._match(anchors, image_boxes),
            boxes,
            fn_output_signature=(
                tf.TensorSpec(flat.shape[:1], tf.bool),
                tf.TensorSpec(flat.shape[:1], tf.bool),
                tf.TensorSpec(anchors.shape, tf.float32),
            ),
        )
        negative = tf.logical_and(unmatched, _centre_inside(flat, sizes))
        labels = self._sampled(positive, negative, seed)
        return tf.reshape(labels, [-1, height, width, sides // 4]), offsets

    def _match(
        self, anchors: npt.NDArray[np.float32], boxes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Matches the anchors of one image.

        Returns:
          bool [N], objects; bool [N], neither objects nor ignored; float32 [h, w, 4 A],
          offsets.
        """
        boxes = tf.boolean_mask(boxes, boxes[:, 2] > 0)
        count = tf.shape(boxes)[0]
        _, offsets, _, weights, matched = self._labeler.label_anchors(
            {LEVEL: tf.constant(anchors)}, boxes, tf.ones([count, 1], tf.int32)
        )
        number = anchors.size // 4
        # Without any box, tf-models reports matches that do not exist.
        positive = tf.ensure_shape(matched, [number]) > 0
        positive = tf.logical_and(positive, count > 0)
        known = tf.ensure_shape(weights, [number]) > 0
        mask = tf.repeat(tf.cast(positive, tf.float32), 4)
        offsets = offsets[LEVEL] * tf.reshape(mask, anchors.shape)
        return positive, tf.logical_and(known, ~positive), offsets

    def _sampled(
        self, positive: tf.Tensor, negative: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """Labels float32 [B, N] of the drawn anchors, -1 for all others."""
        config = self._config
        indices, drawn = sampling.balanced(
            positive, negative, config.rpn_samples, config.rpn_foreground, seed
        )
        labels = tf.cast(tf.gather(positive, indices, batch_dims=1), tf.float32)
        rows = tf.repeat(
            tf.range(tf.shape(indices)[0])[:, tf.newaxis], indices.shape[1], 1
        )
        return tf.tensor_scatter_nd_update(
            tf.fill(tf.shape(positive), float(_IGNORED)),
            tf.stack([rows, indices], -1),
            tf.where(drawn, labels, float(_IGNORED)),
        )


def _centre_inside(boxes: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Whether boxes [N, 4] have their centres in images of sizes [B, 2]: bool [B, N]."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = centres[tf.newaxis] < sizes[:, tf.newaxis]
    return tf.reduce_all(inside, -1)
