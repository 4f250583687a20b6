"""Colorization: which of 313 colours does each position of a gray photo have?

Paper sections 2, 3.3 and 3.4; Zhang, Isola & Efros, "Colorful Image Colorization"
(ECCV 2016).

Rare colours have a larger weight in the loss (class rebalancing). Their frequencies
come from ImageNet or from a prior that was measured on other photos. Rebalancing moves
predictions away from frequent colours. Therefore only the weighted loss shows progress
over guessing by the prior: the unweighted loss and the accuracy can stay worse than
chance.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.images import (
    ab_bins,
    ab_encoding,
    color,
    device_resize,
    exemplar_augmentation,
    mosaic,
    square_crops,
)
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig


@dataclasses.dataclass(frozen=True)
class ColorizationConfig(TaskConfig):
    """Sources of the defaults: docs/hyperparameters.md.

    Attributes:
      batch_size: photos.
      image_size: side of the square crop of the photo, in pixels.
      bins: number of ab bins that are classes; fewer than 313 keeps the most frequent.
      soft_encoding_neighbors: number of bins that share the colour of a pixel; 5 in the
        text of Zhang et al., 10 in their public code.
      prior_file: CSV file of measured colour frequencies; empty for ImageNet's.
      uniform_share: lambda of Zhang et al., the share of the uniform distribution in
        class rebalancing, 0 to 1. With 1, all colours have the same weight.
      temperature: of the annealed mean with which pictures show predictions.
      head_channels: channels of the head's two hidden convolutions.
    """

    batch_size: int = 16
    image_size: int = 256
    bins: int = ab_bins.COUNT
    soft_encoding_neighbors: int = ab_encoding.NEIGHBORS
    prior_file: str = dataclasses.field(default="", metadata={"path": True})
    uniform_share: float = 0.5
    temperature: float = 0.38
    head_channels: int = 4096


class Colorization(Task):
    """Predicts the colours of gray photos; see the module's docstring."""

    name = "colorization"
    Config = ColorizationConfig
    config: ColorizationConfig
    metric_specs = (
        Metric("weighted_loss", False, "nats per pixel, weighted by rarity of colour"),
        Metric("unweighted_loss", False, "nats per pixel"),
        Metric("accuracy", True, "share of pixels whose nearest bin is predicted"),
    )

    def __init__(self, config: ColorizationConfig | None = None) -> None:
        super().__init__(config)
        self._check_fields()
        config = self.config
        self._centres, self._prior = _most_frequent_bins(config.bins, config.prior_file)
        empty = np.sum(self._prior == 0)
        checks.require(
            config.uniform_share > 0 or not empty,
            self.name,
            "uniform_share",
            config.uniform_share,
            f"above 0, because {empty} of the {config.bins} bins have frequency 0 in "
            "the prior, and their weight would be infinite",
        )
        self._rebalancing_weights = ab_encoding.rebalancing_weights(
            self._prior, config.uniform_share
        )

    def _check_fields(self) -> None:
        """Raises UserError if a field of the config is invalid by itself."""
        config = self.config
        checks.require_multiple(
            self.name, "image_size", config.image_size, self.output_stride
        )
        neighbors = config.soft_encoding_neighbors
        bins = f"soft_encoding_neighbors={neighbors} to {ab_bins.COUNT}"
        for field, valid, expected in (
            ("soft_encoding_neighbors", neighbors >= 1, "1 or more"),
            ("bins", neighbors <= config.bins <= ab_bins.COUNT, bins),
            ("temperature", config.temperature > 0, "more than 0"),
            ("uniform_share", 0 <= config.uniform_share <= 1, "0 to 1"),
        ):
            checks.require(valid, self.name, field, getattr(config, field), expected)

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns a random square crop; see `square_crops.random_square`."""
        return square_crops.random_square(
            record["encoded"], self.config.image_size, seed
        )

    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Mirrors photos at random and separates lightness from colour.

        Returns:
          images: float32 [B, s, s, 3] in [0, 1] for s = image_size, the lightness in
            all three channels (section 3.3).
          targets: "ab" float32 [B, s/8, s/8, 2], the mean colours; their soft encoding,
            "indices" int32 and "weights" float32, [B, s/8, s/8,
            soft_encoding_neighbors]; "colorful" float32 [B], 0 for gray photos, else 1.
        """
        photos = device_resize.resize_canvases(examples, self.config.image_size)
        (photos,) = square_crops.random_mirror([photos], seed)
        lab = color.rgb_to_lab(photos)
        ab = tf.nn.avg_pool2d(
            lab[..., 1:], self.output_stride, self.output_stride, "VALID"
        )
        indices, weights = ab_encoding.soft_encode(
            ab, self._centres, self.config.soft_encoding_neighbors
        )
        targets = {
            "ab": ab,
            "indices": indices,
            "weights": weights,
            "colorful": tf.cast(ab_encoding.is_colorful(ab), tf.float32),
        }
        return color.replicate_lightness(lab), targets

    def augment_examples(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Moves, scales and rotates photos; the target colours move with them.

        Colours themselves do not change: they are what the task predicts, and no gray
        image shows how they were jittered. `augment_images` changes the lightness.
        """
        photos = device_resize.resize_canvases(examples, self.config.image_size)
        views = exemplar_augmentation.random_views(photos, seed)
        return {**examples, **device_resize.as_canvases(views)}

    def build_head(self, dtype: str | None = None) -> heads.DenseHead:
        """Returns a new head; its outputs are logits [B, s/8, s/8, bins]."""
        return heads.DenseHead(
            outputs=self.config.bins,
            channels=self.config.head_channels,
            kernel_sizes=(2, 1),
            weight_decay=self.config.weight_decay,
            dtype=dtype,
            name="colorization_head",
        )

    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mean rebalanced cross-entropy over the colorful photos."""
        return self._losses(outputs, targets)["weighted_loss"]

    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns both losses and the accuracy, over the colorful photos."""
        predicted = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        return {
            **self._losses(outputs, targets),
            "accuracy": _accuracy(predicted, targets),
        }

    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of the same prediction at every pixel of this batch.

        The losses are those of the best constant prediction under the prior: the prior
        itself for the unweighted loss, and the rebalanced prior for the weighted loss.
        """
        mode = tf.constant(np.argmax(self._prior), tf.int32)
        unweighted = self._constant_losses(self._prior, targets)
        weighted = self._constant_losses(
            self._prior * self._rebalancing_weights, targets
        )
        return {
            "weighted_loss": weighted["weighted_loss"],
            "unweighted_loss": unweighted["unweighted_loss"],
            "accuracy": _accuracy(mode, targets),
        }

    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws a row per photo: the input, the predicted and the true colours."""
        ab = ab_encoding.annealed_mean(
            tf.constant(outputs[:6]), self._centres, self.config.temperature
        )
        gray = images[:6]
        predicted = _paint(gray, ab)
        truth = _paint(gray, targets["ab"][:6])
        rows = [
            [mosaic.shrink(mosaic.to_uint8(image), 160) for image in row]
            for row in zip(gray, predicted, truth)
        ]
        return {"gray_predicted_true": mosaic.grid(rows)}

    def _losses(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Both losses of logits, float32 [B, h, w, bins]."""
        losses = ab_encoding.cross_entropy(
            outputs, targets["indices"], targets["weights"]
        )
        return self._mean_losses(losses, targets)

    def _constant_losses(
        self, probabilities: npt.NDArray[np.float32], targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Both losses of predicting the same probabilities, [bins], at every pixel."""
        surprise = -np.log(np.maximum(probabilities, 1e-12))
        losses = targets["weights"] * tf.gather(surprise, targets["indices"])
        return self._mean_losses(tf.reduce_sum(losses, axis=-1), targets)

    def _mean_losses(
        self, losses: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Weighted and unweighted mean of losses [B, h, w] over the colorful photos.

        The weight of a pixel is that of its nearest bin.
        """
        rarity = tf.gather(self._rebalancing_weights, targets["indices"][..., 0])
        return {
            "weighted_loss": _mean_of_colorful(losses * rarity, targets),
            "unweighted_loss": _mean_of_colorful(losses, targets),
        }


def _most_frequent_bins(
    bins: int, prior_file: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Centres [bins, 2] and prior [bins] of the `bins` most frequent colours."""
    prior = ab_bins.read_prior(prior_file) if prior_file else ab_bins.imagenet_prior()
    kept = np.sort(np.argsort(-prior, kind="stable")[:bins])
    return ab_bins.centres()[kept], prior[kept] / prior[kept].sum()


def _mean_of_colorful(values: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
    """Mean of [B, h, w] over the photos that are not gray; 0 if all are gray."""
    photos = tf.reduce_mean(values, axis=[1, 2])
    colorful = targets["colorful"]
    return tf.math.divide_no_nan(
        tf.reduce_sum(photos * colorful), tf.reduce_sum(colorful)
    )


def _accuracy(predicted: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
    """Share of pixels of colorful photos whose nearest bin is `predicted`."""
    hits = tf.cast(predicted == targets["indices"][..., 0], tf.float32)
    return _mean_of_colorful(hits, targets)


def _paint(
    gray: npt.NDArray[np.float32], ab: tf.Tensor | npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Adds colours to gray photos.

    Args:
      gray: [N, H, W, 3] in [0, 1], the lightness in all channels.
      ab: float32 [N, h, w, 2], colours at any resolution.

    Returns:
      RGB [N, H, W, 3] in [0, 1].
    """
    full_size = tf.image.resize(ab, gray.shape[1:3])
    lab = tf.concat([100.0 * gray[..., :1], full_size], axis=-1)
    rgb: npt.NDArray[np.float32] = color.lab_to_rgb(lab).numpy()
    return rgb
