"""Training of the detector: its variables, optimizer and steps."""

import tensorflow as tf

from eval.voc07_detection import examples
from eval.voc07_detection.detector import Detector
from selfsup.keras import keras
from selfsup.trunk.block4 import Block4

NAME = "voc07_detection"


def build(pretrained, features, dataset, settings):
    """The `Detector` that training begins with.

    Its new parts are the same for all trunks of a depth that are compared.

    Args:
      pretrained: a `trunks.Pretrained`; its block 4 is the box head where it has one.
      features: the `TrunkFeatures` of its trunk.
      dataset: a `Dataset`.
      settings: an `eval.settings.Settings`.
    """
    keras.utils.set_random_seed(settings.seed + 2)
    # Made in any case, so that what follows draws the same numbers.
    block4 = Block4(pretrained.trunk.config)
    if pretrained.block4 is not None:
        block4 = pretrained.block4
    return Detector(features, block4, len(dataset.classes), settings.config)


class DetectorTrainer(tf.Module):
    """Detector and optimizer: all that a checkpoint holds."""

    def __init__(self, detector, config, seed):
        """
        Args:
          detector: a `Detector`.
          config: the evaluation's `Config`.
          seed: int, of the choice of anchors and proposals.
        """
        super().__init__(name="fitting")
        self.detector = detector
        self._config = config
        self._seed = seed
        drop = round(config.decay_share * config.steps)
        rates = [config.learning_rate, config.learning_rate * config.decay_factor]
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay([drop], rates)
        self.optimizer = keras.optimizers.SGD(
            schedule, config.momentum, global_clipnorm=config.clip_norm
        )
        self._variables = list(detector.trainable_variables)
        self.optimizer.build(self._variables)

    @tf.function
    def step(self, batch, number):
        """One step; arguments and result as of `eval.training.Training`.

        There is a graph for each canvas.
        """
        seed = tf.stack([tf.constant(self._seed, tf.int32), number])
        with tf.GradientTape() as tape:
            losses = self.detector.losses(batch, seed)
            loss = tf.add_n(list(losses.values()))
        gradients = tape.gradient(loss, self._variables)
        self.optimizer.apply_gradients(zip(gradients, self._variables))
        return {"loss": loss, **losses}


def batches(dataset, settings):
    """position -> the training batches from there on."""
    return lambda position: examples.training(
        dataset, settings.config, settings.seed, position
    )
