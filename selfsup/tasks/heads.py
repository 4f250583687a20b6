"""The interface of a task's head, and parts that several heads share (section 3.4)."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D
from selfsup.trunk.residual import ResidualUnit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selfsup.tasks.task import TaskConfig


class Head(keras.layers.Layer, abc.ABC):
    """The part of a network that belongs to a single task: features to outputs."""

    @abc.abstractmethod
    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes the head's outputs.

        Args:
          features: floating [N, h/s, w/s, C] for trunk images [N, h, w, 3] at output
            stride s: outputs of the trunk's units. Those of a ResNet are raw sums,
            neither normalised nor rectified. The head takes any number of channels. A
            head that compares several images of a photo regroups the batch itself.
          training: whether to normalise by the batch's own statistics.

        Returns:
          float32 outputs; their shape depends on the task.
        """


class ConfiguredHead(Head):
    """A head that is built from its task's config.

    Subclasses annotate `config` with the type of their own `Config`.

    Args:
      config: the task's hyperparameters.
      dtype: Keras dtype or dtype policy of the hidden layers.
      **kwargs: other arguments of `keras.layers.Layer`.

    Attributes:
      Config: the task's subclass of `TaskConfig`, set by subclasses.
      config: the task's hyperparameters.
    """

    Config: ClassVar[type[TaskConfig]]
    config: TaskConfig

    def __init__(
        self, config: TaskConfig, dtype: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(dtype=dtype, **kwargs)
        self.config = config

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON types."""
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ConfiguredHead:
        """Builds a head with new weights from the result of `get_config`."""
        return cls(**{**config, "config": cls.Config(**config["config"])})


def logits_layer(
    outputs: int, weight_decay: float, name: str = "logits"
) -> keras.layers.Dense:
    """Returns the last layer of a classifier, which always computes in float32.

    The layer is linear over the last axis. Its initial weights are small, so that the
    loss of an untrained head is close to that of guessing.

    Args:
      outputs: number of logits.
      weight_decay: factor of half the squared L2 norm of the kernel.
      name: name of the layer.
    """
    return keras.layers.Dense(
        outputs,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        kernel_regularizer=keras.regularizers.L2(weight_decay / 2),
        dtype="float32",
        name=name,
    )


class PatchEmbedding(keras.layers.Layer):
    """Maps each patch to a vector: two residual units of stride 2, then flattening.

    In the paper (section 3.4), the features of a 96x96 patch, [N, 12, 12, 1024], become
    [N, 3 * 3 * 512].

    Args:
      channels: output channels of the two units.
      bottleneck_channels: bottleneck channels of both units.
      weight_decay: factor of half the squared L2 norm of each kernel.
      dtype: Keras dtype or dtype policy.
      **kwargs: other arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        bottleneck_channels: int,
        weight_decay: float,
        dtype: str | None = None,
        name: str = "embedding",
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.channels = tuple(channels)
        self.bottleneck_channels = bottleneck_channels
        self.weight_decay = weight_decay
        self.units = [
            ResidualUnit(
                width,
                bottleneck_channels,
                stride=2,
                weight_decay=weight_decay,
                dtype=dtype,
                name=f"unit{index}",
            )
            for index, width in enumerate(self.channels, start=1)
        ]
        self.flatten = keras.layers.Flatten(dtype=dtype)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps [N, h, w, C] to [N, D] in the layer's compute dtype."""
        for unit in self.units:
            features = unit(features, training=training)
        return self.flatten(features)

    def size(self, features_shape: Sequence[int]) -> int:
        """Returns the vector length D for features of this static shape, [N, h, w, C]."""
        height, width = (-(-side // 4) for side in features_shape[1:3])
        return height * width * self.channels[-1]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; Keras rebuilds the layer from them."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "bottleneck_channels": self.bottleneck_channels,
            "weight_decay": self.weight_decay,
        }


class DenseHead(Head):
    """Wide convolutions at the resolution of the features, then logits per position.

    Convolutions, unlike residual units, do not normalise their inputs. Therefore the
    trunk's raw sums are normalised and rectified first, as TF-Slim does after the last
    residual unit (section 3.4, colorization and motion segmentation).

    Args:
      outputs: number of logits per position.
      channels: channels of each hidden convolution.
      kernel_sizes: kernel size of each hidden convolution.
      weight_decay: factor of half the squared L2 norm of each kernel.
      dtype: Keras dtype or dtype policy of the hidden layers.
      **kwargs: other arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        outputs: int,
        channels: int,
        kernel_sizes: Sequence[int],
        weight_decay: float,
        dtype: str | None = None,
        name: str = "head",
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.outputs = outputs
        self.channels = channels
        self.kernel_sizes = tuple(kernel_sizes)
        self.weight_decay = weight_decay
        self.postnorm = BatchNorm(dtype=dtype, name="postnorm")
        self.convs = [
            Conv2D(channels, size, weight_decay, dtype=dtype, name=f"conv{index}")
            for index, size in enumerate(self.kernel_sizes, start=1)
        ]
        self.logits = logits_layer(outputs, weight_decay)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps features [B, h, w, C] to logits, float32 [B, h, w, outputs]."""
        net = tf.nn.relu(self.postnorm(features, training=training))
        for conv in self.convs:
            net = tf.nn.relu(conv(net))
        return self.logits(net)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; Keras rebuilds the head from them."""
        return {
            **super().get_config(),
            "outputs": self.outputs,
            "channels": self.channels,
            "kernel_sizes": self.kernel_sizes,
            "weight_decay": self.weight_decay,
        }
