"""Training of the detector: its variables, optimizer and steps."""

from __future__ import annotations

import tensorflow as tf

from eval.settings import Settings
from eval.trunk_features import TrunkFeatures
from eval.trunks import Pretrained
from eval.voc07_detection.config import Config
from eval.voc07_detection.detector import Detector
from selfsup.keras import keras
from selfsup.trunk import build_tail


def build_detector(
    pretrained: Pretrained,
    features: TrunkFeatures,
    classes: int,
    settings: Settings[Config],
) -> Detector:
    """Builds the detector that training starts from.

    Its new parts are the same for all trunks of a depth that are compared.

    Args:
      pretrained: the trunk; its block 4, if it has one, is the box head.
      features: the features of the trunk.
      classes: number of classes.
      settings: the settings.
    """
    keras.utils.set_random_seed(settings.seed + 2)
    # Built in any case, so that the layers after it draw the same random numbers.
    block4 = build_tail(pretrained.trunk.config)
    if pretrained.block4 is not None:
        block4 = pretrained.block4
    return Detector(features, block4, classes, settings.config)


class DetectorTrainer(tf.Module):
    """The detector and its optimizer: all variables that a checkpoint holds.

    Attributes:
      detector: the detector.
      optimizer: the optimizer of all its weights.
    """

    def __init__(self, detector: Detector, config: Config, seed: int) -> None:
        """
        Args:
          detector: the detector.
          config: the hyperparameters.
          seed: seed of the choice of anchors and proposals.
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
    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Takes one training step. Each size of the canvas has a graph of its own.

        Args:
          examples: a batch of `examples.training`.
          number: number of the step, an int32 scalar.

        Returns:
          the losses of the detector by name, and their sum, "loss".
        """
        seed = tf.stack([tf.constant(self._seed, tf.int32), number])
        with tf.GradientTape() as tape:
            losses = self.detector.losses(examples, seed)
            loss = tf.add_n(list(losses.values()))
        gradients = tape.gradient(loss, self._variables)
        self.optimizer.apply_gradients(zip(gradients, self._variables))
        return {"loss": loss, **losses}
