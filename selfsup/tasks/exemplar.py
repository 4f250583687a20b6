"""Exemplar: two transformed patches of a photo lie closer than those of two photos.

Paper sections 2 and 3.4; Dosovitskiy et al., "Discriminative Unsupervised Feature
Learning with Convolutional Neural Networks" (NIPS 2014), with a triplet loss as in
Wang & Gupta, "Unsupervised Learning of Visual Representations using Videos" (ICCV
2015).

A point in each photo is its pseudo-class: the anchor and the positive are both cut
around it, each moved, scaled, rotated and recoloured at random. Any other photo of
the batch gives the negative. A loss that stays at the margin with a mean distance
near zero is collapse: every patch has the same features.
"""

import dataclasses

import tensorflow as tf

from selfsup.images import exemplar_augmentation, mosaic, resize
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig


@dataclasses.dataclass(frozen=True)
class Config(TaskConfig):
    """Defaults are the paper's.

    Attributes:
      batch_size: photos; the trunk sees two patches of each.
      image_size: side that photos are resized to, whatever their aspect.
      patch_size: side of the patches.
      margin: by which the negative must be further than the positive.
      negatives: "random", or "semi_hard": the nearest negative of the batch that is
        further than the positive (Schroff et al., CVPR 2015).
      unit1_channels, unit2_channels, bottleneck_channels: of the head's two units.
    """

    batch_size: int = 64
    image_size: int = 256
    patch_size: int = 96
    margin: float = 0.5
    negatives: str = "random"
    unit1_channels: int = 1024
    unit2_channels: int = 512
    bottleneck_channels: int = 128


def cosine_distance(first, second):
    """1 - cosine of the angle between vectors: float32 [..., D] to [...], 0 to 2."""
    first = tf.math.l2_normalize(first, axis=-1)
    second = tf.math.l2_normalize(second, axis=-1)
    return 1.0 - tf.reduce_sum(first * second, axis=-1)


def pairwise_distances(first, second):
    """Cosine distances of all pairs: float32 [N, D], [M, D] to [N, M]."""
    return cosine_distance(first[:, None, :], second[None, :, :])


def triplet_losses(positive_distance, negative_distance, margin):
    """max(D(x1, x2) - D(x1, x3) + M, 0) for distances of any shape (section 2)."""
    return tf.nn.relu(positive_distance - negative_distance + margin)


def semi_hard_distances(distances):
    """Distance of each anchor to its semi-hard negative.

    Args:
      distances: float32 [B, B], anchor i to positive j; the diagonal is the anchors'
        own.

    Returns:
      float32 [B]: the least distance to another photo that is over the own one; where
      none is, the greatest.
    """
    own = tf.linalg.diag_part(distances)[:, None]
    other = ~tf.eye(tf.shape(distances)[0], dtype=tf.bool)
    further = other & (distances > own)
    infinity = distances.dtype.max
    nearest_further = tf.reduce_min(tf.where(further, distances, infinity), axis=1)
    furthest = tf.reduce_max(tf.where(other, distances, -infinity), axis=1)
    return tf.where(tf.reduce_any(further, axis=1), nearest_further, furthest)


class ExemplarHead(heads.ConfiguredHead):
    """Features [2B, h, w, C] of anchors and positives to vectors [B, 2, D]."""

    Config = Config

    def __init__(self, config, dtype=None, name="exemplar_head", **kwargs):
        super().__init__(config, dtype=dtype, name=name, **kwargs)
        self.embedding = heads.PatchEmbedding(
            (config.unit1_channels, config.unit2_channels),
            config.bottleneck_channels,
            config.weight_decay,
            dtype=dtype,
        )

    def call(self, features, training=False):
        vectors = self.embedding(features, training=training)
        pairs = tf.reshape(vectors, [-1, 2, vectors.shape[-1]])
        return tf.cast(pairs, tf.float32)


class Exemplar(Task):
    """See the module's docstring."""

    name = "exemplar"
    Config = Config
    # Negatives come from other photos.
    min_batch_size = 4
    metric_specs = (
        Metric("satisfied", True, "share of triplets whose positive is the nearer one"),
        Metric("triplet_loss", False, "cosine distance; 0 when all clear the margin"),
        Metric("mean_distance", True, "between photos, 0 to 2; 0 is collapse"),
    )

    def __init__(self, config=None):
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

    def preprocess_example(self, record, seed):
        """A photo's window around a random point, and what two patches see of it.

        "image": uint8 [w, w, 3], at most image_size, all that any warp could see; zeros
        where these two do not. "warps": float32 [2, 8], see
        `exemplar_augmentation.draw_warps`,
        in the window. The unmoved patch lies inside the photo.
        """
        size, patch = self.config.image_size, self.config.patch_size
        place_seed, warp_seed = tf.unstack(tf.random.split(seed))
        low = patch // 2
        centre = tf.random.stateless_uniform(
            [2], place_seed, low, max(low, size - 1 - low) + 1, tf.int32
        )
        reach = exemplar_augmentation.reach(patch)
        side = min(size, 2 * reach + 1)
        # It ends where the photo does, so that the same is reflected there.
        corner = tf.clip_by_value(centre - reach, 0, size - side)
        warps = exemplar_augmentation.draw_warps(
            tf.cast(tf.stack([centre, centre]), tf.float32), patch, warp_seed
        )
        # Pairs of y and x from here on.
        begin, end = self._seen(warps)
        image = resize.decode_resized_window(
            record["encoded"], size, begin, end - begin
        )
        place = tf.unstack(begin - corner[::-1])
        return {
            "image": resize.pad_to_square(image, side, place),
            "warps": exemplar_augmentation.shift_origin(
                warps, tf.cast(corner, tf.float32)
            ),
        }

    def _seen(self, warps):
        """First and behind last (y, x), int32 [2], of what warps see of the photo.

        What they reflect is among it: a patch whose centre is inside sees as far into
        the photo as beyond its border.
        """
        low, high = exemplar_augmentation.visible_range(warps, self.config.patch_size)
        begin = tf.cast(tf.floor(tf.reduce_min(low, axis=0)), tf.int32)
        end = tf.cast(tf.floor(tf.reduce_max(high, axis=0)), tf.int32) + 2
        size = self.config.image_size
        return tf.maximum(begin, 0)[::-1], tf.minimum(end, size)[::-1]

    def preprocess_batch(self, examples, seed):
        """Images [2B, patch_size, patch_size, 3]: anchor, positive, anchor, ...

        Target "negative", int32 [B]: the other photo that gives each triplet's.
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

    def build_head(self, dtype=None):
        return ExemplarHead(self.config, dtype=dtype)

    def loss(self, outputs, targets):
        if self.config.negatives == "semi_hard":
            distances = pairwise_distances(outputs[:, 0], outputs[:, 1])
            positive = tf.linalg.diag_part(distances)
            negative = semi_hard_distances(distances)
        else:
            positive, negative = _random_triplets(outputs, targets)
        return tf.reduce_mean(triplet_losses(positive, negative, self.config.margin))

    def metrics(self, outputs, targets):
        """Those of random triplets, whichever negatives are trained on."""
        positive, negative = _random_triplets(outputs, targets)
        losses = triplet_losses(positive, negative, self.config.margin)
        return {
            "satisfied": tf.reduce_mean(tf.cast(positive < negative, tf.float32)),
            "triplet_loss": tf.reduce_mean(losses),
            "mean_distance": _mean_distance(outputs[:, 0]),
        }

    def chance(self, targets):
        return {
            "satisfied": tf.constant(0.5),
            "triplet_loss": tf.constant(self.config.margin),
        }

    def pictures(self, images, outputs, targets):
        """One row a triplet: anchor, positive, negative; framed by which is nearer."""
        pairs = mosaic.to_uint8(images).reshape(-1, 2, *images.shape[1:])
        positive, negative = _random_triplets(outputs, targets)
        rows = []
        for index, (anchor, same) in enumerate(pairs[:8]):
            right = positive[index] < negative[index]
            verdict = mosaic.RIGHT if right else mosaic.WRONG
            other = pairs[targets["negative"][index], 1]
            rows.append([mosaic.frame(anchor, (90, 90, 90))])
            rows[-1] += [mosaic.frame(patch, verdict) for patch in (same, other)]
        return {"anchor_positive_negative": mosaic.grid(rows)}


def _random_triplets(outputs, targets):
    """Distances, [B] each, of the anchors to their positives and random negatives."""
    anchors, positives = outputs[:, 0], outputs[:, 1]
    negatives = tf.gather(positives, targets["negative"])
    return cosine_distance(anchors, positives), cosine_distance(anchors, negatives)


def _mean_distance(vectors):
    """Mean cosine distance between the vectors, [N, D], of different photos."""
    distances = pairwise_distances(vectors, vectors)
    between = 1.0 - tf.eye(tf.shape(vectors)[0])
    return tf.reduce_sum(distances * between) / tf.reduce_sum(between)
