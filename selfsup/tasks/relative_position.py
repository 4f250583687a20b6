"""Relative position: where does one patch lie, seen from its neighbour?

Paper sections 2, 3.3 and 3.4; Doersch, Gupta & Efros, "Unsupervised Visual
Representation Learning by Context Prediction" (ICCV 2015).

Each image gives a 2x2 block of neighbouring patches from a grid. They form eight
ordered pairs, one for each of the eight directions, so that chance is exactly 1/8.
Each patch takes part in four pairs: one pass of the trunk over it feeds four
questions. Two patches lie side by side in two ways in a block (in the upper or the
lower row, say); the block is turned and mirrored at random, in name only, so that
the pairs that the head always takes are a random choice in the photo and no place
in the batch has a fixed answer.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from selfsup.images import color, down_up_sampling, mosaic, patches
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig
from selfsup.trunk.residual import BatchNorm, ResidualUnit

# Where the second patch lies seen from the first: rows down, columns right.
DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))

# Cells of the block in the order of `patches.random_block`.
_CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))

# The eight ordered pairs of the four slots. In whichever way the block is turned or
# mirrored into the slots, they are in eight different directions.
PAIRS = ((0, 1), (3, 2), (0, 2), (3, 1), (0, 3), (3, 0), (1, 2), (2, 1))

# The eight symmetries of the block: which of its cells each slot receives.
ARRANGEMENTS = (
    (0, 1, 2, 3),
    (1, 0, 3, 2),
    (2, 3, 0, 1),
    (3, 2, 1, 0),
    (0, 2, 1, 3),
    (2, 0, 3, 1),
    (1, 3, 0, 2),
    (3, 1, 2, 0),
)


def _direction(first, second):
    """Class of the direction from one cell of the block to another."""
    (row, column), (other_row, other_column) = _CELLS[first], _CELLS[second]
    return DIRECTIONS.index((other_row - row, other_column - column))


# int32 [arrangements, pairs]
LABELS = np.array(
    [
        [_direction(cells[first], cells[second]) for first, second in PAIRS]
        for cells in ARRANGEMENTS
    ],
    np.int32,
)


@dataclasses.dataclass(frozen=True)
class Config(TaskConfig):
    """Defaults are the paper's, and those of Doersch et al. for what it leaves open.

    Attributes:
      harmonize: lightness replicated (section 3.3) in place of color dropping.
      patch_size, gap, jitter: of the grid, in pixels.
      min_pixels, max_pixels: area that the photo is resized to before the grid is
        laid, uniform between them; more where two cells would not fit.
      resample_probability: of a patch being shrunk and stretched again.
      resample_smallest: side of the smallest that it is shrunk to.
      unit1_channels, unit2_channels, bottleneck_channels: of the two units that a
        patch passes alone.
      fc_units, fc_bottleneck_channels: of the fully-connected units behind them.
    """

    harmonize: bool = False
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


class RelativePositionHead(heads.ConfiguredHead):
    """Pairs the patches of each block and classifies their relative position.

    The fully-connected units are as wide as one patch's vector (4608 in the paper);
    the first has a projection shortcut, as a pair's concatenation is twice as wide.
    """

    Config = Config

    def __init__(self, config, dtype=None, name="relative_position_head", **kwargs):
        super().__init__(config, dtype=dtype, name=name, **kwargs)
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
        """Features [4B, h, w, C] to logits, float32 [B, 8 pairs, 8 directions]."""
        vectors = self.embedding(features, training=training)
        blocks = tf.reshape(vectors, [-1, 4, vectors.shape[-1]])
        pairs = tf.gather(blocks, PAIRS, axis=1)
        net = tf.reshape(pairs, [-1, 1, 1, 2 * vectors.shape[-1]])
        for unit in self.units:
            net = unit(net, training=training)
        net = tf.nn.relu(self.postnorm(net, training=training))
        return tf.reshape(self.logits(net), [-1, len(PAIRS), len(DIRECTIONS)])


class RelativePosition(Task):
    """See the module's docstring."""

    name = "relative_position"
    Config = Config
    metric_specs = (
        Metric("accuracy", True, "share of pairs given the right one of 8 directions"),
        Metric("cross_entropy", False, "nats a pair"),
    )

    def __init__(self, config=None):
        super().__init__(config)
        config = self.config
        checks.require_multiple(self.name, "patch_size", config.patch_size, 8)
        for key in ("gap", "jitter"):
            value = getattr(config, key)
            checks.require(value >= 0, self.name, key, value, "0 or more")
        smallest = config.resample_smallest
        checks.require(
            1 <= smallest <= config.patch_size,
            self.name,
            "resample_smallest",
            smallest,
            f"1 to patch_size={config.patch_size}",
        )
        checks.require(
            0 < config.min_pixels < config.max_pixels,
            self.name,
            "min_pixels",
            config.min_pixels,
            f"more than 0 and less than max_pixels={config.max_pixels}",
        )
        self._table = down_up_sampling.resampling_table(config.patch_size, smallest)

    def preprocess_example(self, record, seed):
        """ "patches": uint8 [4, patch_size, patch_size, 3], a block of neighbours."""
        config = self.config
        area_seed, block_seed = tf.unstack(tf.random.split(seed))
        grid = config.patch_size, config.gap, config.jitter
        pixels = tf.random.stateless_uniform(
            [], area_seed, config.min_pixels, config.max_pixels
        )
        block = patches.random_block(record["encoded"], pixels, *grid, block_seed)
        return {"patches": block}

    def preprocess_batch(self, examples, seed):
        """Images [4B, patch_size, patch_size, 3]; "labels" int32 [B, 8]."""
        order_seed, resample_seed, color_seed = tf.unstack(tf.random.split(seed, 3))
        blocks = examples["patches"]
        arrangement = tf.random.stateless_uniform(
            tf.shape(blocks)[:1], order_seed, 0, len(ARRANGEMENTS), tf.int32
        )
        blocks = tf.gather(blocks, tf.gather(ARRANGEMENTS, arrangement), batch_dims=1)
        images = tf.reshape(blocks, [-1, *blocks.shape[2:]])
        images = down_up_sampling.random_down_up_sample(
            tf.cast(images, tf.float32) / 255.0,
            self._table,
            self.config.resample_probability,
            resample_seed,
        )
        images = tf.clip_by_value(images, 0.0, 1.0)
        if self.config.harmonize:
            images = color.harmonize(images)
        else:
            images = color.drop_colors(images, color_seed)
        return images, {"labels": tf.gather(LABELS, arrangement)}

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
        classes = float(len(DIRECTIONS))
        return {
            "accuracy": tf.constant(1.0 / classes),
            "cross_entropy": tf.math.log(classes),
        }

    def pictures(self, images, outputs, targets):
        """Pairs: the first patch in the middle, the second where it belongs.

        Its frame is green where the network was right. Where it was wrong, the frame
        is red and the place that it chose is marked yellow.
        """
        blocks = mosaic.to_uint8(images).reshape(-1, 4, *images.shape[1:])
        predicted = np.argmax(outputs, axis=-1)
        rows = [
            [
                _pair_picture(block[list(pair)], truth, guess)
                for pair, truth, guess in zip(PAIRS, labels, guesses)
            ]
            for block, labels, guesses in zip(blocks[:4], targets["labels"], predicted)
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
