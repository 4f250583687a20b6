"""A trunk with a linear layer on its pooled features, and one training step of both."""

from __future__ import annotations

import tensorflow as tf

from eval.few_labels.config import Config
from eval.imagenet_linear.softmax_layers import cross_entropies, hits
from eval.trunk_features import TrunkFeatures, trunk_input
from selfsup.images.inception_augmentation import random_mirror
from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, build_sublayer


class Classifier(tf.Module):
    """Features, batch normalisation, ReLU, the mean over all positions, a linear layer.

    The linear layer starts at 0.

    Attributes:
      features: the features of the trunk.
      postnorm: the batch normalisation.
      kernel: float32 [C, classes].
      bias: float32 [classes].
    """

    def __init__(self, features: TrunkFeatures, classes: int) -> None:
        """
        Args:
          features: the features of the trunk.
          classes: number of classes.
        """
        super().__init__(name="classifier")
        self.features = features
        channels = features.trunk.channels
        self.postnorm = BatchNorm(name="postnorm")
        build_sublayer(self.postnorm, [None, None, None, channels])
        self.kernel = tf.Variable(tf.zeros([channels, classes]), name="kernel")
        self.bias = tf.Variable(tf.zeros([classes]), name="bias")

    def __call__(
        self,
        images: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> tf.Tensor:
        """Computes the logits of images.

        Args:
          images: float32 [B, S, S, 3] in [0, 1].
          training: whether batch normalisation uses the statistics of the batch.
          output_stride: output stride of the trunk, or None for the trunk's own.

        Returns:
          float32 [B, classes].
        """
        net = self.features(images, training, output_stride)
        net = tf.nn.relu(self.postnorm(net, training=training))
        pooled = tf.reduce_mean(tf.cast(net, tf.float32), axis=[1, 2])
        return tf.matmul(pooled, self.kernel) + self.bias

    def trained_variables(self) -> list[tf.Variable]:
        """All variables that training updates, the row of alpha included."""
        return [
            *self.features.trunk.trainable_variables,
            *self.postnorm.trainable_variables,
            *self.features.alpha_variables(),
            self.kernel,
            self.bias,
        ]

    def kernels(self) -> list[tf.Variable]:
        """The variables that weight decay applies to: convolutions and the layer."""
        convolutions = [v for v in self.trained_variables() if v.shape.rank == 4]
        return [*convolutions, self.kernel]


class Trainer(tf.Module):
    """A classifier and its optimizer: all variables that a resumed run needs.

    Attributes:
      classifier: the classifier.
      optimizer: the optimizer of all its weights.
    """

    def __init__(
        self, classifier: Classifier, config: Config, steps: int, seed: int
    ) -> None:
        """
        Args:
          classifier: the classifier.
          config: the hyperparameters.
          steps: number of steps of this classifier.
          seed: seed of the augmentation.
        """
        super().__init__(name="trainer")
        self.classifier = classifier
        self._weight_decay = config.weight_decay
        self._seed = seed
        schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
        self.optimizer = keras.optimizers.SGD(schedule, config.momentum, nesterov=True)
        self.optimizer.build(classifier.trained_variables())

    @tf.function
    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Takes one training step.

        Args:
          examples: "image" uint8 [B, S, S, 3], random crops, and "label" int64 [B].
          number: number of the step, an int32 scalar.

        Returns:
          the scalars "loss", the cross-entropy in nats, and "top1".
        """
        seed = tf.stack([tf.constant(self._seed), number])
        images = random_mirror(trunk_input(examples["image"]), seed)
        variables = self.classifier.trained_variables()
        with tf.GradientTape() as tape:
            logits = self.classifier(images, training=True)
            loss = tf.reduce_mean(cross_entropies(logits, examples["label"]))
            total = loss + self._penalty()
        gradients = tape.gradient(total, variables)
        self.optimizer.apply_gradients(zip(gradients, variables))
        top1 = tf.reduce_mean(hits(logits, examples["label"], 1))
        return {"loss": loss, "top1": top1}

    def _penalty(self) -> tf.Tensor:
        """Weight decay, and the L1 norm of the lasso."""
        penalty = self.classifier.features.penalty()
        if self._weight_decay:
            squares = [tf.nn.l2_loss(kernel) for kernel in self.classifier.kernels()]
            penalty += self._weight_decay * tf.add_n(squares)
        return penalty
