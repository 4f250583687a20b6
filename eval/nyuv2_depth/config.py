"""Hyperparameters of the depth evaluation; docs/hyperparameters.md has their sources."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from eval import settings
from eval.settings import Preset


@dataclasses.dataclass(frozen=True)
class DenseConfig(settings.Config):
    """Hyperparameters of evaluations that predict a map with the up-projections.

    The defaults are the paper's, or Laina et al.'s.

    Attributes:
      steps: training steps; 0 derives them from `epochs` and the number of frames.
      batch_size: images per step.
      epochs: mean number of times that training uses each frame. Laina et al. train for
        20 epochs of 95 thousand pairs, augmented from 12 thousand frames: 158 times.
      learning_rate: initial learning rate.
      decay_share: the learning rate falls each time this share of the steps has passed.
      decay_factor: factor by which it falls.
      momentum: momentum of stochastic gradient descent.
      weight_decay: factor of half the squared L2 norm of all kernels, the trunk's
        included.
      height, width: size that every photo is resized to, in pixels; the aspect is not
        preserved. Multiples of 16, the stride of the trunk.
      crop_height, crop_width: size of the training crops; multiples of 16.
      max_scale: a crop is enlarged by a factor in [1, max_scale], and its depth is
        divided by the factor.
      max_rotation: largest rotation in either direction, in degrees.
      color_range: each channel is multiplied by a factor that differs from 1 by at most
        this value.
      up_projection_1, up_projection_2, up_projection_3: channels.
      dropout: share of the last feature map that training drops before the last
        convolution.
      batch_norm_images: number of training images on which batch-norm statistics are
        measured after training.
      test_split: split to test on.
      pictures: number of test images to draw.
    """

    steps: int = 0
    batch_size: int = 16
    epochs: float = 158.0
    learning_rate: float = 0.01
    decay_share: float = 0.35
    decay_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    height: int = 240
    width: int = 320
    crop_height: int = 224
    crop_width: int = 304
    max_scale: float = 1.5
    max_rotation: float = 5.0
    color_range: float = 0.2
    up_projection_1: int = 512
    up_projection_2: int = 256
    up_projection_3: int = 128
    dropout: float = 0.5
    batch_norm_images: int = 512
    test_split: str = "test"
    pictures: int = 8

    def __post_init__(self) -> None:
        for name in ("epochs", "learning_rate", "decay_share"):
            self.require_positive(name)
        for name in ("batch_size", "batch_norm_images", "max_scale"):
            self.require_at_least(name, 1)
        for name in ("up_projection_1", "up_projection_2", "up_projection_3"):
            self.require_at_least(name, 1)
        self.require("steps", self.steps >= 0, "0 (derived from epochs) or more")
        self.require_at_least("pictures", 0)
        for side in ("height", "width", "crop_height", "crop_width"):
            pixels = getattr(self, side)
            self.require(side, pixels >= 16 and pixels % 16 == 0, "a multiple of 16")
        self.require("dropout", 0 <= self.dropout < 1, "0 to less than 1")
        splits = ("validation", "test")
        self.require("test_split", self.test_split in splits, " or ".join(splits))
        for side in ("height", "width"):
            crop, photo = getattr(self, f"crop_{side}"), getattr(self, side)
            self.require(f"crop_{side}", crop <= photo, f"at most {side}={photo}")

    def with_steps(self: DenseConfigT, frames: int) -> DenseConfigT:
        """Returns this config with the number of steps, at least 1.

        Args:
          frames: number of training frames, which `epochs` refers to.
        """
        steps = self.steps or max(1, round(self.epochs * frames / self.batch_size))
        return dataclasses.replace(self, steps=steps)

    @property
    def superseded(self) -> tuple[str, ...]:
        """`epochs`, if `steps` are given."""
        return ("epochs",) if self.steps else ()

    @property
    def channels(self) -> tuple[int, int, int]:
        """Channels of the three up-projections."""
        return (self.up_projection_1, self.up_projection_2, self.up_projection_3)


DenseConfigT = TypeVar("DenseConfigT", bound=DenseConfig)


@dataclasses.dataclass(frozen=True)
class Config(DenseConfig):
    """Hyperparameters of depth prediction.

    Attributes:
      berhu_share: c of the loss, as a share of the largest error of the batch.
    """

    berhu_share: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("berhu_share", 0 < self.berhu_share <= 1, "more than 0, up to 1")


PRESETS = {
    "paper": Preset("ResNet-101, the paper's sizes", "101", {}),
    "small": Preset(
        "ResNet-50, one GPU",
        "50",
        {
            "epochs": 200.0,
            "up_projection_1": 256,
            "up_projection_2": 128,
            "up_projection_3": 64,
        },
    ),
    "tiny": Preset(
        "a small network for CPUs",
        "tiny",
        {
            "epochs": 40.0,
            "batch_size": 8,
            "learning_rate": 0.03,
            "height": 96,
            "width": 128,
            "crop_height": 96,
            "crop_width": 128,
            "max_scale": 1.1,
            "up_projection_1": 64,
            "up_projection_2": 32,
            "up_projection_3": 16,
            "dropout": 0.0,
            "batch_norm_images": 64,
        },
    ),
}
