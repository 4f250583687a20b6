"""Relative position: where does one patch lie, seen from its neighbour?

Paper sections 2, 3.3 and 3.4; Doersch, Gupta & Efros, "Unsupervised Visual
Representation Learning by Context Prediction" (ICCV 2015), and their public training
code, github.com/cdoersch/deepcontext.

Each photo gives several grids of patches, as in that code. All patches of all photos go
through the trunk in one batch. Then the head asks for every ordered pair of adjacent
patches of a grid, diagonals included, so that a patch feeds up to 16 questions.

The places of pairs in the batch are always the same, and so are their labels. That gives
nothing away: the network computes the same function of every patch and of every pair,
and batch statistics are the same in whatever order.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from selfsup.images import color, down_up_sampling, mosaic, patches
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig
from selfsup.trunk.layers import BatchNorm
from selfsup.trunk.residual import ResidualUnit

# Where the second patch lies seen from the first: rows down, columns right.
DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))

# Values of `Config.normalize_patches` -> those of `Config.harmonize` that it holds for.
_NORMALIZED = {"color_dropping": (False,), "always": (False, True), "never": ()}

# On 8 patches, batch statistics were seen to give answers away.
_LEAST_PATCHES = 16


def adjacent_pairs(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs of adjacent cells of a grid, diagonals included.

    Returns:
      pairs: int32 [P, 2], cells counted row by row; P = 2 (r (c - 1) + (r - 1) c +
        2 (r - 1) (c - 1)) for r rows and c columns.
      labels: int32 [P], index in `DIRECTIONS` of the second cell seen from the first.
    """
    pairs, labels = [], []
    for cell in range(rows * columns):
        for label, (down, right) in enumerate(DIRECTIONS):
            row, column = cell // columns + down, cell % columns + right
            if 0 <= row < rows and 0 <= column < columns:
                pairs.append((cell, row * columns + column))
                labels.append(label)
    return np.array(pairs, np.int32), np.array(labels, np.int32)


@dataclasses.dataclass(frozen=True)
class Config(TaskConfig):
    """Defaults are the paper's, and those of Doersch et al. for what it leaves open.

    Attributes:
      batch_size: photos; the trunk sees `patches_per_photo` patches of each.
      harmonize: lightness replicated (section 3.3) in place of color dropping.
      normalize_patches: whether brightness and contrast are taken out of each patch by
        itself: "color_dropping" (where colors are dropped, not where patches are
        harmonised), "always" or "never".
      grids: of each photo, each at a random place.
      grid_rows, grid_columns: patches of a grid below and beside each other.
      patch_size, gap, jitter: of a grid, in pixels.
      min_pixels, max_pixels: area that the photo is resized to before grids are laid,
        uniform between them; more where a grid would not fit.
      resample_probability: of a patch being shrunk and stretched again.
      resample_smallest: side of the smallest that it is shrunk to; what it is shrunk to
        is uniform in area.
      unit1_channels, unit2_channels, bottleneck_channels: of the two units that a
        patch passes alone.
      fc_units, fc_bottleneck_channels: of the fully-connected units behind them.
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
        """Patches that go through the trunk for one photo."""
        return self.grids * self.grid.cells

    @property
    def pairs_per_photo(self) -> int:
        """Ordered pairs that the head is asked about one photo."""
        pairs, _ = adjacent_pairs(self.grid_rows, self.grid_columns)
        return self.grids * len(pairs)


class RelativePositionHead(heads.ConfiguredHead):
    """Pairs the patches of each grid and classifies their relative position.

    The fully-connected units are as wide as one patch's vector (4608 in the paper);
    the first has a projection shortcut, as a pair's concatenation is twice as wide.
    """

    Config = Config

    def __init__(self, config, dtype=None, name="relative_position_head", **kwargs):
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

    def build(self, input_shape):
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

    def call(self, features, training=False):
        """Features [B * patches, h, w, C] to logits, float32 [B, pairs, 8 directions].

        Patches and pairs are those of a photo, grid after grid.
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
    """See the module's docstring."""

    name = "relative_position"
    Config = Config
    metric_specs = (
        Metric("accuracy", True, "share of pairs given the right one of 8 directions"),
        Metric("cross_entropy", False, "nats a pair"),
    )

    @property
    def min_batch_size(self) -> int:
        """Photos with patches enough for batch statistics, of two photos or more."""
        if self.config.patches_per_photo < 1:
            return 2  # Such grids are refused by their own names.
        return max(2, -(-_LEAST_PATCHES // self.config.patches_per_photo))

    def __init__(self, config=None):
        super().__init__(config)
        config = self.config
        checks.require_multiple(self.name, "patch_size", config.patch_size, 8)
        for key in ("gap", "jitter"):
            value = getattr(config, key)
            checks.require(value >= 0, self.name, key, value, "0 or more")
        self._check_grids()
        normalized = config.normalize_patches
        checks.require(
            normalized in _NORMALIZED,
            self.name,
            "normalize_patches",
            normalized,
            f"one of {', '.join(_NORMALIZED)}",
        )
        self._normalizes = config.harmonize in _NORMALIZED[normalized]
        smallest = config.resample_smallest
        checks.require(
            1 <= smallest <= config.patch_size,
            self.name,
            "resample_smallest",
            smallest,
            f"1 to patch_size={config.patch_size}",
        )
        self._table = down_up_sampling.resampling_table(config.patch_size, smallest)
        self._pairs, self._labels = adjacent_pairs(
            config.grid_rows, config.grid_columns
        )

    def _check_grids(self):
        """Raises a UserError unless grids have all 8 directions and fit into photos."""
        config = self.config
        checks.require(config.grids >= 1, self.name, "grids", config.grids, "1 or more")
        for key in ("grid_rows", "grid_columns"):
            value = getattr(config, key)
            reason = "2 or more: a single row or column has no neighbours on a diagonal"
            checks.require(value >= 2, self.name, key, value, reason)
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
            f"{height * width} or more, as a grid of grid_rows={config.grid_rows} and "
            f"grid_columns={config.grid_columns} has {height}x{width} pixels",
        )

    def preprocess_example(self, record, seed):
        """ "patches": uint8 [grids, cells, patch_size, patch_size, 3]."""
        config = self.config
        area_seed, grid_seed = tf.unstack(tf.random.split(seed))
        pixels = tf.random.stateless_uniform(
            [], area_seed, config.min_pixels, config.max_pixels
        )
        cut = patches.random_grids(
            record["encoded"], pixels, config.grid, config.grids, grid_seed
        )
        return {"patches": cut}

    def preprocess_batch(self, examples, seed):
        """Images [B * patches, patch_size, patch_size, 3]; "labels" int32 [B, pairs].

        Patches and pairs are those of a photo, grid after grid.
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

    def build_head(self, dtype=None):
        return RelativePositionHead(self.config, dtype=dtype)

    def loss(self, outputs, targets):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            targets["labels"], outputs
        )
        return tf.reduce_mean(losses)

    def metrics(self, outputs, targets):
        predicted = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        right = tf.cast(predicted == targets["labels"], tf.float32)
        return {
            "accuracy": tf.reduce_mean(right),
            "cross_entropy": self.loss(outputs, targets),
        }

    def chance(self, targets):
        """Scores of the best answer that is the same for every pair.

        A grid has more pairs beside and below each other than on its diagonals: always
        to name one of the former is right most often, and the shares of the directions
        are the best probabilities.
        """
        del targets
        shares = np.bincount(self._labels, minlength=len(DIRECTIONS))
        shares = shares / len(self._labels)
        return {
            "accuracy": tf.constant(shares.max(), tf.float32),
            "cross_entropy": tf.constant(-np.sum(shares * np.log(shares)), tf.float32),
        }

    def pictures(self, images, outputs, targets):
        """A row for a grid of a photo, a pair for each direction.

        The first patch is in the middle, the second where it belongs. Its frame is green
        where the network was right. Where it was wrong, the frame is red and the place
        that it chose is marked yellow.
        """
        config = self.config
        shape = -1, config.patches_per_photo, *images.shape[1:]
        photos = mosaic.to_uint8(images).reshape(shape)
        predicted = np.argmax(outputs, axis=-1)
        # The pairs of the first grid come first, so their indices serve for the photo.
        shown = [np.flatnonzero(self._labels == k)[-1] for k in range(len(DIRECTIONS))]
        rows = [
            [
                _pair_picture(cut[self._pairs[pair]], labels[pair], guesses[pair])
                for pair in shown
            ]
            for cut, labels, guesses in zip(photos[:4], targets["labels"], predicted)
        ]
        return {"pairs": mosaic.grid(rows, gap=12)}


def _pair_picture(pair, truth, guess, side=48):
    """A pair of patches on a 3x3 board, uint8."""
    first, second = (mosaic.shrink(patch, side) for patch in pair)
    color_of_truth = mosaic.RIGHT if truth == guess else mosaic.WRONG
    blank = np.full_like(mosaic.frame(first, 0), 235)
    board = [[blank] * 3 for _ in range(3)]
    board[1][1] = mosaic.frame(first, (90, 90, 90))
    for label, cell in (
        (guess, mosaic.frame(np.full_like(first, 235), mosaic.MARKED)),
        (truth, mosaic.frame(second, color_of_truth)),
    ):
        row, column = DIRECTIONS[label]
        board[1 + row][1 + column] = cell
    return mosaic.grid(board, gap=1)
