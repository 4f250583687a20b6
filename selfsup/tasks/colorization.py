"""Colorization: which of 313 colours does each place of a gray photo have?

Paper sections 2, 3.3 and 3.4; Zhang, Isola & Efros, "Colorful Image Colorization"
(ECCV 2016).

Rare colours weigh more in the loss (class rebalancing), for which the frequencies of
ImageNet's colours are used or a prior measured on one's own photos. Rebalancing moves
predictions away from the frequent colours: against guessing by the prior it is the
weighted loss that tells whether something is learned, and the unweighted loss and the
accuracy may stay behind.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from selfsup.images import (
    ab_bins,
    ab_encoding,
    color,
    device_resize,
    mosaic,
    square_crops,
)
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig


@dataclasses.dataclass(frozen=True)
class Config(TaskConfig):
    """Defaults are the paper's, and those of Zhang et al. for what it leaves open.

    Attributes:
      batch_size: photos.
      image_size: side of the square cut from the photo.
      bins: how many of the ab bins are classes; fewer than 313 keeps the most
        frequent ones.
      soft_encoding_neighbors: bins that share a pixel's colour; Zhang et al. write 5,
        their public code has 10.
      prior_file: CSV of one's own colour frequencies; empty for ImageNet's.
      uniform_share: lambda, how far rare colours are evened out, 0 to 1.
      temperature: of the annealed mean that the pictures show.
      head_channels: of the head's two hidden convolutions.
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
    """See the module's docstring."""

    name = "colorization"
    Config = Config
    metric_specs = (
        Metric("weighted_loss", False, "nats a pixel, rare colours weighing more"),
        Metric("unweighted_loss", False, "nats a pixel"),
        Metric("accuracy", True, "share of pixels given their nearest bin"),
    )

    def __init__(self, config=None):
        super().__init__(config)
        config = self.config
        checks.require_multiple(
            self.name, "image_size", config.image_size, self.output_stride
        )
        neighbors = config.soft_encoding_neighbors
        checks.require(
            neighbors >= 1,
            self.name,
            "soft_encoding_neighbors",
            neighbors,
            "1 or more",
        )
        checks.require(
            neighbors <= config.bins <= ab_bins.COUNT,
            self.name,
            "bins",
            config.bins,
            f"soft_encoding_neighbors={neighbors} to {ab_bins.COUNT}",
        )
        checks.require(
            config.temperature > 0,
            self.name,
            "temperature",
            config.temperature,
            "above 0",
        )
        self._centres, self._prior = _most_frequent(config.bins, config.prior_file)
        share, empty = config.uniform_share, np.sum(self._prior == 0)
        checks.require(0 <= share <= 1, self.name, "uniform_share", share, "0 to 1")
        checks.require(
            share > 0 or not empty,
            self.name,
            "uniform_share",
            share,
            f"above 0, as {empty} of the {config.bins} bins never occur in the prior, "
            "and their weight would be infinite",
        )
        self._weights = ab_encoding.rebalancing_weights(
            self._prior, config.uniform_share
        )

    def preprocess_example(self, record, seed):
        """A square cut at random, as `square_crops.random_square` gives it."""
        return square_crops.random_square(
            record["encoded"], self.config.image_size, seed
        )

    def preprocess_batch(self, examples, seed):
        """Lightness thrice, [B, s, s, 3], and the colours at [B, s/8, s/8].

        Targets: "ab" float32 [..., 2], "indices" and "weights" of the soft code
        [..., soft_encoding_neighbors], "colorful" float32 [B], 0 for gray photos.
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

    def build_head(self, dtype=None):
        return heads.DenseHead(
            outputs=self.config.bins,
            channels=self.config.head_channels,
            kernel_sizes=(2, 1),
            weight_decay=self.config.weight_decay,
            dtype=dtype,
            name="colorization_head",
        )

    def loss(self, outputs, targets):
        return self._losses(outputs, targets)["weighted_loss"]

    def metrics(self, outputs, targets):
        predicted = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        return {
            **self._losses(outputs, targets),
            "accuracy": _hit_rate(predicted, targets),
        }

    def chance(self, targets):
        """Scores, on this batch's colours, of predicting the same at every pixel.

        The losses are those of the best constant prediction under the prior: the
        prior itself, and the rebalanced prior for the weighted loss.
        """
        mode = tf.constant(np.argmax(self._prior), tf.int32)
        plain = self._constant_losses(self._prior, targets)
        rebalanced = self._constant_losses(self._prior * self._weights, targets)
        return {
            "weighted_loss": rebalanced["weighted_loss"],
            "unweighted_loss": plain["unweighted_loss"],
            "accuracy": _hit_rate(mode, targets),
        }

    def pictures(self, images, outputs, targets):
        """One row a photo: what the network saw, its colours, the true colours."""
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

    def _losses(self, outputs, targets):
        """Both losses of the head's logits, [B, h, w, bins]."""
        losses = ab_encoding.cross_entropy(
            outputs, targets["indices"], targets["weights"]
        )
        return self._means(losses, targets)

    def _constant_losses(self, probabilities, targets):
        """Both losses of predicting the same probabilities, [bins], everywhere."""
        surprise = -np.log(np.maximum(probabilities, 1e-12))
        losses = targets["weights"] * tf.gather(surprise, targets["indices"])
        return self._means(tf.reduce_sum(losses, axis=-1), targets)

    def _means(self, losses, targets):
        """Means of per-pixel losses over the colorful photos, in both weightings."""
        rarity = tf.gather(self._weights, targets["indices"][..., 0])
        return {
            "weighted_loss": _colorful_mean(losses * rarity, targets),
            "unweighted_loss": _colorful_mean(losses, targets),
        }


def _most_frequent(bins, prior_file):
    """Centres and prior, NumPy float32, of the `bins` most frequent colours."""
    prior = ab_bins.read_prior(prior_file) if prior_file else ab_bins.imagenet_prior()
    kept = np.sort(np.argsort(-prior, kind="stable")[:bins])
    return ab_bins.centres()[kept], prior[kept] / prior[kept].sum()


def _colorful_mean(values, targets):
    """Mean of [B, h, w] over the photos that are not gray; 0 if all are."""
    photos = tf.reduce_mean(values, axis=[1, 2])
    colorful = targets["colorful"]
    return tf.math.divide_no_nan(
        tf.reduce_sum(photos * colorful), tf.reduce_sum(colorful)
    )


def _hit_rate(predicted, targets):
    hits = tf.cast(predicted == targets["indices"][..., 0], tf.float32)
    return _colorful_mean(hits, targets)


def _paint(gray, ab):
    """Lightness of `gray` [N, H, W, 3] with the coarse colours `ab`, as RGB."""
    colours = tf.image.resize(ab, gray.shape[1:3])
    lab = tf.concat([100.0 * gray[..., :1], colours], axis=-1)
    return color.lab_to_rgb(lab).numpy()
