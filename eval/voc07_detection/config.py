"""Hyperparameters of the detection evaluation; docs/hyperparameters.md has sources."""

import dataclasses

from eval.settings import Preset
from selfsup.common.errors import UserError

_LEAST = {
    "steps": 1,
    "batch_size": 1,
    "test_batch_size": 1,
    "recalibration_images": 1,
    "min_size": 32,
    "max_size": 32,
    "test_size": 32,
    "sizes": 1,
}
_POSITIVE = ("learning_rate", "clip_norm", "decay_share", "anchor_size")


@dataclasses.dataclass(frozen=True)
class Config:
    """Faster R-CNN on block 3; the defaults are the paper's and Ren et al.'s.

    Sizes are in pixels of the resized image: its shorter side, unless the longer one
    would exceed 5/3 of that, see `canvases`.

    Attributes:
      steps, batch_size: of training.
      learning_rate, momentum, weight_decay, clip_norm: of SGD. The decay is of half the
        squared norm of all kernels; gradients are scaled down to a global norm of
        `clip_norm`.
      decay_share, decay_factor: after that share of the steps the rate is multiplied
        by the factor.
      min_size, max_size, sizes: shorter sides in training: so many from one to the
        other, evenly.
      test_size, test_batch_size: shorter side and images a batch of the test.
      recalibration_images: on which batch statistics are measured.
      anchor_size, anchor_scales, anchor_ratios: side of an anchor of scale 1, scales,
        and widths over heights.
      rpn_channels: of the proposal network's 3x3 convolution.
      rpn_samples, rpn_foreground: anchors of an image in the loss, and the greatest
        share of them on objects.
      rpn_high_iou, rpn_low_iou: overlaps from which an anchor is on an object, and below
        which it is on background.
      proposals, test_proposals, proposal_nms_iou, min_proposal: kept after suppression,
        of that overlap; those with a side of `min_proposal` or less are left out.
      box_samples, box_foreground, box_iou: proposals of an image in the loss, greatest
        share on objects, overlap that makes one such.
      crop_size: side of the cropped features, before 2x2 max pooling.
      rpn_huber, box_huber: where the box losses turn from square to linear.
      rpn_box_weight: factor of the proposals' box loss.
      box_scales: factors of the regression targets (y, x, height, width).
      score_threshold, nms_iou, max_detections: what becomes a detection of an image.
    """

    steps: int = 80_000
    batch_size: int = 1
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float = 10.0
    decay_share: float = 0.75
    decay_factor: float = 0.1
    min_size: int = 480
    max_size: int = 800
    sizes: int = 5
    test_size: int = 600
    test_batch_size: int = 4
    recalibration_images: int = 256
    anchor_size: float = 256.0
    anchor_scales: tuple = (0.25, 0.5, 1.0, 2.0)
    anchor_ratios: tuple = (0.5, 1.0, 2.0)
    rpn_channels: int = 512
    rpn_samples: int = 256
    rpn_foreground: float = 0.5
    rpn_high_iou: float = 0.7
    rpn_low_iou: float = 0.3
    proposals: int = 2000
    test_proposals: int = 300
    proposal_nms_iou: float = 0.7
    min_proposal: float = 16.0
    box_samples: int = 128
    box_foreground: float = 0.25
    box_iou: float = 0.5
    crop_size: int = 14
    rpn_huber: float = 1.0 / 9.0
    box_huber: float = 1.0
    rpn_box_weight: float = 9.0
    box_scales: tuple = (10.0, 10.0, 5.0, 5.0)
    score_threshold: float = 0.05
    nms_iou: float = 0.3
    max_detections: int = 100

    def __post_init__(self):
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UserError(
                    f"{name}: expected {least} or more, got {getattr(self, name)}"
                )
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise UserError(f"{name}: expected above 0, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum: expected 0 to below 1, got {self.momentum}")
        if self.crop_size % 2 or self.crop_size < 2:
            raise UserError(f"crop_size: expected an even number, got {self.crop_size}")


PRESETS = {
    "paper": Preset("the paper's, ResNet-101", "101", {}),
    "small": Preset(
        "ResNet-50 on one GPU",
        "50",
        {"steps": 20_000, "sizes": 3, "max_size": 672, "batch_size": 2},
    ),
    "tiny": Preset(
        "small images, for CPUs",
        "tiny",
        {
            "steps": 1800,
            "batch_size": 2,
            "learning_rate": 0.05,
            "min_size": 256,
            "max_size": 256,
            "sizes": 1,
            "test_size": 256,
            "recalibration_images": 64,
            "anchor_size": 80.0,
            "rpn_channels": 64,
            "rpn_samples": 64,
            "proposals": 200,
            "test_proposals": 100,
            "min_proposal": 4.0,
            "box_samples": 24,
            "crop_size": 8,
            "score_threshold": 0.01,
        },
    ),
}
