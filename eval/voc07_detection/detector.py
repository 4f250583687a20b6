"""Faster R-CNN on block 3, of tf-models' parts (paper section 5; Ren et al., 2015)."""

import tensorflow as tf
from official.vision.losses import maskrcnn_losses
from official.vision.modeling.layers.detection_generator import DetectionGenerator
from official.vision.modeling.layers.roi_sampler import ROISampler
from official.vision.ops import box_ops

from eval.voc07_detection import anchors, sampling
from eval.voc07_detection.anchors import LEVEL, AnchorTargets
from eval.voc07_detection.box_head import BoxHead
from eval.voc07_detection.proposals import ProposalNetwork

_ANCHOR_DRAW, _PROPOSAL_DRAW = 0, 1


class Detector(tf.Module):
    """The network, its losses and its detections.

    Batch statistics are frozen everywhere: batches are too small for their own.
    """

    def __init__(self, features, block4, classes, config):
        """
        Args:
          features: a `TrunkFeatures` at stride 16.
          block4: a `Block4`, the box head.
          classes: C, their number.
          config: the evaluation's `Config`.
        """
        super().__init__(name="detector")
        self.features = features
        self.proposal_network = ProposalNetwork(features.trunk.channels, config)
        self.box_head = BoxHead(block4, classes, config.crop_size)
        self._config = config
        self._targets = AnchorTargets(config)
        self._matcher = ROISampler(
            foreground_iou_threshold=config.box_iou,
            background_iou_high_threshold=config.box_iou,
            skip_subsampling=True,
        )
        self._score_loss = maskrcnn_losses.RpnScoreLoss(config.rpn_samples)
        self._offset_loss = maskrcnn_losses.RpnBoxLoss(config.rpn_huber)
        self._class_loss = maskrcnn_losses.FastrcnnClassLoss()
        self._box_loss = maskrcnn_losses.FastrcnnBoxLoss(config.box_huber)
        self._generate = DetectionGenerator(
            pre_nms_score_threshold=config.score_threshold,
            nms_iou_threshold=config.nms_iou,
            max_num_detections=config.max_detections,
            nms_version="batched",
        )

    def losses(self, examples, seed):
        """The four losses of Faster R-CNN, the decay, and the lasso's penalty.

        Args:
          examples: batch of `examples.training`, of static sizes.
          seed: int32 [2], of the choice of anchors and proposals.

        Returns:
          dict of scalars.
        """
        boxes, sizes = examples["boxes"], examples["size"]
        features, layout = self._see(examples["image"])
        scores, offsets = self.proposal_network(features)
        wanted, wanted_offsets = self._targets(
            layout, boxes, sizes, _fold(seed, _ANCHOR_DRAW)
        )
        found = self.proposal_network.select(scores, offsets, layout, sizes, True)
        chosen, on_boxes, classes = self._choose(found, examples, seed)
        logits, refined = self.box_head(features, chosen)
        targets = box_ops.encode_boxes(on_boxes, chosen, list(self._config.box_scales))
        # Far from finite where a proposal is on none; the loss leaves them out.
        targets = tf.where(classes[..., tf.newaxis] > 0, targets, 0.0)
        return {
            "proposal_score_loss": self._score_loss({LEVEL: scores}, {LEVEL: wanted}),
            "proposal_box_loss": self._config.rpn_box_weight
            * self._offset_loss({LEVEL: offsets}, {LEVEL: wanted_offsets}),
            "class_loss": self._class_loss(logits, classes),
            "box_loss": self._box_loss(refined, classes, targets),
            "decay": self._decay(),
            "lasso": self.features.penalty(),
        }

    def detect(self, images, sizes):
        """Detections, suppressed in the graph.

        Args:
          images: float32 [B, H, W, 3] in [0, 1], of static size.
          sizes: float32 [B, 2], height and width of the image in its canvas.

        Returns:
          dict of "boxes" float32 [B, D, 4] (ymin, xmin, ymax, xmax) in the canvas's
          pixels, "scores" float32 [B, D], best first, "classes" int32 [B, D] from 0
          without background, and "number" int32 [B] of those that count.
        """
        features, layout = self._see(images)
        scores, offsets = self.proposal_network(features)
        found = self.proposal_network.select(scores, offsets, layout, sizes, False)
        # Image by image: crops of a batch would be gigabytes.
        logits, refined = tf.map_fn(
            lambda one: self._describe(*one),
            (features, found),
            fn_output_signature=(tf.float32, tf.float32),
            parallel_iterations=1,
        )
        made = self._generate(
            refined, logits, found, sizes, list(self._config.box_scales)
        )
        return {
            "boxes": made["detection_boxes"],
            "scores": made["detection_scores"],
            "classes": made["detection_classes"] - 1,
            "number": made["num_detections"],
        }

    def kernels(self):
        """The trainable variables that decay."""
        return [one for one in self.trainable_variables if one.shape.rank > 1]

    def _see(self, images):
        """(features of images, anchors of their canvas)."""
        layout = anchors.canvas_anchors(*images.shape[1:3], self._config)
        features = self.features(images)
        return tf.ensure_shape(features, [None, *layout.shape[:2], None]), layout

    def _describe(self, features, proposals):
        """The box head's outputs for one image."""
        outputs = self.box_head(features[tf.newaxis], proposals[tf.newaxis])
        return tuple(output[0] for output in outputs)

    def _choose(self, found, examples, seed):
        """Proposals for the box head's loss, the true boxes among them.

        Returns:
          (float32 [B, K, 4] proposals, float32 [B, K, 4] boxes that they are on,
          int32 [B, K] classes of these, 0 for background).
        """
        config = self._config
        found, boxes, classes, _ = self._matcher(
            found, examples["boxes"], examples["classes"]
        )
        # There are empty boxes in place of proposals and objects that there are not.
        real = tf.reduce_all(found[..., 2:] > found[..., :2], -1)
        positive = tf.logical_and(classes > 0, real)
        indices, _ = sampling.balanced(
            positive,
            tf.logical_and(real, ~positive),
            config.box_samples,
            config.box_foreground,
            _fold(seed, _PROPOSAL_DRAW),
        )
        parts = (found, boxes, classes)
        chosen = (tf.gather(part, indices, batch_dims=1) for part in parts)
        return tuple(tf.stop_gradient(part) for part in chosen)

    def _decay(self):
        norms = [tf.nn.l2_loss(kernel) for kernel in self.kernels()]
        return self._config.weight_decay * tf.add_n(norms)


def _fold(seed, number):
    """Another seed for each number: int32 [2]."""
    return tf.random.experimental.stateless_fold_in(seed, number)
