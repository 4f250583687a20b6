"""The proposal network, which finds boxes that may hold objects (Ren et al., 3.1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from official.vision.modeling.heads.dense_prediction_heads import RPNHead
from official.vision.modeling.layers.roi_generator import MultilevelROIGenerator

from eval.voc07_detection import anchors
from eval.voc07_detection.anchors import LEVEL
from eval.voc07_detection.config import Config
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer

_LEVEL_NUMBER = int(LEVEL)


class ProposalNetwork(tf.Module):
    """Computes scores and offsets of anchors, and selects proposals.

    A ResNet ends in a raw sum, so the features are normalised and rectified before the
    first convolution, as TF-Slim's `postnorm` does. The convolution is not tf-models'
    head, because that head would normalise after the convolution as well, by statistics
    that nothing measures here.
    """

    def __init__(self, channels: int, config: Config) -> None:
        """
        Args:
          channels: channels of the trunk's last unit.
          config: the hyperparameters.
        """
        super().__init__(name="proposal_network")
        hidden = config.rpn_channels
        self._norm1 = BatchNorm(name="norm1")
        self._conv = Conv2D(hidden, 3, use_bias=False, name="conv")
        self._norm2 = BatchNorm(name="norm2")
        for layer, size in (
            (self._norm1, channels),
            (self._conv, channels),
            (self._norm2, hidden),
        ):
            build_sublayer(layer, [None, None, None, size])
        self._head = RPNHead(
            min_level=_LEVEL_NUMBER,
            max_level=_LEVEL_NUMBER,
            num_anchors_per_location=anchors.per_location(config),
            num_convs=0,
        )
        # The first call makes the variables.
        self._head({LEVEL: tf.zeros([1, 1, 1, hidden])})
        # Batched suppression considers all boxes until it has kept enough.
        self._select = MultilevelROIGenerator(
            pre_nms_top_k=config.proposals,
            pre_nms_min_size_threshold=config.min_proposal,
            nms_iou_threshold=config.proposal_nms_iou,
            num_proposals=config.proposals,
            test_pre_nms_top_k=config.test_proposals,
            test_pre_nms_min_size_threshold=config.min_proposal,
            test_nms_iou_threshold=config.proposal_nms_iou,
            test_num_proposals=config.test_proposals,
            use_batched_nms=True,
        )

    def hidden(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes the hidden layer.

        Args:
          features: float32 [B, h, w, channels], outputs of the trunk's last unit.
          training: whether batch normalisation uses the statistics of the batch.

        Returns:
          float32 [B, h, w, rpn_channels].
        """
        net = tf.nn.relu(self._norm1(features, training=training))
        return tf.nn.relu(self._norm2(self._conv(net), training=training))

    def __call__(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps features [B, h, w, channels] to scores and offsets of the anchors.

        Returns:
          (scores [B, h, w, A], offsets [B, h, w, 4 A]).
        """
        scores, offsets = self._head({LEVEL: self.hidden(features)})
        return scores[LEVEL], offsets[LEVEL]

    def select(
        self,
        scores: tf.Tensor,
        offsets: tf.Tensor,
        boxes: npt.NDArray[np.float32],
        sizes: tf.Tensor,
        training: bool,
    ) -> tf.Tensor:
        """Selects the best boxes that overlap little.

        Args:
          scores, offsets: the results of a call.
          boxes: the anchors, float32 [h, w, 4 A].
          sizes: float32 [B, 2], height and width of the image on its canvas.
          training: whether K is `proposals` or `test_proposals`.

        Returns:
          float32 [B, K, 4], padded with rows of 0. Gradients do not pass through it.
        """
        batch_boxes = tf.broadcast_to(
            boxes, tf.concat([tf.shape(scores)[:1], boxes.shape], 0)
        )
        selected, _ = self._select(
            {LEVEL: offsets},
            {LEVEL: scores},
            {LEVEL: batch_boxes},
            sizes,
            training=training,
        )
        return tf.stop_gradient(selected)
