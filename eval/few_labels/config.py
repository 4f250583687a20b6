"""Hyperparameters of the evaluation; docs/hyperparameters.md has their sources."""

from __future__ import annotations

import dataclasses
import itertools

from eval import settings
from eval.imagenet_linear import config as linear
from eval.settings import Preset
from selfsup.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Config(settings.Config):
    """Hyperparameters; the same for all trunks and all shares, unless a field says so.

    Attributes:
      steps: training steps of all shares together; 0 derives them from `epochs`. Other
        numbers are divided among the shares in the proportion of the derived numbers.
      batch_size: photos per step, and per batch of all other passes.
      shares: shares of the training photos whose labels are used, in increasing order.
      epochs: passes over the photos of each share.
      min_steps: smallest derived number of steps of a share.
      subset_seed: seed of the choice of photos, which does not depend on the seed of the
        run, so that all trunks and seeds train on the same photos.
      learning_rate: initial learning rate; it falls to 0 along half a cosine, for each
        share from the start.
      momentum: Nesterov momentum of gradient descent.
      weight_decay: factor of half the squared L2 norm of all kernels.
      image_size: side of the square images that the trunk sees, in pixels.
      output_stride: output stride of the trunk, 8 or 16.
      min_crop_area: smallest area of a training crop, as a share of the photo's.
      min_crop_aspect: smallest ratio of a crop's width to its height; the largest is its
        inverse.
      batch_norm_images: number of training photos on which batch-norm statistics are
        measured after training.
    """

    steps: int = 0
    batch_size: int = 64
    shares: tuple[float, ...] = (0.01, 0.1, 1.0)
    epochs: tuple[float, ...] = (60.0, 30.0, 30.0)
    min_steps: int = 200
    subset_seed: int = 0
    learning_rate: float = 0.0125
    momentum: float = 0.9
    weight_decay: float = 0.0
    image_size: int = 224
    output_stride: int = 16
    min_crop_area: float = 0.08
    min_crop_aspect: float = 0.75
    batch_norm_images: int = 10_000

    def __post_init__(self) -> None:
        for name in ("batch_size", "min_steps", "batch_norm_images"):
            self.require_at_least(name, 1)
        for name in ("steps", "subset_seed", "weight_decay"):
            self.require_at_least(name, 0)
        self.require_positive("learning_rate")
        self.require_range("momentum", 0.0, 0.9999)
        self.require_range("image_size", 32, 4096)
        self.require_range("min_crop_area", 0.001, 1.0)
        self.require_range("min_crop_aspect", 0.1, 1.0)
        self.require("output_stride", self.output_stride in (8, 16), "8 or 16")
        increasing = all(a < b for a, b in zip((0.0, *self.shares), self.shares))
        self.require(
            "shares",
            bool(self.shares) and increasing and self.shares[-1] <= 1,
            "numbers above 0, up to 1, in increasing order",
        )
        count = len(self.shares)
        self.require(
            "epochs",
            len(self.epochs) == count and all(number > 0 for number in self.epochs),
            f"{count} numbers above 0, one for each share",
        )

    def last_steps(self, photos: int) -> list[int]:
        """Returns the number of steps taken when the training of each share ends.

        Args:
          photos: number of training photos.

        Raises:
          UserError: when `steps` are too few for all shares.
        """
        derived = [
            max(self.min_steps, round(epochs * share * photos / self.batch_size))
            for share, epochs in zip(self.shares, self.epochs)
        ]
        ends = list(itertools.accumulate(derived))
        if self.steps:
            ends = [round(self.steps * end / ends[-1]) for end in ends]
        if any(end == before for before, end in zip([0, *ends], ends)):
            raise UserError(
                f"steps={self.steps}: too few to train on each of the shares "
                f"{list(self.shares)}"
            )
        return ends

    @property
    def photos(self) -> linear.Config:
        """How `eval.imagenet_linear` has to read and crop the photos."""
        return linear.Config(
            batch_size=self.batch_size,
            image_size=self.image_size,
            min_crop_area=self.min_crop_area,
            min_crop_aspect=self.min_crop_aspect,
            learning_rates=(1.0,),
            held_out_share=0.0,
        )


PRESETS = {
    "paper": Preset("ResNet-101", "101", {}),
    "small": Preset("ResNet-50, one GPU", "50", {"epochs": (60.0, 30.0, 10.0)}),
    "tiny": Preset(
        "a small network for CPUs",
        "tiny",
        {
            "batch_size": 16,
            "epochs": (60.0, 30.0, 10.0),
            "min_steps": 100,
            "learning_rate": 0.05,
            "image_size": 112,
            "min_crop_area": 0.5,
            "batch_norm_images": 256,
        },
    ),
}
