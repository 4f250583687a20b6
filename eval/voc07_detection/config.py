"""Hyperparameters of the detection evaluation; docs/hyperparameters.md has the sources."""

from __future__ import annotations

import dataclasses

from eval import settings
from eval.settings import Preset

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
class Config(settings.Config):
    """Hyperparameters of Faster R-CNN; the defaults are the paper's and Ren et al.'s.

    Sizes are in pixels of the resized image: its shorter side, unless the longer side
    would exceed 5/3 of the size, see `canvases`.

    Attributes:
      steps: training steps.
      batch_size: images per step.
      learning_rate: initial learning rate of stochastic gradient descent.
      momentum: its momentum.
      weight_decay: factor of half the squared norm of all kernels.
      clip_norm: gradients are scaled down to this global norm.
      decay_share, decay_factor: after this share of the steps, the learning rate is
        multiplied by the factor.
      min_size, max_size, sizes: training uses `sizes` evenly spaced sizes in [min_size,
        max_size].
      test_size: size of the test images.
      test_batch_size: images per batch in the test.
      recalibration_images: number of images on which batch statistics are measured.
      anchor_size: side of an anchor of scale 1 and ratio 1.
      anchor_scales: scales of the anchors.
      anchor_ratios: ratios of the width to the height of the anchors.
      rpn_channels: channels of the proposal network's 3x3 convolution.
      rpn_samples: number of anchors per image in the loss.
      rpn_foreground: largest share of these anchors that are objects.
      rpn_high_iou: anchors of at least this overlap with an object are objects.
      rpn_low_iou: anchors of less overlap with all objects are background.
      proposals, test_proposals: number of proposals that suppression keeps.
      proposal_nms_iou: suppression removes proposals of a larger overlap.
      min_proposal: proposals with a side of this size or less are removed.
      box_samples: number of proposals per image in the loss of the box head.
      box_foreground: largest share of these proposals that are objects.
      box_iou: proposals of at least this overlap with an object are objects.
      crop_size: side of the cropped features, before 2x2 max-pooling; even.
      rpn_huber, box_huber: error at which the box losses change from squared to linear.
      rpn_box_weight: factor of the box loss of the proposal network.
      box_scales: factors of the regression targets (y, x, height, width).
      score_threshold: smallest score of a detection.
      nms_iou: suppression removes detections of a larger overlap.
      max_detections: largest number of detections per image.
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
    anchor_scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
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
    box_scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    score_threshold: float = 0.05
    nms_iou: float = 0.3
    max_detections: int = 100

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            self.require_at_least(name, least)
        for name in _POSITIVE:
            self.require_positive(name)
        self.require("momentum", 0 <= self.momentum < 1, "0 to less than 1")
        even = self.crop_size >= 2 and self.crop_size % 2 == 0
        self.require("crop_size", even, "an even number, 2 or more")


PRESETS = {
    "paper": Preset("ResNet-101, the paper's sizes", "101", {}),
    "small": Preset(
        "ResNet-50, one GPU",
        "50",
        {"steps": 20_000, "sizes": 3, "max_size": 672, "batch_size": 2},
    ),
    "tiny": Preset(
        "a small network for CPUs",
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
