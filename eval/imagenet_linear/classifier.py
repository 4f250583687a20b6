"""Softmax layers on frozen features, trained side by side at a ladder of rates."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from eval.imagenet_linear import photo_streams
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.features import FrozenFeatures
from eval.imagenet_linear.softmax_layers import SoftmaxLayers, cross_entropies, hits
from eval.settings import Settings
from eval.trunk_features import trunk_input
from selfsup.keras import keras
from selfsup.trunk.resnet_v2 import Trunk


class LinearClassifiers(tf.Module):
    """A frozen trunk, its features and their softmax layers, with the training step.

    Every row of features has one layer per learning rate of the ladder. Gradient descent
    with momentum is linear in the gradient, so a layer whose loss is multiplied by r is
    trained at r times the learning rate of the optimizer. The loss is the sum of the
    losses of the layers times their learning rates, and each weight has its own update,
    so each layer is trained exactly as it would be without the others.

    Attributes:
      trunk: the trunk.
      features: the features of the trunk.
    """

    def __init__(self, trunk: Trunk, classes: int, settings: Settings[Config]) -> None:
        """
        Args:
          trunk: the trunk.
          classes: number of classes.
          settings: settings of the evaluation.
        """
        super().__init__(name="linear_evaluation")
        self._config = config = settings.config
        self._seed = settings.seed
        self._rates = tf.constant(config.learning_rates, tf.float32)
        self.trunk = trunk
        self.features = FrozenFeatures(trunk, config, settings.lasso)
        size, rates = self.features.size, len(config.learning_rates)
        units = self.features.unit_rows
        self._unit_layers: SoftmaxLayers | None = None
        self._combined_layers: SoftmaxLayers | None = None
        if units:
            self._unit_layers = SoftmaxLayers(units, size, rates, classes)
        if self.features.combinations is not None:
            self._combined_layers = SoftmaxLayers(rates, size, 1, classes)
        self._optimizer = _optimizer(1.0, config, self.weights())
        self._alpha_optimizer: keras.optimizers.Optimizer | None = None
        if self._alphas():
            rate = config.alpha_learning_rate
            self._alpha_optimizer = _optimizer(rate, config, self._alphas())

    def weights(self) -> list[tf.Variable]:
        """Kernel and bias of the layers on units, then of the layers on combinations."""
        groups = [self._unit_layers, self._combined_layers]
        return [
            variable
            for layers in groups
            if layers is not None
            for variable in (layers.kernel, layers.bias)
        ]

    def _alphas(self) -> list[tf.Variable]:
        combinations = self.features.combinations
        return [] if combinations is None else combinations.alpha_variables()

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the outputs of all layers.

        Args:
          features: float32 [G, B, F], see `FrozenFeatures`.

        Returns:
          float32 [R, K, B, classes], for the R rows of `FrozenFeatures.names` and the K
          learning rates.
        """
        units, parts = self.features.unit_rows, []
        if self._unit_layers is not None:
            parts.append(self._unit_layers(features[:units]))
        if self._combined_layers is not None:
            combined = self._combined_layers(features[units:])
            parts.append(tf.transpose(combined, [1, 0, 2, 3]))
        return tf.concat(parts, axis=0)

    @tf.function(reduce_retracing=True)
    def compute_features(self, images: tf.Tensor) -> tf.Tensor:
        """Maps test images, uint8 [B, S, S, 3], to features, float32 [G, B, F]."""
        return self.features(trunk_input(images))

    @tf.function
    def compute_augmented_features(
        self, images: tf.Tensor, number: tf.Tensor
    ) -> tf.Tensor:
        """Computes the features of images that are mirrored and recoloured.

        Args:
          images: uint8 [B, S, S, 3].
          number: number of the step that the augmentation belongs to, an int32 scalar.

        Returns:
          float32 [G, B, F].
        """
        return self._augmented_features(images, number)

    @tf.function
    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Takes one training step.

        Args:
          examples: "label" int64 [B], "held_out" bool [B] and either "image" uint8
            [B, S, S, 3] or "features" float32 [B, G, F]. Photos that are held out have no
            weight.
          number: number of the step, an int32 scalar.

        Returns:
          scalars of the evaluation's row: "loss_rate_R" for the layer at each learning
          rate R; and for the layer with the lowest loss "loss", its parts "cross_entropy"
          and, with the lasso, "lasso_penalty", and "top1".
        """
        alphas, weights = self._alphas(), self.weights()
        trained = tf.cast(tf.logical_not(examples["held_out"]), tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*weights, *alphas])
            logits = self.logits(self._training_features(examples, number))
            entropies = _mean(cross_entropies(logits, examples["label"]), trained)
            penalties = self._penalties()
            losses = tf.reduce_sum(entropies, axis=0) + penalties + self._decay()
            loss = tf.reduce_sum(losses * self._rates)
        gradients, rows = tape.gradient(loss, (weights, alphas))
        self._optimizer.apply_gradients(zip(gradients, weights))
        if self._alpha_optimizer is not None:
            # The ladder is for the softmax layers; the rows of alpha share one rate.
            rows = [row / rate for row, rate in zip(rows, tf.unstack(self._rates))]
            self._alpha_optimizer.apply_gradients(zip(rows, alphas))
        row_hits = hits(logits[-1], examples["label"], 1)
        return self._logs(entropies[-1], penalties, _mean(row_hits, trained))

    def _logs(
        self, entropies: tf.Tensor, penalties: tf.Tensor, top1: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Scalars of the evaluation's row, from float32 [K] each."""
        losses = entropies + penalties
        numbers = tf.where(tf.math.is_finite(losses), losses, losses.dtype.max)
        best = tf.argmin(numbers)
        logs = {
            "loss": losses[best],
            "cross_entropy": entropies[best],
            "top1": top1[best],
        }
        if self._alphas():
            logs["lasso_penalty"] = penalties[best]
        for index, rate in enumerate(self._config.learning_rates):
            logs[f"loss_rate_{rate:g}"] = losses[index]
        return logs

    def _training_features(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> tf.Tensor:
        if "features" in examples:
            return tf.transpose(examples["features"], [1, 0, 2])
        return self._augmented_features(examples["image"], number)

    def _augmented_features(self, images: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([tf.constant(self._seed), number])
        return self.features(photo_streams.augmented(images, self._config, seed))

    def _penalties(self) -> tf.Tensor:
        """L1 penalty on the row of alpha of each learning rate: float32 [K]."""
        if self.features.combinations is None:
            return tf.zeros_like(self._rates)
        return self.features.combinations.penalties()

    def _decay(self) -> tf.Tensor:
        """Weight decay of the layers at each learning rate: float32 [K]."""
        total = tf.zeros_like(self._rates)
        if not self._config.weight_decay:
            return total
        if self._unit_layers is not None:
            total += tf.reduce_sum(self._unit_layers.squares(), axis=0)
        if self._combined_layers is not None:
            total += self._combined_layers.squares()[:, 0]
        return self._config.weight_decay * total


def _optimizer(
    rate: float, config: Config, variables: Sequence[tf.Variable]
) -> keras.optimizers.Optimizer:
    """Gradient descent with Nesterov momentum and a half-cosine schedule to 0."""
    schedule = keras.optimizers.schedules.CosineDecay(rate, config.steps)
    optimizer = keras.optimizers.SGD(schedule, config.momentum, nesterov=True)
    optimizer.build(variables)
    return optimizer


def _mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean over photos: float32 [..., B] and [B] -> [...]; 0 without weight."""
    return tf.reduce_sum(values * weights, axis=-1) / tf.maximum(
        tf.reduce_sum(weights), 1.0
    )
