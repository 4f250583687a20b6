"""The proposal network (Ren et al., section 3.1): where may an object be?"""

import tensorflow as tf
from official.vision.modeling.heads.dense_prediction_heads import RPNHead
from official.vision.modeling.layers.roi_generator import MultilevelROIGenerator

from eval.voc07_detection import anchors
from eval.voc07_detection.anchors import LEVEL
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer

_LEVEL_NUMBER = int(LEVEL)


class ProposalNetwork(tf.Module):
    """Scores and offsets of anchors, and the boxes that follow from them.

    Block 3 ends in a raw sum, and the network begins with a plain convolution, so it is
    normalised and rectified first, as Slim's `postnorm` does. tf-models' head would
    normalise behind its convolution too, by statistics that nothing measures here, so
    that part is ours.
    """

    def __init__(self, channels, config):
        """
        Args:
          channels: of block 3.
          config: the evaluation's `Config`.
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
        # Makes its variables.
        self._head({LEVEL: tf.zeros([1, 1, 1, hidden])})
        # The batched suppression goes through all boxes until it has kept enough.
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

    def hidden(self, features, training=False):
        """Raw block 3 features [B, h, w, channels] -> float32 [B, h, w, rpn_channels]."""
        net = tf.nn.relu(self._norm1(features, training=training))
        return tf.nn.relu(self._norm2(self._conv(net), training=training))

    def __call__(self, features):
        """Features [B, h, w, channels] -> (scores [B, h, w, A], offsets [B, h, w, 4 A])."""
        scores, offsets = self._head({LEVEL: self.hidden(features)})
        return scores[LEVEL], offsets[LEVEL]

    def select(self, scores, offsets, boxes, sizes, training):
        """The best boxes that do not overlap much.

        Args:
          scores, offsets: as `__call__` returns them.
          boxes: float32 [h, w, 4 A], the anchors.
          sizes: float32 [B, 2], height and width of the image in its canvas.
          training: whether there are `proposals` or `test_proposals` of them.

        Returns:
          float32 [B, K, 4], rows of 0 where there are fewer.
        """
        boxes = tf.broadcast_to(
            boxes, tf.concat([tf.shape(scores)[:1], boxes.shape], 0)
        )
        found, _ = self._select(
            {LEVEL: offsets}, {LEVEL: scores}, {LEVEL: boxes}, sizes, training=training
        )
        return tf.stop_gradient(found)
