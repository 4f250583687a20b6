"""Softmax layers on frozen features, trained side by side at a ladder of rates."""

from __future__ import annotations

import tensorflow as tf

from eval.imagenet_linear import dataset
from eval.imagenet_linear.features import FrozenFeatures
from eval.imagenet_linear.softmax_layers import SoftmaxLayers, cross_entropies, hits
from selfsup.keras import keras


class LinearClassifiers(tf.Module):
    """A frozen trunk, its features and their softmax layers, with the training step.

    Every row of features has one layer for each learning rate of the ladder. Gradient
    descent with momentum is linear in the gradient, so a layer whose loss is multiplied
    by r is trained at r times the optimizer's rate. The loss is the sum of the layers'
    own times their rates, and each weight is updated by itself: each layer is trained as
    it would be without the others.

    Attributes:
      trunk: the `Trunk`.
      features: the `FrozenFeatures`.
    """

    def __init__(self, trunk, classes, settings):
        """
        Args:
          trunk: a `Trunk`.
          classes: number of classes.
          settings: `eval.settings.Settings` with a `Config`.
        """
        super().__init__(name="linear_evaluation")
        self._config = config = settings.config
        self._seed = settings.seed
        self._rates = tf.constant(config.learning_rates, tf.float32)
        self.trunk = trunk
        self.features = FrozenFeatures(trunk, config, settings.lasso)
        size, rates = self.features.size, len(config.learning_rates)
        units = self.features.unit_rows
        self._unit_layers = self._combined_layers = None
        if units:
            self._unit_layers = SoftmaxLayers(units, size, rates, classes)
        if self.features.combinations is not None:
            self._combined_layers = SoftmaxLayers(rates, size, 1, classes)
        self._optimizer = _descent(1.0, config, self.weights())
        self._alpha_optimizer = None
        if self._alphas():
            rate = config.alpha_learning_rate
            self._alpha_optimizer = _descent(rate, config, self._alphas())

    def weights(self) -> list[tf.Variable]:
        """Kernels and biases of the layers on units, then of those on combinations."""
        layers = [self._unit_layers, self._combined_layers]
        return [w for one in layers if one is not None for w in (one.kernel, one.bias)]

    def _alphas(self):
        combinations = self.features.combinations
        return [] if combinations is None else combinations.alpha_variables()

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """What all layers say.

        Args:
          features: float32 [G, B, F] of `FrozenFeatures`.

        Returns:
          float32 [R, rates, B, classes], R rows as `FrozenFeatures.names` says.
        """
        units, parts = self.features.unit_rows, []
        if self._unit_layers is not None:
            parts.append(self._unit_layers(features[:units]))
        if self._combined_layers is not None:
            combined = self._combined_layers(features[units:])
            parts.append(tf.transpose(combined, [1, 0, 2, 3]))
        return tf.concat(parts, axis=0)

    @tf.function(reduce_retracing=True)
    def look(self, images):
        """Images uint8 [B, S, S, 3] -> features float32 [G, B, F], as they are tested."""
        return self.features(dataset.to_float(images))

    @tf.function
    def look_augmented(self, images, number):
        """As `look`, of the images mirrored and recoloured as in step `number`."""
        return self._augmented_features(images, number)

    @tf.function
    def step(self, examples, number):
        """One step of training.

        Args:
          examples: dict of "label" int64 [B], "held_out" bool [B] and either "image"
            uint8 [B, S, S, 3] or "features" float32 [B, G, F]. Photos that are held
            out count for nothing.
          number: int32 scalar, of the step.

        Returns:
          dict of scalars of the evaluation's row: "loss_rate_R" of the layer at each
          rate R; of the layer with the lowest of them "loss" and its parts
          "cross_entropy" and, with the lasso, "lasso_penalty"; "top1".
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
        if alphas:
            # The ladder is of the softmax layers; rows of alpha have one rate.
            rows = [row / rate for row, rate in zip(rows, tf.unstack(self._rates))]
            self._alpha_optimizer.apply_gradients(zip(rows, alphas))
        best_hits = hits(logits[-1], examples["label"], 1)
        return self._logs(entropies[-1], penalties, _mean(best_hits, trained))

    def _logs(self, entropies, penalties, top1):
        """Scalars of the evaluation's row, from float32 [rates] each."""
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

    def _training_features(self, examples, number):
        if "features" in examples:
            return tf.transpose(examples["features"], [1, 0, 2])
        return self._augmented_features(examples["image"], number)

    def _augmented_features(self, images, number):
        seed = tf.stack([tf.constant(self._seed), number])
        return self.features(dataset.augmented(images, self._config, seed))

    def _penalties(self):
        if self.features.combinations is None:
            return tf.zeros_like(self._rates)
        return self.features.combinations.penalties()

    def _decay(self):
        """Weight decay of the layers at each rate, float32 [rates]."""
        total = tf.zeros_like(self._rates)
        if not self._config.weight_decay:
            return total
        if self._unit_layers is not None:
            total += tf.reduce_sum(self._unit_layers.squares(), axis=0)
        if self._combined_layers is not None:
            total += self._combined_layers.squares()[:, 0]
        return self._config.weight_decay * total


def _descent(rate, config, variables):
    """Nesterov's gradient descent along a half cosine to 0, its slots made."""
    schedule = keras.optimizers.schedules.CosineDecay(rate, config.steps)
    optimizer = keras.optimizers.SGD(schedule, config.momentum, nesterov=True)
    optimizer.build(variables)
    return optimizer


def _mean(values, weights):
    """Mean over the photos that count: float32 [..., B], [B] -> [...]; 0 of none."""
    return tf.reduce_sum(values * weights, axis=-1) / tf.maximum(
        tf.reduce_sum(weights), 1.0
    )
