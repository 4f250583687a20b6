"""Anchors of a canvas and what the proposal network should say of them."""

import functools

import tensorflow as tf
from official.vision.ops.anchor import AnchorLabeler

from eval.voc07_detection import canvases, sampling

try:
    from official.vision.ops.anchor_generator import AnchorGenerator
except ImportError:  # tf-models 2.16 renamed it.
    from official.vision.ops.anchor_generator import (
        AnchorGeneratorv1 as AnchorGenerator,
    )

# Block 3 as tf-models calls it: pixels a feature, as a power of two.
LEVEL = "4"
_IGNORED = -1


def per_location(config):
    """Anchors at each feature: A."""
    return len(config.anchor_scales) * len(config.anchor_ratios)


@functools.cache
def canvas_anchors(height, width, config):
    """Anchors (ymin, xmin, ymax, xmax): float32 array [h, w, 4 A].

    Args:
      height, width: of the canvas, ints.
      config: the evaluation's `Config`.
    """
    generator = AnchorGenerator(
        anchor_sizes={LEVEL: config.anchor_size},
        scales={LEVEL: config.anchor_scales},
        aspect_ratios={LEVEL: config.anchor_ratios},
        strides={LEVEL: canvases.STRIDE},
    )
    # Made once and for all, whatever graph is being made.
    with tf.init_scope():
        return generator([height, width])[LEVEL].numpy()


class AnchorTargets:
    """Labels of anchors: which are on an object, and where the object's box is."""

    def __init__(self, config):
        """
        Args:
          config: the evaluation's `Config`.
        """
        self._config = config
        self._labeler = AnchorLabeler(
            match_threshold=config.rpn_high_iou,
            unmatched_threshold=config.rpn_low_iou,
        )

    def __call__(self, anchors, boxes, sizes, seed):
        """Targets of a batch.

        An anchor is on the object that it overlaps by `rpn_high_iou`, or as well as no
        other anchor does; on background where it overlaps none by `rpn_low_iou` and has
        its centre in the image.

        Args:
          anchors: float32 [h, w, 4 A].
          boxes: float32 [B, M, 4], rows of -1 behind those of an image.
          sizes: float32 [B, 2], height and width of the image in its canvas.
          seed: int32 [2], of the choice of `rpn_samples` anchors.

        Returns:
          (float32 [B, h, w, A]: 1 on an object, 0 on background, -1 not in the loss;
          float32 [B, h, w, 4 A]: offsets of the boxes, 0 where on none).
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

    def _match(self, anchors, boxes):
        """Of one image: bool [N] on an object, bool [N] on none, float32 [h, w, 4 A]."""
        boxes = tf.boolean_mask(boxes, boxes[:, 2] > 0)
        ones = tf.ones([tf.shape(boxes)[0], 1], tf.int32)
        _, offsets, _, known, matched = self._labeler.label_anchors(
            {LEVEL: tf.constant(anchors)}, boxes, ones
        )
        number = anchors.size // 4
        positive = tf.ensure_shape(matched, [number]) > 0
        # Without any box, all weights are those of known anchors, and none is matched.
        positive = tf.logical_and(positive, tf.shape(boxes)[0] > 0)
        known = tf.ensure_shape(known, [number]) > 0
        mask = tf.repeat(tf.cast(positive, tf.float32), 4)
        offsets = offsets[LEVEL] * tf.reshape(mask, anchors.shape)
        return positive, tf.logical_and(known, ~positive), offsets

    def _sampled(self, positive, negative, seed):
        config = self._config
        indices, drawn = sampling.balanced(
            positive, negative, config.rpn_samples, config.rpn_foreground, seed
        )
        labels = tf.cast(tf.gather(positive, indices, batch_dims=1), tf.float32)
        rows = tf.repeat(
            tf.range(tf.shape(indices)[0])[:, tf.newaxis], indices.shape[1], 1
        )
        places = tf.stack([rows, indices], -1)
        return tf.tensor_scatter_nd_update(
            tf.fill(tf.shape(positive), float(_IGNORED)),
            places,
            tf.where(drawn, labels, float(_IGNORED)),
        )


def _centre_inside(boxes, sizes):
    """bool [B, N]: whether boxes [N, 4] have their centres inside of images [B, 2]."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = centres[tf.newaxis] < sizes[:, tf.newaxis]
    return tf.reduce_all(inside, -1)
