"""One step of fine-tuning all weights for depth."""

import tensorflow as tf

from eval.nyuv2_depth.augmentation import augment
from eval.nyuv2_depth.berhu import berhu
from selfsup.keras import keras


class DepthTrainer(tf.Module):
    """The network with its optimizer: all variables that going on needs.

    Attributes:
      network: a `DepthNetwork`.
    """

    def __init__(self, network, config, seed):
        """
        Args:
          network: a `DepthNetwork`.
          config: the evaluation's `Config`.
          seed: int, of augmentation and dropout.
        """
        super().__init__(name="fitting")
        self.network = network
        self._config = config
        self._seed = seed
        self.optimizer = keras.optimizers.SGD(
            learning_rate_schedule(config), momentum=config.momentum
        )
        self.optimizer.build(network.trained_variables())

    @tf.function
    def step(self, examples, number):
        """Takes step `number`, int32, on a batch; returns a dict of scalars."""
        seeds = tf.random.split(tf.stack([self._seed, number]))
        images, depths = augment(
            examples["image"], examples["depth"], self._config, seeds[0]
        )
        variables = self.network.trained_variables()
        with tf.GradientTape() as tape:
            predicted = self.network(images, training=True, seed=seeds[1])
            loss = berhu(predicted, depths, depths > 0, self._config.berhu_share)
            total = loss + self._penalty()
        gradients = tape.gradient(total, variables)
        self.optimizer.apply_gradients(zip(gradients, variables))
        return {"loss": loss, "under_1.25": _share_close(predicted, depths)}

    def _penalty(self):
        """Weight decay, the same for whatever trunk, and the lasso's L1 norm."""
        decay = tf.add_n([tf.nn.l2_loss(one) for one in self.network.kernels()])
        return self._config.weight_decay * decay + self.network.features.penalty()


def learning_rate_schedule(config):
    """The optimizer's schedule: drops by a factor at even distances."""
    drops = int(1 / config.decay_share)
    ends = [round(config.steps * config.decay_share * n) for n in range(1, drops + 1)]
    # A drop at the very end would change nothing.
    ends = [end for end in ends if 0 < end < config.steps]
    rates = [
        config.learning_rate * config.decay_factor**n for n in range(len(ends) + 1)
    ]
    if not ends:
        return config.learning_rate
    return keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)


def _share_close(predicted, depths):
    """The headline metric on a training batch, for its curve."""
    valid = depths > 0
    close = (predicted < 1.25 * depths) & (depths < 1.25 * predicted)
    counts = [tf.reduce_sum(tf.cast(one, tf.float32)) for one in (close & valid, valid)]
    return tf.math.divide_no_nan(*counts)
