"""Exemplar: patches of the same photo lie closer together than those of two photos.

Paper sections 2 and 3.4; Dosovitskiy et al., "Discriminative Unsupervised Feature
Learning with Convolutional Neural Networks" (NIPS 2014), with a triplet loss as in
Wang & Gupta, "Unsupervised Learning of Visual Representations using Videos" (ICCV
2015).

A point in each photo is a pseudo-class. The anchor and the positive are two patches
around this point, each moved, scaled, rotated and recoloured at random. A patch of
another photo of the batch is the negative. A loss that stays at the margin, with a mean
distance close to zero, shows collapse: all patches have the same features.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.images import exemplar_augmentation, mosaic, resize
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig


@dataclasses.dataclass(frozen=True)
class ExemplarConfig(TaskConfig):
    """Sources of the defaults: docs/hyperparameters.md.

    Attributes:
      batch_size: photos; the trunk receives two patches of each.
      image_size: side to which photos are resized, without keeping the aspect ratio.
      patch_size: side of the patches, in pixels.
      margin: M of the triplet loss: the cosine distance by which the negative has to be
        farther away than the positive.
      negatives: "random", or "semi_hard": the nearest negative of the batch that is
        farther away than the positive (Schroff et al., CVPR 2015).
      unit1_channels: output channels of the head's first residual unit.
      unit2_channels: output channels of the head's second residual unit.
      bottleneck_channels: bottleneck channels of both units.
    """

    batch_size: int = 64
    image_size: int = 256
    patch_size: int = 96
    margin: float = 0.5
    negatives: str = "random"
    unit1_channels: int = 1024
    unit2_channels: int = 512
    bottleneck_channels: int = 128


def cosine_distance(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns 1 - cosine of the angle between vectors.

    Args:
      first, second: float32 [..., D]; the shapes may broadcast.

    Returns:
      float32 [...] in [0, 2].
    """
    first = tf.math.l2_normalize(first, axis=-1)
    second = tf.math.l2_normalize(second, axis=-1)
    return 1.0 - tf.reduce_sum(first * second, axis=-1)


def pairwise_distances(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns the cosine distances of all pairs: float32 [N, D], [M, D] -> [N, M]."""
    return cosine_distance(first[:, None, :], second[None, :, :])


def triplet_losses(
    positive_distance: tf.Tensor, negative_distance: tf.Tensor, margin: float
) -> tf.Tensor:
    """Returns max(D(x1, x2) - D(x1, x3) + M, 0) of section 2.

    Args:
      positive_distance: D(x1, x2), float32 of any shape.
      negative_distance: D(x1, x3), float32 of the same shape.
      margin: M.

    Returns:
      float32 of the same shape.
    """
    return tf.nn.relu(positive_distance - negative_distance + margin)


def semi_hard_distances(distances: tf.Tensor) -> tf.Tensor:
    """Returns the distance of each anchor to its semi-hard negative.

    Args:
      distances: float32 [B, B] from anchor i to positive j. The diagonal has the
        distances to the anchors' own positives.

    Returns:
      float32 [B]: the smallest distance to another photo that is greater than the
      distance to the own positive, or the greatest distance if none is.
    """
    own = tf.linalg.diag_part(distances)[:, None]
    other = ~tf.eye(tf.shape(distances)[0], dtype=tf.bool)
    farther = other & (distances > own)
    infinity = distances.dtype.max
    nearest = tf.reduce_min(tf.where(farther, distances, infinity), axis=1)
    farthest = tf.reduce_max(tf.where(other, distances, -infinity), axis=1)
    return tf.where(tf.reduce_any(farther, axis=1), nearest, farthest)


class ExemplarHead(heads.ConfiguredHead):
    """Embeds the patches and groups the vectors into pairs (section 3.4)."""

    Config = ExemplarConfig

    def __init__(
        self,
        config: ExemplarConfig,
        dtype: str | None = None,
        name: str = "exemplar_head",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, dtype=dtype, name=name, **kwargs)
        self.embedding = heads.PatchEmbedding(
            (config.unit1_channels, config.unit2_channels),
            config.bottleneck_channels,
            config.weight_decay,
            dtype=dtype,
        )

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps features [2B, h, w, C] to vectors, float32 [B, 2, D].

        The patches in `features` alternate between anchors and positives.
        """
        vectors = self.embedding(features, training=training)
        pairs = tf.reshape(vectors, [-1, 2, vectors.shape[-1]])
        return tf.cast(pairs, tf.float32)


class Exemplar(Task):
    """Embeds patches so that those of a photo are close; see the module's docstring."""

    name = "exemplar"
    Config = ExemplarConfig
    config: ExemplarConfig
    metric_specs = (
        Metric("satisfied", True, "share of triplets whose positive is nearer"),
        Metric("triplet_loss", False, "cosine distance; 0 if all exceed the margin"),
        Metric("mean_distance", True, "between photos, 0 to 2; 0 is collapse"),
    )

    def __init__(self, config: ExemplarConfig | None = None) -> None:
        super().__init__(config)
        config = self.config
        checks.require(
            config.margin >= 0, self.name, "margin", config.margin, "0 or more"
        )
        checks.require(
            config.negatives in ("random", "semi_hard"),
            self.name,
            "negatives",
            config.negatives,
            "random or semi_hard",
        )
        checks.require_multiple(self.name, "patch_size", config.patch_size, 8)
        checks.require(
            config.image_size >= config.patch_size,
            self.name,
            "image_size",
            config.image_size,
            f"at least patch_size={config.patch_size}",
        )

    @property
    def min_batch_size(self) -> int:
        """Four photos, so that the negative is chosen among several photos."""
        return 4

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Cuts a window around a random point, with the pixels of two random patches.

        The patch before warping lies inside the photo.

        Returns:
          "image": uint8 [w, w, 3], a window as large as any warp can reach, but at most
            image_size; zeros where neither of the two patches sees the photo.
          "warps": float32 [2, 8] of anchor and positive in the window, see
            `exemplar_augmentation.draw_warps`.
        """
        size, patch = self.config.image_size, self.config.patch_size
        point_seed, warp_seed = tf.unstack(tf.random.split(seed))
        low = patch // 2
        # x and y of the point, and later of the window's corner.
        point = tf.random.stateless_uniform(
            [2], point_seed, low, max(low, size - 1 - low) + 1, tf.int32
        )
        reach = exemplar_augmentation.reach(patch)
        side = min(size, 2 * reach + 1)
        # The window ends at the border of the photo, where patches are reflected.
        corner = tf.clip_by_value(point - reach, 0, size - side)
        warps = exemplar_augmentation.draw_warps(
            tf.cast(tf.stack([point, point]), tf.float32), patch, warp_seed
        )
        # From here on, positions are y and x.
        begin, end = self._visible_region(warps)
        image = resize.decode_resized_window(
            record["encoded"], size, begin, end - begin
        )
        offset = tf.unstack(begin - corner[::-1])
        return {
            "image": resize.pad_to_square(image, side, offset),
            "warps": exemplar_augmentation.shift_origin(
                warps, tf.cast(corner, tf.float32)
            ),
        }

    def _visible_region(self, warps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Region of the resized photo that contains all pixels of the warped patches.

        Pixels that a patch reflects at the border are inside the region, too: a patch
        whose centre is inside the photo sees as far into the photo as beyond its border.

        Args:
          warps: float32 [2, 8], see `exemplar_augmentation.draw_warps`.

        Returns:
          Inclusive begin and exclusive end, int32 [2] each, y and x.
        """
        low, high = exemplar_augmentation.visible_range(warps, self.config.patch_size)
        begin = tf.cast(tf.floor(tf.reduce_min(low, axis=0)), tf.int32)
        end = tf.cast(tf.floor(tf.reduce_max(high, axis=0)), tf.int32) + 2
        size = self.config.image_size
        return tf.maximum(begin, 0)[::-1], tf.minimum(end, size)[::-1]

    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Warps and recolours the patches and draws a random negative for each photo.

        Returns:
          images: float32 [2B, patch_size, patch_size, 3] in [0, 1]: anchor and positive
            of the first photo, then of the second, and so on.
          targets: "negative" int32 [B], the index of the other photo whose positive is
            the negative of the photo's triplet.
        """
        color_seed, negative_seed = tf.unstack(tf.random.split(seed))
        photos = tf.cast(examples["image"], tf.float32) / 255.0
        count = tf.shape(photos)[0]
        patches = exemplar_augmentation.warp(
            tf.repeat(photos, 2, axis=0),
            tf.reshape(examples["warps"], [-1, 8]),
            self.config.patch_size,
        )
        images = exemplar_augmentation.random_color(patches, color_seed)
        shift = tf.random.stateless_uniform([count], negative_seed, 1, count, tf.int32)
        return images, {"negative": (tf.range(count) + shift) % count}

    def augment_images(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the images unchanged: they have this augmentation already."""
        del seed
        return images

    def build_head(self, dtype: str | None = None) -> ExemplarHead:
        """Returns a new head; see the base class."""
        return ExemplarHead(self.config, dtype=dtype)

    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mean triplet loss, with random or semi-hard negatives."""
        if self.config.negatives == "semi_hard":
            distances = pairwise_distances(outputs[:, 0], outputs[:, 1])
            positive = tf.linalg.diag_part(distances)
            negative = semi_hard_distances(distances)
        else:
            positive, negative = _random_triplets(outputs, targets)
        return tf.reduce_mean(triplet_losses(positive, negative, self.config.margin))

    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of random triplets, also for semi-hard training."""
        positive, negative = _random_triplets(outputs, targets)
        losses = triplet_losses(positive, negative, self.config.margin)
        return {
            "satisfied": tf.reduce_mean(tf.cast(positive < negative, tf.float32)),
            "triplet_loss": tf.reduce_mean(losses),
            "mean_distance": _mean_distance(outputs[:, 0]),
        }

    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of random and of collapsed features.

        Half of the triplets are satisfied by random features. Equal distances give a
        loss of the margin. The mean distance has no chance level.
        """
        del targets
        return {
            "satisfied": tf.constant(0.5),
            "triplet_loss": tf.constant(self.config.margin),
        }

    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws a row per triplet: anchor, positive and negative.

        The frames of positive and negative are green if the positive is nearer and red
        otherwise.
        """
        pairs = mosaic.to_uint8(images).reshape(-1, 2, *images.shape[1:])
        positive, negative = _random_triplets(outputs, targets)
        rows = []
        for index, (anchor, same) in enumerate(pairs[:8]):
            satisfied = positive[index] < negative[index]
            frame_color = mosaic.RIGHT if satisfied else mosaic.WRONG
            other = pairs[targets["negative"][index], 1]
            rows.append([mosaic.frame(anchor, (90, 90, 90))])
            rows[-1] += [mosaic.frame(patch, frame_color) for patch in (same, other)]
        return {"anchor_positive_negative": mosaic.grid(rows)}


def _random_triplets(
    outputs: tf.Tensor | npt.NDArray[np.float32],
    targets: dict[str, tf.Tensor] | dict[str, npt.NDArray[Any]],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Distances of the anchors to their positives and random negatives, [B] each."""
    anchors, positives = outputs[:, 0], outputs[:, 1]
    negatives = tf.gather(positives, targets["negative"])
    return cosine_distance(anchors, positives), cosine_distance(anchors, negatives)


def _mean_distance(vectors: tf.Tensor) -> tf.Tensor:
    """Mean cosine distance between vectors [N, D] of different photos, a scalar."""
    distances = pairwise_distances(vectors, vectors)
    between = 1.0 - tf.eye(tf.shape(vectors)[0])
    return tf.reduce_sum(distances * between) / tf.reduce_sum(between)
