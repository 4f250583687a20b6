"""The interface of a self-supervised task (paper section 2).

A task does not know flags, devices, optimizers or other tasks. Its data pass through
these stages:

    record   --preprocess_example-->  example             tf.data, single, uint8
    examples --preprocess_batch-->    images, targets     training device, batched
    images, targets --augment-->      images, targets     training steps only
    images   --trunk, combination-->  features            training device
    features --head-->                outputs             training device
    outputs, targets --loss, metrics, chance, pictures-->
"""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from selfsup.common import checks
from selfsup.common.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

    from selfsup.tasks.heads import Head
    from selfsup.trunk.trunk import TrunkConfig


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """Hyperparameters of every task; subclasses add those of one task.

    Attributes:
      batch_size: photos or frames that each replica of the task reads per step.
      learning_rate: initial learning rate of the task's own RMSProp (section 4).
      step_cost: cost of a replica's step on the cost clock (section 6.1); 0 to use the
        cost model of the run.
      weight_decay: factor of half the squared L2 norm of the head's kernels.

    Raises:
      UserError: if a value is out of range.
    """

    batch_size: int = 32
    learning_rate: float = 2e-5
    step_cost: float = 0.0
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("step_cost", "weight_decay"):
            checks.require_range(name, getattr(self, name), minimum=0)
        checks.require_range("learning_rate", self.learning_rate, above=0)


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number that a task reports.

    Attributes:
      name: key in the results of `Task.metrics` and `Task.chance`.
      higher_is_better: direction of improvement.
      description: a line of text with the range or unit.
    """

    name: str
    higher_is_better: bool
    description: str


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A learning rate that decays in steps.

    After e epochs the rate is `initial * decay_rate ** floor(e / decay_epochs)`.

    Attributes:
      initial: rate at the start of training.
      decay_rate: factor of each decay; 1 for a constant rate.
      decay_epochs: epochs of the task's own records between two decays.
    """

    initial: float
    decay_rate: float = 1.0
    decay_epochs: float = 1.0

    @property
    def is_constant(self) -> bool:
        """Whether the rate never changes."""
        return self.decay_rate == 1.0

    def __str__(self) -> str:
        if self.is_constant:
            return f"{self.initial:g}"
        decay = f"times {self.decay_rate:g} every {self.decay_epochs:g} epochs"
        return f"{self.initial:g} {decay}"

    def learning_rate(self, epochs: float | tf.Tensor) -> float | tf.Tensor:
        """Returns the rate after `epochs`.

        Args:
          epochs: number of epochs so far, a float or a floating scalar tensor.

        Returns:
          The rate, of the type of `epochs`.
        """
        return self.initial * self.decay_rate ** (epochs // self.decay_epochs)


class LabelledSet(Protocol):
    """The properties of a built data set on which a task's config may depend.

    `selfsup.data.manifest.Manifest` has this interface.
    """

    @property
    def directory(self) -> str:
        """Folder of the data set."""

    @property
    def labels(self) -> Sequence[str]:
        """Class names by label index; empty for a data set without labels."""


class Task(abc.ABC):
    """A self-supervised task: preprocessing, head, loss and metrics.

    Subclasses annotate `config` with the type of their own `Config`.

    Attributes:
      name: key in the registry, in snake case.
      Config: the task's frozen subclass of `TaskConfig`.
      features: record features that the task reads (names in `selfsup.data.records`).
      output_stride: output stride of the trunk features that the head receives.
      metric_specs: the metrics that the task reports. The first is the headline, which
        progress displays show next to its chance level.
      exported_parts: what an export saves with the trunk. The task's own name stands for
        the whole head, which then has to take features [N, h, w, C] of any N, h and w.
        "block4" and "logits" are attributes of the head, a tail and a classifier, whose
        variables it creates in its constructor.
      config: the task's hyperparameters.

    Args:
      config: hyperparameters; None for the defaults of `Config`.

    Raises:
      UserError: if a hyperparameter is invalid.
    """

    name: ClassVar[str]
    Config: ClassVar[type[TaskConfig]] = TaskConfig
    features: ClassVar[tuple[str, ...]] = ("image",)
    output_stride: ClassVar[int] = 8
    metric_specs: ClassVar[tuple[Metric, ...]]
    exported_parts: ClassVar[tuple[str, ...]] = ()
    config: TaskConfig

    def __init__(self, config: TaskConfig | None = None) -> None:
        self.config = self.Config() if config is None else config
        self._check_batch_size()

    @property
    def min_batch_size(self) -> int:
        """Smallest number of photos or frames per replica with which the task learns.

        With a smaller batch, the batch statistics give answers away, or a photo has too
        few others to be distinguished from.
        """
        return 2

    def _check_batch_size(self) -> None:
        """Raises UserError if the batch size is below the minimum."""
        size, minimum = self.config.batch_size, self.min_batch_size
        if size < minimum:
            raise UserError(
                f"{self.name}.batch_size={size}: expected {minimum} or more photos or "
                "frames per replica, because smaller batches leak answers through batch "
                "statistics or leave too few negatives; set "
                f"{self.name}.batch_size={minimum} or more"
            )

    @classmethod
    def complete_config(
        cls, config: TaskConfig, sets: Sequence[LabelledSet]
    ) -> TaskConfig:
        """Fills in the hyperparameters that depend on the data; most tasks have none.

        Args:
          config: a `Config` of the task.
          sets: the built data sets on which the task will train.

        Returns:
          The complete `Config`.

        Raises:
          UserError: if the task cannot train on the data.
        """
        del sets
        return config

    @classmethod
    def config_for_trunk(cls, config: TaskConfig, trunk: TrunkConfig) -> TaskConfig:
        """Fills in the hyperparameters that follow from the trunk; most tasks have none.

        Args:
          config: a `Config` of the task.
          trunk: configuration of the trunk of the run.

        Returns:
          the complete `Config`.
        """
        del trunk
        return config

    def check_trunk(self, trunk: TrunkConfig) -> None:
        """Raises UserError if the head does not support the features of a trunk."""
        del trunk

    def learning_rate_schedule(self) -> Schedule:
        """Returns the task's learning rate, which is constant as in section 6."""
        return Schedule(self.config.learning_rate)

    @abc.abstractmethod
    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Preprocesses a single example inside tf.data: only decoding and cropping.

        Args:
          record: tensors by name from `pipeline.parse`: the requested features, and
            "encoded", the bytes of the image, for decoding only a part of it.
          seed: int32 [2], the only source of randomness (use stateless ops).

        Returns:
          Tensors of static shape by name; images are uint8 in [0, 255].
        """

    @abc.abstractmethod
    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Preprocesses a batch on the training device: all per-pixel computation.

        Args:
          examples: results of `preprocess_example`, batched: tensors [B, ...] by name.
          seed: int32 [2], the only source of randomness (use stateless ops).

        Returns:
          images: float32 [N, h, w, 3] in [0, 1] for the trunk. N may be a multiple of
            B, for example with several patches per photo.
          targets: tensors by name for `loss`, `metrics`, `chance` and `pictures`.
        """

    def augment_examples(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Augments examples before `preprocess_batch`, in training with `augment`.

        The place for what has to move or change the targets too. Not at all by default.

        Args:
          examples: see `preprocess_batch`.
          seed: int32 [2], the only source of randomness (use stateless ops).

        Returns:
          examples that `preprocess_batch` accepts.
        """
        del seed
        return examples

    def augment_images(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Augments the trunk's images, in training with `augment`.

        By default like the exemplar task (paper section 7), without moving pixels, so
        that targets stay valid: contrast, saturation, brightness and hue of each image
        change. Gray images stay gray.

        Args:
          images: float32 [N, h, w, 3] in [0, 1], see `preprocess_batch`.
          seed: int32 [2], the only source of randomness (use stateless ops).

        Returns:
          float32 [N, h, w, 3] in [0, 1].
        """
        from selfsup.images import exemplar_augmentation

        return exemplar_augmentation.random_color_keeping_gray(images, seed)

    def random_views(
        self, images: tf.Tensor, targets: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Changes a preprocessed batch at random, in training steps only.

        Held-out batches do not pass here, so their results do not depend on it. Most
        tasks change nothing: their views of a photo are the task itself.

        Args:
          images: see `preprocess_batch`.
          targets: see `preprocess_batch`.
          seed: int32 [2], the only source of randomness (use stateless ops).

        Returns:
          images and targets of the same shapes.
        """
        del seed
        return images, targets

    @abc.abstractmethod
    def build_head(self, dtype: str | None = None) -> Head:
        """Returns a new head.

        Args:
          dtype: Keras dtype or name of a dtype policy for the hidden layers, such as
            "mixed_bfloat16". The outputs are float32 with every policy.
        """

    @abc.abstractmethod
    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the loss, a float32 scalar without regularisation.

        Args:
          outputs: the head's outputs, float32.
          targets: see `preprocess_batch`.
        """

    @abc.abstractmethod
    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns a float32 scalar for each of `metric_specs`, by name.

        Args:
          outputs: the head's outputs, float32.
          targets: see `preprocess_batch`.
        """

    @abc.abstractmethod
    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of guessing without the image, float32 scalars by name.

        The result has the headline metric, and every other metric with a known chance
        level.

        Args:
          targets: see `preprocess_batch`.
        """

    @abc.abstractmethod
    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws what the task received and predicted.

        Args:
          images: see `preprocess_batch`, as an array.
          outputs: the head's outputs, as an array.
          targets: see `preprocess_batch`, as arrays.

        Returns:
          uint8 [H, W, 3] by name.
        """
