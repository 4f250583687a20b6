"""Batch statistics of the detector, measured before training (design: BN)."""

import numpy as np
import tensorflow as tf

from eval.voc07_detection import anchors, canvases
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm

_WINDOWS = 32


def recalibrate(detector, batches, config):
    """Measures the statistics of trunk, proposal network and box head.

    Trunk and proposal network see images as in the test, the box head windows of them:
    a spread of the anchors.

    Args:
      detector: a `Detector`, changed in place.
      batches: iterable of float32 [B, H, W, 3] in [0, 1].
      config: the evaluation's `Config`.
    """
    heads = _Heads(detector, config)
    recalibrate_batch_norm(detector.features, batches, block4=heads)


class _Heads(tf.Module):
    """What follows the trunk, run for its statistics' sake."""

    def __init__(self, detector, config):
        super().__init__(name="heads")
        self._proposal_network = detector.proposal_network
        self._box_head = detector.box_head
        self._config = config

    def __call__(self, features, training, output_stride):
        del output_stride
        self._proposal_network.hidden(features, training=training)
        windows = self._windows(*features.shape[1:3])
        windows = tf.broadcast_to(windows, [features.shape[0], *windows.shape])
        self._box_head.pooled(features, windows, training=training)

    def _windows(self, height, width):
        """Anchors drawn from all over the canvas, cut to it: float32 [N, 4]."""
        stride = canvases.STRIDE
        limits = np.array([height, width, height, width], np.float32) * stride
        boxes = anchors.canvas_anchors(height * stride, width * stride, self._config)
        boxes = np.clip(boxes.reshape([-1, 4]), 0, limits)
        count = min(_WINDOWS, len(boxes))
        spread = np.random.default_rng(0).choice(len(boxes), count, replace=False)
        return boxes[spread]
