"""Hyperparameters of the depth evaluation; docs/hyperparameters.md has the sources."""

from __future__ import annotations

import dataclasses

from eval.settings import Preset
from selfsup.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Config:
    """The paper's values, and Laina et al.'s where it gives none.

    Attributes:
      epochs: how often each training frame is seen, as a mean. Laina et al. train for
        20 epochs of 95 thousand augmented pairs, made of 12 thousand frames: 158 times.
      steps: training steps; 0 takes what `epochs` makes of the frames that are there.
      batch_size: images a step.
      learning_rate: at the start.
      decay_share: share of the steps after which the learning rate falls, again and
        again.
      decay_factor: what it is then multiplied by.
      momentum: of stochastic gradient descent.
      weight_decay: factor of half the squared L2 norm of all kernels, the trunk's too.
      height, width: pixels that every photo is resized to, whatever its aspect;
        multiples of 16, the trunk's stride.
      crop_height, crop_width: of the training crops; multiples of 16.
      max_scale: a crop is enlarged by 1 to this, and its depth divided by the same.
      max_rotation: degrees, either way.
      color_range: each channel is multiplied by 1 - this to 1 + this.
      up_projection_1, up_projection_2, up_projection_3: channels.
      dropout: share of the last map that training drops before the last convolution.
      berhu_share: c of the loss as a share of the batch's largest error.
      batch_norm_images: training images that BN statistics are measured on at the end.
      test_split: split that is measured on.
      pictures: test images that are drawn.
    """

    epochs: float = 158.0
    steps: int = 0
    batch_size: int = 16
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
    berhu_share: float = 0.2
    batch_norm_images: int = 512
    test_split: str = "test"
    pictures: int = 8

    def __post_init__(self):
        self._check("epochs", self.epochs > 0, "more than 0")
        self._check("steps", self.steps >= 0, "0 (from epochs) or more")
        self._check("learning_rate", self.learning_rate > 0, "more than 0")
        self._check("batch_size", self.batch_size >= 1, "1 or more")
        self._check("batch_norm_images", self.batch_norm_images >= 1, "1 or more")
        self._check("pictures", self.pictures >= 0, "0 or more")
        for side in ("height", "width", "crop_height", "crop_width"):
            pixels = getattr(self, side)
            self._check(side, pixels >= 16 and pixels % 16 == 0, "a multiple of 16")
        for channels in self.channels:
            self._check("up_projection_*", channels >= 1, "1 or more")
        self._check("decay_share", self.decay_share > 0, "more than 0")
        self._check("max_scale", self.max_scale >= 1, "1 or more")
        self._check("dropout", 0 <= self.dropout < 1, "0 to less than 1")
        self._check("berhu_share", 0 < self.berhu_share <= 1, "above 0, up to 1")
        known = ("validation", "test")
        self._check("test_split", self.test_split in known, " or ".join(known))
        for side in ("height", "width"):
            crop, whole = getattr(self, f"crop_{side}"), getattr(self, side)
            self._check(f"crop_{side}", crop <= whole, f"at most {side}={whole}")

    def _check(self, name, good, expected):
        if not good:
            value = getattr(self, name, self.channels)
            raise UserError(f"{name}={value}: expected {expected}")

    def with_steps(self, frames: int) -> Config:
        """This config with the steps that training on so many frames takes, at least 1."""
        steps = self.steps or max(1, round(self.epochs * frames / self.batch_size))
        return dataclasses.replace(self, steps=steps)

    @property
    def superseded(self):
        """Fields without effect: what a settings file says of them does not matter."""
        return ("epochs",) if self.steps else ()

    @property
    def channels(self):
        """Of the three up-projections."""
        return (self.up_projection_1, self.up_projection_2, self.up_projection_3)


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
