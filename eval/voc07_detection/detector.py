"""Faster R-CNN on a trunk, built from tf-models (paper section 5; Ren et al., 2015)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from official.vision.losses import maskrcnn_losses
from official.vision.modeling.layers.detection_generator import DetectionGenerator
from official.vision.modeling.layers.roi_sampler import ROISampler
from official.vision.ops import box_ops

from eval.trunk_features import TrunkFeatures
from eval.voc07_detection import anchors, sampling
from eval.voc07_detection.anchors import LEVEL, AnchorTargets
from eval.voc07_detection.box_head import BoxHead
from eval.voc07_detection.config import Config
from eval.voc07_detection.proposals import ProposalNetwork
from selfsup.trunk.trunk import Tail

_ANCHOR_DRAW, _PROPOSAL_DRAW = 0, 1


class Detector(tf.Module):
    """The network, its losses and its detections.

    Batch statistics are frozen everywhere, because batches are too small to measure them.

    Attributes:
      features: the features of the trunk.
      proposal_network: the proposal network.
      box_head: the box head.
    """

    def __init__(
        self, features: TrunkFeatures, block4: Tail, classes: int, config: Config
    ) -> None:
        """
        Args:
          features: features of the trunk at stride 16.
          block4: the tail of the trunk, for the box head.
          classes: C, the number of classes.
          config: the hyperparameters.
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

    def losses(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Computes the four losses of Faster R-CNN, weight decay and the lasso's penalty.

        Args:
          examples: a batch of `examples.training`, of static sizes.
          seed: int32 [2], for the choice of anchors and proposals.

        Returns:
          float32 scalars by name.
        """
        boxes, sizes = examples["boxes"], examples["size"]
        features, layout = self._extract(examples["image"])
        scores, offsets = self.proposal_network(features)
        score_targets, offset_targets = self._targets(
            layout, boxes, sizes, _fold(seed, _ANCHOR_DRAW)
        )
        proposals = self.proposal_network.select(scores, offsets, layout, sizes, True)
        chosen, true_boxes, classes = self._choose(proposals, examples, seed)
        logits, refined = self.box_head(features, chosen)
        targets = box_ops.encode_boxes(
            true_boxes, chosen, list(self._config.box_scales)
        )
        # The targets of background proposals are not finite; the loss ignores them.
        targets = tf.where(classes[..., tf.newaxis] > 0, targets, 0.0)
        score_loss = self._score_loss({LEVEL: scores}, {LEVEL: score_targets})
        offset_loss = self._offset_loss({LEVEL: offsets}, {LEVEL: offset_targets})
        return {
            "proposal_score_loss": score_loss,
            "proposal_box_loss": self._config.rpn_box_weight * offset_loss,
            "class_loss": self._class_loss(logits, classes),
            "box_loss": self._box_loss(refined, classes, targets),
            "decay": self._decay(),
            "lasso": self.features.penalty(),
        }

    def detect(self, images: tf.Tensor, sizes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects objects and suppresses overlapping detections, all in the graph.

        Args:
          images: float32 [B, H, W, 3] in [0, 1], of static size.
          sizes: float32 [B, 2], height and width of the image on its canvas.

        Returns:
          "boxes" float32 [B, D, 4] (ymin, xmin, ymax, xmax) in pixels of the canvas;
          "scores" float32 [B, D], best first; "classes" int32 [B, D], from 0, without
          background; "number" int32 [B], number of detections of each image, the rest
          being padding.
        """
        features, layout = self._extract(images)
        scores, offsets = self.proposal_network(features)
        proposals = self.proposal_network.select(scores, offsets, layout, sizes, False)
        # Image by image, because the crops of a batch would take gigabytes.
        logits, refined = tf.map_fn(
            lambda inputs: self._run_box_head(*inputs),
            (features, proposals),
            fn_output_signature=(tf.float32, tf.float32),
            parallel_iterations=1,
        )
        detections = self._generate(
            refined, logits, proposals, sizes, list(self._config.box_scales)
        )
        return {
            "boxes": detections["detection_boxes"],
            "scores": detections["detection_scores"],
            "classes": detections["detection_classes"] - 1,
            "number": detections["num_detections"],
        }

    def kernels(self) -> list[tf.Variable]:
        """The trainable variables that weight decay applies to."""
        return [
            variable for variable in self.trainable_variables if variable.shape.rank > 1
        ]

    def _extract(self, images: tf.Tensor) -> tuple[tf.Tensor, npt.NDArray[np.float32]]:
        """Returns (features of images, anchors of their canvas)."""
        layout = anchors.canvas_anchors(*images.shape[1:3], self._config)
        features = self.features(images)
        return tf.ensure_shape(features, [None, *layout.shape[:2], None]), layout

    def _run_box_head(
        self, features: tf.Tensor, proposals: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Runs the box head on a single image, without the batch dimension."""
        logits, offsets = self.box_head(features[tf.newaxis], proposals[tf.newaxis])
        return logits[0], offsets[0]

    def _choose(
        self, proposals: tf.Tensor, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Chooses proposals for the loss of the box head; true boxes are candidates too.

        Returns:
          (proposals float32 [B, K, 4]; the true box of each, float32 [B, K, 4]; its
          class, int32 [B, K], 0 for background).
        """
        config = self._config
        proposals, boxes, classes, _ = self._matcher(
            proposals, examples["boxes"], examples["classes"]
        )
        # Missing proposals and objects are padded with empty boxes.
        real = tf.reduce_all(proposals[..., 2:] > proposals[..., :2], -1)
        positive = tf.logical_and(classes > 0, real)
        indices, _ = sampling.balanced(
            positive,
            tf.logical_and(real, ~positive),
            config.box_samples,
            config.box_foreground,
            _fold(seed, _PROPOSAL_DRAW),
        )
        chosen, true_boxes, labels = (
            tf.stop_gradient(tf.gather(part, indices, batch_dims=1))
            for part in (proposals, boxes, classes)
        )
        return chosen, true_boxes, labels

    def _decay(self) -> tf.Tensor:
        norms = [tf.nn.l2_loss(kernel) for kernel in self.kernels()]
        return self._config.weight_decay * tf.add_n(norms)


def _fold(seed: tf.Tensor, number: int) -> tf.Tensor:
    """Derives a different seed for each number: int32 [2]."""
    return tf.random.experimental.stateless_fold_in(seed, number)
