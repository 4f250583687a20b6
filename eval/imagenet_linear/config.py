"""Hyperparameters of the evaluation; docs/hyperparameters.md has their sources."""

import dataclasses
import math

from eval.settings import Preset
from selfsup.common.errors import UserError

NAME = "imagenet_linear"


@dataclasses.dataclass(frozen=True)
class Config:
    """The defaults are the paper's where it gives a value.

    Attributes:
      steps: of training.
      batch_size: photos a step, also of the passes that only look.
      learning_rates: of the first step, rising; each falls to 0 along a half cosine. A
        layer is trained at each of them.
      held_out_share: of the training photos: no layer is trained on them, and they
        choose the learning rate.
      alpha_learning_rate: of the lasso's rows, in the same schedule.
      momentum: of gradient descent (Nesterov's).
      weight_decay: factor of half the squared norm of each softmax layer's weights.
      image_size: pixels, side of the square that the trunk sees.
      output_stride: of the trunk, 8 or 16.
      pool_size: cells a side that block 3 is max-pooled to.
      augment: whether training sees random crops and colours; centre crops otherwise.
      augmented_views: of each photo that features are computed of, once; training goes
        over them again and again. 0, or so many that training would see each once at
        most: new views at every step, as with the lasso, whose features change.
      min_crop_area: smallest share of a photo's area that a training crop has.
      min_crop_aspect: narrowest width over height of a crop; the widest is its inverse.
      mirror: whether half of the crops are mirrored.
      brightness: most that is added to or taken from values in [0, 1].
      saturation, contrast: factors are 1 minus to 1 plus this.
      hue: most that it turns either way, as a share of the circle.
      statistics_images: most training images that statistics are measured on.
      probe_units: whether every unit of block 3 gets a softmax layer of its own.
      neighbours: of the nearest-neighbour classifier; 0 leaves it out.
      neighbour_images: most training images that neighbours are looked for among.
      cache_features: whether the features of all training photos are computed once and
        kept on disk; without augmentation and lasso alone.
      cache_gigabytes: most that they may take there.
    """

    steps: int = 300_000
    batch_size: int = 128
    learning_rates: tuple = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
    held_out_share: float = 0.01
    alpha_learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    image_size: int = 224
    output_stride: int = 16
    pool_size: int = 3
    augment: bool = True
    augmented_views: int = 0
    min_crop_area: float = 0.08
    min_crop_aspect: float = 0.75
    mirror: bool = True
    brightness: float = 0.125
    saturation: float = 0.5
    contrast: float = 0.5
    hue: float = 0.2
    statistics_images: int = 10_000
    probe_units: bool = False
    neighbours: int = 20
    neighbour_images: int = 20_000
    cache_features: bool = False
    cache_gigabytes: float = 64.0

    def __post_init__(self):
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise UserError(
                    f"{name}={getattr(self, name)}: expected {least} to {most}"
                )
        if not self.alpha_learning_rate > 0:
            raise UserError(
                f"alpha_learning_rate={self.alpha_learning_rate}: expected above 0"
            )
        _check_ladder(self.learning_rates, self.held_out_share)
        if self.output_stride not in (8, 16):
            raise UserError(f"output_stride={self.output_stride}: expected 8 or 16")
        cells = -(-self.image_size // self.output_stride)
        if cells < self.pool_size:
            raise UserError(
                f"image_size={self.image_size}: {cells} cells at stride "
                f"{self.output_stride} cannot be pooled to {self.pool_size}"
            )
        if self.cache_features and self.augment:
            raise UserError(
                "cache_features=true: augmentation changes the features at every step; "
                "goes with augment=false alone"
            )


def _check_ladder(rates, held_out_share):
    numbers = all(
        isinstance(rate, (int, float)) and math.isfinite(rate) for rate in rates
    )
    if not (rates and numbers and rates[0] > 0 and _rises(rates)):
        raise UserError(
            f"learning_rates={list(rates)}: expected numbers above 0, each above the one "
            "before it, such as [1, 3, 10]"
        )
    if len(rates) > 1 and not held_out_share:
        raise UserError(
            "held_out_share=0.0: nothing would choose among the learning rates "
            f"{list(rates)}; give a share above 0, or one learning rate"
        )


def _rises(values):
    return all(low < high for low, high in zip(values, values[1:]))


_LARGE = 10**9
_RANGES = {
    "steps": (1, _LARGE),
    "batch_size": (1, _LARGE),
    "held_out_share": (0.0, 0.5),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 1.0),
    "image_size": (32, 4096),
    "pool_size": (1, 64),
    "augmented_views": (0, _LARGE),
    "min_crop_area": (0.001, 1.0),
    "min_crop_aspect": (0.1, 1.0),
    "brightness": (0.0, 1.0),
    "saturation": (0.0, 1.0),
    "contrast": (0.0, 1.0),
    "hue": (0.0, 0.5),
    "statistics_images": (1, _LARGE),
    "neighbours": (0, _LARGE),
    "neighbour_images": (1, _LARGE),
    "cache_gigabytes": (0.0, _LARGE),
}

PRESETS = {
    "paper": Preset("the paper's, ResNet-101", "101", {}),
    "small": Preset(
        "ResNet-50 for one GPU",
        "50",
        {"steps": 20_000, "held_out_share": 0.05, "probe_units": True},
    ),
    "tiny": Preset(
        "tiny trunk for CPUs",
        "tiny",
        {
            "steps": 1600,
            "augmented_views": 40,
            "held_out_share": 0.1,
            "image_size": 112,
            "min_crop_area": 0.5,
            "statistics_images": 512,
            "probe_units": True,
            "neighbours": 5,
        },
    ),
}
