"""The interface of a trunk, the network that all tasks share (paper sections 3.1, 3.2).

A trunk maps images to features. Its candidate units are the layers whose outputs the
lasso can combine (equation 1); in the paper they are the residual units of block 3. The
weights of a trunk do not depend on the output stride, so every call can choose a stride.
A tail maps the features onwards: block 4 of a ResNet. Box heads and the ImageNet-labels
baseline use it.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import tensorflow as tf

from selfsup.common import checks
from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.trunk import trunk_class
from selfsup.trunk.layers import BatchNorm, build_sublayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

OUTPUT_STRIDES = (8, 16, 32)


@dataclasses.dataclass(frozen=True)
class TrunkConfig:
    """The architecture and precision of a trunk.

    Attributes:
      depth: key of the `depths` of this kind of trunk.
      output_stride: input pixels per feature, 8, 16 or 32, unless a call gives its own.
      phases: whether atrous blocks run by space-to-batch where that is exact.
      mixed_precision: compute in bfloat16; weights and outputs stay float32.
      weight_decay: factor of half the squared L2 norm of all kernels.
      kind: key of `selfsup.trunk.REGISTRY`. Files of earlier versions do not have it.

    Raises:
      UserError: if `kind`, `depth` or `output_stride` is unknown.
    """

    depth: str = "101"
    output_stride: int = 8
    phases: bool = True
    mixed_precision: bool = False
    weight_decay: float = 1e-4
    kind: str = "resnet_v2"

    def __post_init__(self) -> None:
        trunk = trunk_class(self.kind)
        checks.require_choice("depth", self.depth, trunk.depths)
        trunk.check_output_stride(self.output_stride)

    @property
    def dtype_policy(self) -> str:
        """Name of the Keras dtype policy of the layers."""
        return "mixed_bfloat16" if self.mixed_precision else "float32"


class Trunk(keras.Model, abc.ABC):
    """A trunk: `trunk(images)` -> [B, ceil(H/s), ceil(W/s), C] float32.

    A subclass creates all its variables in its constructor, under a name scope that is
    the name of the trunk, and then sets `built`.

    Args:
      config: the architecture and precision.

    Attributes:
      title: what the trunk is, for model cards.
      depths: the table of depths by name; the first is the default.
      output_strides: the strides that the output can have.
      combined_strides: the strides at which the outputs of units can be combined.
      config: the architecture and precision.
    """

    title: ClassVar[str]
    depths: ClassVar[Mapping[str, Any]]
    output_strides: ClassVar[tuple[int, ...]] = OUTPUT_STRIDES
    combined_strides: ClassVar[tuple[int, ...]] = OUTPUT_STRIDES

    def __init__(self, config: TrunkConfig, name: str = "trunk") -> None:
        super().__init__(name=name)
        self.config = config

    @classmethod
    @abc.abstractmethod
    def output_channels(cls, depth: str) -> int:
        """Returns the channels C of the output of a trunk of this depth."""

    @classmethod
    def build_tail(cls, config: TrunkConfig, name: str = "block4") -> Tail:
        """Builds what follows the trunk in a classification network.

        Without a definition in a subclass: a batch normalisation and a ReLU.
        """
        return NormalizingTail(config, name)

    @property
    @abc.abstractmethod
    def unit_names(self) -> tuple[str, ...]:
        """The names of the candidate units, shallowest first."""

    @abc.abstractmethod
    def run_units(
        self, images: tf.Tensor, training: bool, output_stride: int
    ) -> tuple[Iterable[tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
        """Runs the network on checked arguments.

        Args:
          images: floating [B, H, W, 3] in [0, 1].
          training: whether to normalise by the batch's own statistics and update the
            moving statistics.
          output_stride: s, one of `output_strides`.

        Returns:
          (outputs, finish): the outputs of the candidate units, shallowest first; the
          last is the output of the trunk. All have the same shape at
          `combined_strides`. `finish` maps each output, or a sum of outputs, to
          [B, ceil(H/s), ceil(W/s), C]; it merges phases, for example.
        """

    def keras_layers(self) -> dict[str, keras.layers.Layer]:
        """Returns the layers by their names in `keras.applications`.

        Empty if `keras.applications` does not have the network. The weights of a layer
        are in the order of Keras.
        """
        return {}

    def convert_keras_weights(
        self, name: str, weights: list[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """Converts the weights of a layer of `keras_layers` to those of this trunk.

        Args:
          name: the layer's name in `keras.applications`.
          weights: the layer's weights there.
        """
        del name
        return weights

    @property
    def num_units(self) -> int:
        """Number of candidate units: M of equation (1)."""
        return len(self.unit_names)

    @property
    def channels(self) -> int:
        """Channels C of the output."""
        return self.output_channels(self.config.depth)

    @classmethod
    def check_output_stride(cls, output_stride: int) -> None:
        """Raises UserError unless trunks of this class can have this output stride."""
        checks.require_choice("output_stride", output_stride, cls.output_strides)

    @classmethod
    def check_combined_stride(cls, output_stride: int) -> None:
        """Raises UserError unless units can be combined at this output stride."""
        if output_stride not in cls.combined_strides:
            raise UserError(
                f"the units of the trunk cannot be combined at output stride "
                f"{output_stride}, because only the last unit has that stride; use "
                f"{' or '.join(map(str, cls.combined_strides))}"
            )

    def call(
        self,
        images: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
        unit_weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Computes the features of `images`.

        Args:
          images: float32 [B, H, W, 3] in [0, 1].
          training: whether to normalise by the batch's own statistics and update the
            moving statistics.
          output_stride: s, one of `output_strides`; None for the config's.
          unit_weights: float32 [M], a row of alpha, or None.

        Returns:
          float32 [B, ceil(H/s), ceil(W/s), C]. Without `unit_weights`: the output of
          the last unit. With them: the sum of all unit outputs, weighted by
          `unit_weights` (equation 1).

        Raises:
          UserError: if `images` is not floating, the output stride is unknown, or
            `unit_weights` is given at a stride that is none of `combined_strides`.
        """
        images, stride = self._checked(images, output_stride)
        if unit_weights is None:
            outputs, finish = self.run_units(images, training, stride)
            *_, net = outputs
            return tf.cast(finish(net), tf.float32)
        self.check_combined_stride(stride)
        outputs, finish = self.run_units(images, training, stride)
        weights = tf.unstack(unit_weights, num=self.num_units)
        terms = zip(weights, outputs)
        net = sum(weight * tf.cast(unit, tf.float32) for weight, unit in terms)
        return finish(net)

    def unit_outputs(
        self,
        images: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> list[tf.Tensor]:
        """Computes the outputs of all candidate units, shallowest first.

        Args:
          images, training, output_stride: see `call`.

        Returns:
          M tensors, float32 [B, ceil(H/s), ceil(W/s), C]. At a stride that is none of
          `combined_strides`, all but the last may be larger.

        Raises:
          UserError: if `images` is not floating or the output stride is unknown.
        """
        images, stride = self._checked(images, output_stride)
        outputs, finish = self.run_units(images, training, stride)
        return [tf.cast(finish(net), tf.float32) for net in outputs]

    def _checked(
        self, images: tf.Tensor, output_stride: int | None
    ) -> tuple[tf.Tensor, int]:
        """Returns the images as a tensor and the output stride of a call."""
        stride = self.config.output_stride if output_stride is None else output_stride
        self.check_output_stride(stride)
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating:
            raise UserError(
                f"trunk images must be floats in [0, 1]; received {images.dtype.name}"
            )
        return images, stride

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON types."""
        return {"config": dataclasses.asdict(self.config), "name": self.name}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Trunk:
        """Builds a trunk with new weights from the result of `get_config`."""
        return cls(TrunkConfig(**config["config"]), name=config["name"])


class Tail(keras.Model, abc.ABC):
    """What follows the trunk: `tail(features)` -> [B, h, w, D] float32, rectified.

    A subclass creates all its variables in its constructor.

    Args:
      config: that of the trunk.

    Attributes:
      config: that of the trunk.
    """

    def __init__(self, config: TrunkConfig, name: str = "block4") -> None:
        super().__init__(name=name)
        self.config = config

    @property
    @abc.abstractmethod
    def channels(self) -> int:
        """Channels D of the output."""

    @abc.abstractmethod
    def call(
        self,
        features: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> tf.Tensor:
        """Computes rectified features for a classifier.

        Args:
          features: float32 [B, h, w, C], the trunk's output.
          training: whether to normalise by the batch's own statistics and update the
            moving statistics.
          output_stride: stride of the trunk's output; None for the config's. Box heads
            pass 32 for their crops.

        Returns:
          float32 [B, h, w, D].
        """

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON types."""
        return {"config": dataclasses.asdict(self.config), "name": self.name}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Tail:
        """Builds a tail with new weights from the result of `get_config`."""
        return cls(TrunkConfig(**config["config"]), name=config["name"])


class NormalizingTail(Tail):
    """Batch normalisation and a ReLU, for trunks that contain their whole network."""

    def __init__(self, config: TrunkConfig, name: str = "block4") -> None:
        super().__init__(config, name)
        self.postnorm = BatchNorm(name="postnorm")
        with tf.name_scope(name):
            build_sublayer(self.postnorm, [None, None, None, self.channels])
        self.built = True

    @property
    def channels(self) -> int:
        """Channels of the output, which are those of the trunk."""
        return trunk_class(self.config.kind).output_channels(self.config.depth)

    def call(
        self,
        features: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> tf.Tensor:
        """Normalises and rectifies features; see the base class."""
        del output_stride
        return tf.nn.relu(self.postnorm(features, training=training))
