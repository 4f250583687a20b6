"""Softmax layers on rows of frozen features, trained side by side (paper section 5)."""

import tensorflow as tf

from eval.imagenet_linear import dataset
from eval.imagenet_linear.features import FrozenFeatures
from eval.trunk_features import TrunkFeatures


class SoftmaxLayers(tf.Module):
    """One linear layer a row of features, each with its own weights; they start at 0."""

    def __init__(self, rows, size, classes):
        """
        Args:
          rows, size: of the features.
          classes: outputs of each layer.
        """
        super().__init__(name="softmax_layers")
        self.kernel = tf.Variable(tf.zeros([rows, size, classes]))
        self.bias = tf.Variable(tf.zeros([rows, classes]))

    def __call__(self, features):
        """Features float32 [R, B, F] -> logits float32 [R, B, classes]."""
        return tf.matmul(features, self.kernel) + self.bias[:, None]


class LinearEvaluation(tf.Module):
    """A frozen trunk, its features and their softmax layers, with the training step.

    The loss is the sum of the layers' own, and gradient descent treats every weight by
    itself: each layer is trained as it would be alone.

    Attributes:
      trunk: the `Trunk`.
      row: the `TrunkFeatures`.
      features: the `FrozenFeatures`.
      layers: the `SoftmaxLayers`.
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
        self.trunk = trunk
        self.row = TrunkFeatures(trunk, "imagenet_linear", settings.lasso)
        self.features = FrozenFeatures(self.row, config)
        rows = len(self.features.names)
        self.layers = SoftmaxLayers(rows, self.features.size, classes)
        self._weights = [self.layers.kernel, self.layers.bias]
        self._optimizer = _descent(config.learning_rate, config, self._weights)
        self._alpha_optimizer = None
        if self.row.alpha_variables():
            self._alpha_optimizer = _descent(
                config.alpha_learning_rate, config, self.row.alpha_variables()
            )

    @tf.function(reduce_retracing=True)
    def look(self, images):
        """Images uint8 [B, S, S, 3] -> features float32 [R, B, F], as they are tested."""
        return self.features(dataset.to_float(images))

    @tf.function
    def step(self, examples, number):
        """One step of training.

        Args:
          examples: dict of "label" int64 [B] and either "image" uint8 [B, S, S, 3] or
            "features" float32 [B, R, F].
          number: int32 scalar, of the step.

        Returns:
          dict of scalars of the evaluation's row: "loss", and its parts
          "cross_entropy", and "lasso_penalty" where there is one; "top1".
        """
        alpha = self.row.alpha_variables()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*self._weights, *alpha])
            logits = self.layers(self._training_features(examples, number))
            entropies = _cross_entropies(logits, examples["label"])
            penalty = self.row.penalty()
            loss = tf.reduce_sum(entropies) + self._decay() + penalty
        weights, rows = tape.gradient(loss, (self._weights, alpha))
        self._optimizer.apply_gradients(zip(weights, self._weights))
        logs = {
            "loss": entropies[-1] + penalty,
            "cross_entropy": entropies[-1],
            "top1": tf.reduce_mean(hits(logits, examples["label"], 1)[-1]),
        }
        if alpha:
            self._alpha_optimizer.apply_gradients(zip(rows, alpha))
            logs["lasso_penalty"] = penalty
        return logs

    def _training_features(self, examples, number):
        if "features" in examples:
            return tf.transpose(examples["features"], [1, 0, 2])
        seed = tf.stack([tf.constant(self._seed), number])
        images = dataset.augmented(examples["image"], self._config, seed)
        return self.features(images)

    def _decay(self):
        return self._config.weight_decay * tf.nn.l2_loss(self.layers.kernel)


def _descent(rate, config, variables):
    """Nesterov's gradient descent along a half cosine to 0, its slots made."""
    schedule = tf.keras.optimizers.schedules.CosineDecay(rate, config.steps)
    optimizer = tf.keras.optimizers.SGD(schedule, config.momentum, nesterov=True)
    optimizer.build(variables)
    return optimizer


def _cross_entropies(logits, labels):
    """Mean over the batch in nats: logits [R, B, C], labels [B] -> float32 [R]."""
    labels = tf.repeat(labels[None], tf.shape(logits)[0], axis=0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.reduce_mean(losses, axis=1)


def hits(logits, labels, count):
    """Whether the true class is among the `count` best: logits [R, B, C] -> [R, B].

    Ties and what is not a number count against it.

    Args:
      logits: float32 [R, B, C].
      labels: int64 [B].
      count: int.

    Returns:
      float32 of 0 and 1.
    """
    own_class = tf.one_hot(labels, tf.shape(logits)[2], on_value=True, off_value=False)
    own = tf.reduce_sum(tf.where(own_class, logits, 0.0), axis=2, keepdims=True)
    not_below = tf.logical_not(logits < own)
    rank = tf.reduce_sum(tf.cast(not_below, tf.int32), axis=2) - 1
    return tf.cast(rank < count, tf.float32)
