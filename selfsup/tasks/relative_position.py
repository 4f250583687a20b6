"""Relative position: in which direction does a patch lie from its neighbour?

Paper sections 2, 3.3 and 3.4; Doersch, Gupta & Efros, "Unsupervised Visual
Representation Learning by Context Prediction" (ICCV 2015), and their public training
code, github.com/cdoersch/deepcontext.

As in that code, each photo gives several grids of patches. All patches of all photos
pass through the trunk in one batch. Then the head classifies every ordered pair of
adjacent patches of a grid, including diagonals, so that a patch belongs to up to 16
pairs.

The order of the pairs in the batch is always the same, and so are their labels. The
network cannot exploit this: it computes the same function of every patch and of every
pair, and batch statistics do not depend on the order.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.images import (
    color,
    down_up_sampling,
    exemplar_augmentation,
    mosaic,
    patches,
)
from selfsup.tasks import checks, classification, heads
from selfsup.tasks.patch_pairs import DIRECTIONS, adjacent_pairs, pair_picture
from selfsup.tasks.task import Metric, Task, TaskConfig
from selfsup.trunk.layers import BatchNorm
from selfsup.trunk.residual import ResidualUnit

if TYPE_CHECKING:
    from collections.abc import Sequence

# Values of `normalize_patches`, with the values of `harmonize` for which patches are
# normalised.
_NORMALIZED = {"color_dropping": (False,), "always": (False, True), "never": ()}

# With 8 patches per replica, batch statistics gave answers away.
_MIN_PATCHES = 16


@dataclasses.dataclass(frozen=True)
class RelativePositionConfig(TaskConfig):
    """Sources of the defaults: docs/hyperparameters.md.

    Attributes:
      batch_size: photos; the trunk receives `patches_per_photo` patches of each.
      harmonize: whether lightness in all channels (section 3.3) replaces colour dropping.
      normalize_patches: whether brightness and contrast are removed from each patch:
        "color_dropping" (only where colours are dropped, not with `harmonize`),
        "always" or "never".
      grids: number of grids per photo, each at a random place.
      grid_rows: rows of patches of a grid, 2 or more.
      grid_columns: columns of patches of a grid, 2 or more.
      patch_size: side of a patch, in pixels.
      gap: distance between neighbouring patches without jitter, in pixels.
      jitter: maximal random offset of a patch in each direction, in pixels.
      min_pixels: minimum of the area to which a photo is resized before grids are cut;
        the area is uniform, but larger if a grid would not fit.
      max_pixels: maximum of that area.
      resample_probability: probability that a patch is shrunk and enlarged again.
      resample_smallest: smallest side to which a patch is shrunk; the area of the
        shrunk patch is uniform.
      unit1_channels: output channels of the first residual unit of a single patch.
      unit2_channels: output channels of the second residual unit of a single patch.
      bottleneck_channels: bottleneck channels of both units.
      fc_units: number of fully-connected residual units for a pair.
      fc_bottleneck_channels: bottleneck channels of these units.
    """

    batch_size: int = 4
    harmonize: bool = False
    normalize_patches: str = "color_dropping"
    grids: int = 4
    grid_rows: int = 3
    grid_columns: int = 3
    patch_size: int = 96
    gap: int = 48
    jitter: int = 7
    min_pixels: int = 150_000
    max_pixels: int = 450_000
    resample_probability: float = 0.33
    resample_smallest: int = 10
    unit1_channels: int = 1024
    unit2_channels: int = 512
    bottleneck_channels: int = 128
    fc_units: int = 3
    fc_bottleneck_channels: int = 512

    @property
    def grid(self) -> patches.Grid:
        """The layout of a grid."""
        return patches.Grid(
            self.grid_rows, self.grid_columns, self.patch_size, self.gap, self.jitter
        )

    @property
    def patches_per_photo(self) -> int:
        """Number of patches of a photo that pass through the trunk."""
        return self.grids * self.grid.cells

    @property
    def pairs_per_photo(self) -> int:
        """Number of ordered pairs of a photo that the head classifies."""
        pairs, _ = adjacent_pairs(self.grid_rows, self.grid_columns)
        return self.grids * len(pairs)


class RelativePositionHead(heads.ConfiguredHead):
    """Pairs the patches of each grid and classifies their direction (section 3.4).

    The fully-connected units are as wide as the vector of a single patch (4608 in the
    paper). The first has a projection shortcut, because the concatenated vectors of a
    pair are twice as wide.
    """

    Config = RelativePositionConfig
    config: RelativePositionConfig

    def __init__(
        self,
        config: RelativePositionConfig,
        dtype: str | None = None,
        name: str = "relative_position_head",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, dtype=dtype, name=name, **kwargs)
        self._pairs, _ = adjacent_pairs(config.grid_rows, config.grid_columns)
        self.embedding = heads.PatchEmbedding(
            (config.unit1_channels, config.unit2_channels),
            config.bottleneck_channels,
            config.weight_decay,
            dtype=dtype,
        )
        self.postnorm = BatchNorm(dtype=dtype, name="postnorm")
        self.logits = heads.logits_layer(len(DIRECTIONS), config.weight_decay)

    def build(self, input_shape: Sequence[int]) -> None:
        """Creates the fully-connected units for features of shape [N, h, w, C]."""
        self.units = [
            ResidualUnit(
                self.embedding.size(input_shape),
                self.config.fc_bottleneck_channels,
                kernel_size=1,
                weight_decay=self.config.weight_decay,
                dtype=self.dtype_policy,
                name=f"fc_unit{index}",
            )
            for index in range(1, self.config.fc_units + 1)
        ]
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps features [B * patches, h, w, C] to logits, float32 [B, pairs, 8].

        Both patches and pairs of a photo are ordered by grid.
        """
        vectors = self.embedding(features, training=training)
        grids = tf.reshape(vectors, [-1, self.config.grid.cells, vectors.shape[-1]])
        pairs = tf.gather(grids, self._pairs, axis=1)
        net = tf.reshape(pairs, [-1, 1, 1, 2 * vectors.shape[-1]])
        for unit in self.units:
            net = unit(net, training=training)
        net = tf.nn.relu(self.postnorm(net, training=training))
        logits = self.logits(net)
        return tf.reshape(logits, [-1, self.config.pairs_per_photo, len(DIRECTIONS)])


class RelativePosition(Task):
    """Predicts the direction between patches; see the module's docstring."""

    name = "relative_position"
    Config = RelativePositionConfig
    config: RelativePositionConfig
    metric_specs = (
        Metric("accuracy", True, "share of pairs with the correct one of 8 directions"),
        Metric("cross_entropy", False, "nats per pair"),
    )

    def __init__(self, config: RelativePositionConfig | None = None) -> None:
        super().__init__(config)
        config = self.config
        self._check_patches()
        self._check_grids()
        self._normalizes = config.harmonize in _NORMALIZED[config.normalize_patches]
        self._table = down_up_sampling.resampling_table(
            config.patch_size, config.resample_smallest
        )
        self._pairs, self._labels = adjacent_pairs(
            config.grid_rows, config.grid_columns
        )

    @property
    def min_batch_size(self) -> int:
        """Number of photos with enough patches for batch statistics, 2 or more."""
        if self.config.patches_per_photo < 1:
            return 2  # `_check_grids` refuses such grids and names the field.
        return max(2, -(-_MIN_PATCHES // self.config.patches_per_photo))

    def _check_patches(self) -> None:
        """Raises UserError if a field that describes a single patch is invalid."""
        config = self.config
        checks.require_multiple(self.name, "patch_size", config.patch_size, 8)
        modes = f"one of {', '.join(_NORMALIZED)}"
        smallest = 1 <= config.resample_smallest <= config.patch_size
        sizes = f"1 to patch_size={config.patch_size}"
        for field, valid, expected in (
            ("gap", config.gap >= 0, "0 or more"),
            ("jitter", config.jitter >= 0, "0 or more"),
            ("normalize_patches", config.normalize_patches in _NORMALIZED, modes),
            ("resample_smallest", smallest, sizes),
        ):
            checks.require(valid, self.name, field, getattr(config, field), expected)

    def _check_grids(self) -> None:
        """Raises UserError unless grids have all 8 directions and fit into photos."""
        config = self.config
        checks.require(config.grids >= 1, self.name, "grids", config.grids, "1 or more")
        for field in ("grid_rows", "grid_columns"):
            value = getattr(config, field)
            reason = "2 or more: a single row or column has no diagonal neighbours"
            checks.require(value >= 2, self.name, field, value, reason)
        checks.require(
            0 < config.min_pixels < config.max_pixels,
            self.name,
            "min_pixels",
            config.min_pixels,
            f"more than 0 and less than max_pixels={config.max_pixels}",
        )
        height, width = config.grid.size
        checks.require(
            height * width <= config.max_pixels,
            self.name,
            "max_pixels",
            config.max_pixels,
            f"{height * width} or more, because a grid with grid_rows="
            f"{config.grid_rows} and grid_columns={config.grid_columns} has "
            f"{height}x{width} pixels",
        )

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Cuts the patches of all grids out of the photo.

        Returns:
          "patches": uint8 [grids, cells, patch_size, patch_size, 3], cells row by row.
        """
        config = self.config
        area_seed, grid_seed = tf.unstack(tf.random.split(seed))
        pixels = tf.random.stateless_uniform(
            [], area_seed, config.min_pixels, config.max_pixels
        )
        cut = patches.random_grids(
            record["encoded"], pixels, config.grid, config.grids, grid_seed
        )
        return {"patches": cut}

    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Resamples patches, removes their colours and normalises them.

        Both patches and pairs of a photo are ordered by grid.

        Returns:
          images: float32 [B * patches, patch_size, patch_size, 3] in [0, 1].
          targets: "labels" int32 [B, pairs], indices in `DIRECTIONS`.
        """
        resample_seed, color_seed = tf.unstack(tf.random.split(seed))
        cut = examples["patches"]
        images = down_up_sampling.random_down_up_sample(
            tf.cast(tf.reshape(cut, [-1, *cut.shape[3:]]), tf.float32) / 255.0,
            self._table,
            self.config.resample_probability,
            resample_seed,
        )
        images = tf.clip_by_value(images, 0.0, 1.0)
        if self.config.harmonize:
            images = color.harmonize(images)
        else:
            images = color.drop_colors(images, color_seed)
        if self._normalizes:
            images = patches.normalize(images)
        labels = tf.tile(self._labels[None], [tf.shape(cut)[0], self.config.grids])
        return images, {"labels": labels}

    def augment_examples(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Jitters the tone of each patch by itself.

        Colours are not mixed: a mixture of channels would show chromatic aberration in
        the channel that is kept, which colour dropping prevents (paper section 3.3).
        Patches are not moved either, because their positions are the answer.
        """
        cut = examples["patches"]
        flat = tf.cast(tf.reshape(cut, [-1, *cut.shape[3:]]), tf.float32) / 255.0
        toned = exemplar_augmentation.random_tone(flat, seed)
        toned = tf.cast(tf.round(toned * 255.0), tf.uint8)
        shape = [tf.shape(cut)[0], *cut.shape[1:]]
        return {
            **examples,
            "patches": tf.ensure_shape(tf.reshape(toned, shape), cut.shape),
        }

    def augment_images(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the images unchanged; see `augment_examples`."""
        del seed
        return images

    def build_head(self, dtype: str | None = None) -> RelativePositionHead:
        """Returns a new head; see the base class."""
        return RelativePositionHead(self.config, dtype=dtype)

    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mean cross-entropy over all pairs, in nats."""
        return classification.cross_entropy(outputs, targets["labels"])

    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns accuracy and cross-entropy."""
        return {
            "accuracy": classification.accuracy(outputs, targets["labels"]),
            "cross_entropy": self.loss(outputs, targets),
        }

    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of the best constant prediction.

        A grid has more horizontal and vertical pairs than diagonal pairs. A horizontal
        or vertical direction therefore has the highest accuracy, and the frequencies of
        the directions have the lowest cross-entropy.
        """
        del targets
        counts = np.bincount(self._labels, minlength=len(DIRECTIONS))
        shares = counts / len(self._labels)
        return {
            "accuracy": tf.constant(shares.max(), tf.float32),
            "cross_entropy": tf.constant(-np.sum(shares * np.log(shares)), tf.float32),
        }

    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws a row per photo with a pair of its first grid for each direction.

        See `patch_pairs.pair_picture` for the picture of a pair.
        """
        config = self.config
        shape = -1, config.patches_per_photo, *images.shape[1:]
        photos = mosaic.to_uint8(images).reshape(shape)
        predicted = np.argmax(outputs, axis=-1)
        # The patches of the first grid come first in a photo, and so do its pairs.
        indices = [
            np.flatnonzero(self._labels == k)[-1] for k in range(len(DIRECTIONS))
        ]
        rows = [
            [
                pair_picture(cut[self._pairs[k]], labels[k], predictions[k])
                for k in indices
            ]
            for cut, labels, predictions in zip(
                photos[:4], targets["labels"], predicted
            )
        ]
        return {"pairs": mosaic.grid(rows, gap=12)}
