"""Batch statistics of the detector, measured before training."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval.voc07_detection import anchors, canvases
from eval.voc07_detection.config import Config
from eval.voc07_detection.detector import Detector
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm

_WINDOWS = 32


def recalibrate(
    detector: Detector, batches: Iterable[tf.Tensor], config: Config
) -> None:
    """Measures the statistics of the trunk, the proposal network and the box head.

    The trunk and the proposal network read images as in the test. The box head reads
    windows of the images, chosen among the anchors.

    Args:
      detector: the detector, changed in place.
      batches: float32 [B, H, W, 3] in [0, 1] each.
      config: the hyperparameters.

    Raises:
      UserError: without images, or if activations are not finite.
    """
    heads = _Heads(detector, config)
    recalibrate_batch_norm(detector.features, batches, block4=heads)


class _Heads(tf.Module):
    """The layers after the trunk, which are only run to measure their statistics."""

    def __init__(self, detector: Detector, config: Config) -> None:
        super().__init__(name="heads")
        self._proposal_network = detector.proposal_network
        self._box_head = detector.box_head
        self._config = config

    def __call__(
        self, features: tf.Tensor, training: bool, output_stride: int | None
    ) -> None:
        del output_stride
        self._proposal_network.hidden(features, training=training)
        windows = self._windows(*features.shape[1:3])
        batch_windows = tf.broadcast_to(windows, [features.shape[0], *windows.shape])
        self._box_head.pooled(features, batch_windows, training=training)

    def _windows(self, height: int, width: int) -> npt.NDArray[np.float32]:
        """Random anchors from all of the canvas, clipped to it: float32 [N, 4]."""
        stride = canvases.STRIDE
        limits = np.array([height, width, height, width], np.float32) * stride
        boxes = anchors.canvas_anchors(height * stride, width * stride, self._config)
        boxes = np.clip(boxes.reshape([-1, 4]), 0, limits)
        count = min(_WINDOWS, len(boxes))
        chosen = np.random.default_rng(0).choice(len(boxes), count, replace=False)
        return boxes[chosen]
