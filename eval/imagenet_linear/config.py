"""Hyperparameters of the evaluation; docs/hyperparameters.md has their sources."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from eval import settings
from eval.settings import Preset
from selfsup.common.errors import UserError

_LEARNING_RATES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclasses.dataclass(frozen=True)
class Config(settings.Config):
    """Hyperparameters; the defaults are the paper's where it gives a value.

    Attributes:
      steps: training steps.
      batch_size: photos per step, and per batch of all other passes.
      learning_rates: learning rates of the first step, in increasing order. Each row of
        features has one layer per rate. Each rate falls to 0 along a half cosine.
      held_out_share: share of the training photos that no layer is trained on and that
        choose the learning rate.
      alpha_learning_rate: learning rate of the rows of alpha (lasso), with the same
        schedule.
      momentum: Nesterov momentum of gradient descent.
      weight_decay: factor of half the squared norm of the weights of each layer.
      image_size: side of the square images that the trunk sees, in pixels.
      output_stride: output stride of the trunk, 8 or 16.
      pool_size: side of the grid that features are max-pooled to.
      augment: whether training uses random crops and colours; if not, centre crops.
      augmented_views: number of views of each photo whose features are computed once, so
        that training can repeat them. With 0, with the lasso (whose features change), or
        if training would see each view at most once, every step uses new views.
      min_crop_area: smallest area of a training crop, as a share of the photo's.
      min_crop_aspect: smallest ratio of a crop's width to its height; the largest is its
        inverse.
      mirror: whether half of the crops are mirrored.
      brightness: largest value that is added to or subtracted from values in [0, 1].
      saturation, contrast: the factors are between 1 minus and 1 plus this value.
      hue: largest rotation of the hue in either direction, as a share of the circle.
      statistics_images: largest number of training photos for measuring statistics.
      probe_units: whether every unit of the trunk has softmax layers of its own.
      neighbours: number of neighbours of the nearest-neighbour classifier; 0 disables it.
      neighbour_images: largest number of training photos that neighbours are chosen from.
      cache_features: whether the features of all training photos are computed once and
        kept on disk; only without augmentation and without the lasso.
      cache_gigabytes: largest size of the features on disk.
    """

    steps: int = 300_000
    batch_size: int = 128
    learning_rates: tuple[float, ...] = _LEARNING_RATES
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

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            self.require_range(name, least, most)
        self.require_positive("alpha_learning_rate")
        _check_ladder(self.learning_rates, self.held_out_share)
        self.require("output_stride", self.output_stride in (8, 16), "8 or 16")
        cells = -(-self.image_size // self.output_stride)
        if cells < self.pool_size:
            raise UserError(
                f"image_size={self.image_size}: the feature map has {cells} cells at "
                f"output stride {self.output_stride}, which cannot be pooled to "
                f"pool_size={self.pool_size}"
            )
        if self.cache_features and self.augment:
            raise UserError(
                "cache_features=true: needs augment=false, because augmentation changes "
                "the features at every step"
            )


def _check_ladder(rates: Sequence[float], held_out_share: float) -> None:
    numbers = all(
        isinstance(rate, (int, float)) and math.isfinite(rate) for rate in rates
    )
    if not (rates and numbers and rates[0] > 0 and _is_increasing(rates)):
        raise UserError(
            f"learning_rates={list(rates)}: expected positive numbers in increasing "
            "order, such as [1, 3, 10]"
        )
    if len(rates) > 1 and not held_out_share:
        raise UserError(
            "held_out_share=0.0: no photos would be left to choose among the learning "
            f"rates {list(rates)}; give a share above 0, or a single learning rate"
        )


def _is_increasing(values: Sequence[float]) -> bool:
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
    "paper": Preset("ResNet-101, the paper's sizes", "101", {}),
    "small": Preset(
        "ResNet-50, one GPU",
        "50",
        {"steps": 20_000, "held_out_share": 0.05, "probe_units": True},
    ),
    "tiny": Preset(
        "a small network for CPUs",
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
