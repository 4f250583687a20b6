"""One training step of all weights for a predicted map."""

from __future__ import annotations

import abc

import tensorflow as tf

from eval.nyuv2_depth.augmentation import augment
from eval.nyuv2_depth.berhu import berhu
from eval.nyuv2_depth.config import Config, DenseConfig
from eval.nyuv2_depth.network import DenseNetwork, DepthNetwork
from selfsup.keras import keras


class DenseTrainer(tf.Module, abc.ABC):
    """The network and its optimizer: all variables that a resumed run needs.

    A subclass augments a batch and defines the loss.

    Attributes:
      network: the network.
      optimizer: the optimizer of all its weights.
    """

    def __init__(self, network: DenseNetwork, config: DenseConfig, seed: int) -> None:
        """
        Args:
          network: the network.
          config: the hyperparameters.
          seed: seed of augmentation and dropout.
        """
        super().__init__(name="fitting")
        self.network = network
        self._config = config
        self._seed = seed
        self.optimizer = keras.optimizers.SGD(
            learning_rate_schedule(config), momentum=config.momentum
        )
        self.optimizer.build(network.trained_variables())

    @abc.abstractmethod
    def augment(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes training crops.

        Args:
          examples: a batch of the training data.
          seed: int32 [2].

        Returns:
          (images float32 [B, h, w, 3] in [0, 1], true map [B, h / 2, w / 2, ...]).
        """

    @abc.abstractmethod
    def loss(self, predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        """The loss of a batch, without penalties: float32 scalar."""

    @abc.abstractmethod
    def scores(self, predicted: tf.Tensor, truth: tf.Tensor) -> dict[str, tf.Tensor]:
        """Metrics of a training batch for the curves: float32 scalars by name."""

    @tf.function
    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Takes one training step.

        Args:
          examples: a batch of the training data, with "image" uint8 [B, H, W, 3].
          number: number of the step, an int32 scalar.

        Returns:
          the scalar "loss" and those of `scores`.
        """
        seeds = tf.random.split(tf.stack([self._seed, number]))
        images, truth = self.augment(examples, seeds[0])
        variables = self.network.trained_variables()
        with tf.GradientTape() as tape:
            predicted = self.network(images, training=True, seed=seeds[1])
            loss = self.loss(predicted, truth)
            total = loss + self._penalty()
        gradients = tape.gradient(total, variables)
        self.optimizer.apply_gradients(zip(gradients, variables))
        return {"loss": loss, **self.scores(predicted, truth)}

    def _penalty(self) -> tf.Tensor:
        """Weight decay, the same for every trunk, and the L1 norm of the lasso."""
        decay = tf.add_n([tf.nn.l2_loss(kernel) for kernel in self.network.kernels()])
        return self._config.weight_decay * decay + self.network.features.penalty()


class DepthTrainer(DenseTrainer):
    """Trains a network to predict depth."""

    def __init__(self, network: DepthNetwork, config: Config, seed: int) -> None:
        """
        Args:
          network, config, seed: see `DenseTrainer`.
        """
        super().__init__(network, config, seed)
        self._depth_config = config

    def augment(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Crops photos and depth, see `augmentation.augment`.

        Args:
          examples: "image" uint8 [B, H, W, 3] and "depth" float32 [B, H, W, 1], metres, 0
            where unknown.
          seed: int32 [2].
        """
        return augment(examples["image"], examples["depth"], self._config, seed)

    def loss(self, predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        """The reverse Huber loss over pixels of known depth."""
        return berhu(predicted, truth, truth > 0, self._depth_config.berhu_share)

    def scores(self, predicted: tf.Tensor, truth: tf.Tensor) -> dict[str, tf.Tensor]:
        """The headline metric, "under_1.25"."""
        return {"under_1.25": _share_under_ratio(predicted, truth)}


def learning_rate_schedule(
    config: DenseConfig,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that falls by a factor at equal intervals.

    Args:
      config: the hyperparameters, with the number of steps.

    Returns:
      the schedule, or the learning rate if it never falls.
    """
    drops = int(1 / config.decay_share)
    ends = [round(config.steps * config.decay_share * n) for n in range(1, drops + 1)]
    # A drop after the last step would have no effect.
    ends = [end for end in ends if 0 < end < config.steps]
    rates = [
        config.learning_rate * config.decay_factor**n for n in range(len(ends) + 1)
    ]
    if not ends:
        return config.learning_rate
    return keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)


def _share_under_ratio(predicted: tf.Tensor, depths: tf.Tensor) -> tf.Tensor:
    """The headline metric on a training batch, for its curve: float32 scalar."""
    valid = depths > 0
    close = (predicted < 1.25 * depths) & (depths < 1.25 * predicted)
    hits = tf.reduce_sum(tf.cast(close & valid, tf.float32))
    return tf.math.divide_no_nan(hits, tf.reduce_sum(tf.cast(valid, tf.float32)))
