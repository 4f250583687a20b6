"""The contract of a self-supervised task (paper section 2).

A task never sees flags, devices, optimizers or other tasks. An example goes through
it in this order:

    record --preprocess_example--> example        tf.data, one at a time, uint8 out
    batch  --preprocess_batch-->   trunk images, targets      on the device, batched
    trunk  --combination-->        features
    features --head-->             outputs
    outputs, targets --loss, metrics, chance, pictures-->
"""

import abc
import dataclasses
from typing import Any, ClassVar

from selfsup.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """Hyperparameters common to all tasks; subclasses add the task's own.

    Attributes:
      batch_size: photos or frames that each replica of the task reads a step.
      learning_rate: of the task's own RMSProp (section 4).
      step_cost: cost of a replica's step for the cost clock; 0 for what --costs says.
      weight_decay: factor of half the squared L2 norm of the head's kernels.
    """

    batch_size: int = 32
    learning_rate: float = 2e-5
    step_cost: float = 0.0
    weight_decay: float = 1e-4

    def __post_init__(self):
        for name in ("step_cost", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name}={getattr(self, name)}: expected 0 or more")
        if not self.learning_rate > 0:
            raise UserError(f"learning_rate={self.learning_rate}: expected above 0")


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number that a task reports.

    Attributes:
      name: key in the dicts that `metrics` and `chance` return.
      higher_is_better: direction of improvement.
      description: one line with the range or unit.
    """

    name: str
    higher_is_better: bool
    description: str


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A learning rate along a run.

    Attributes:
      initial: the rate at first.
      decay_rate: it is multiplied by this, 1 for a constant rate,
      decay_epochs: every so many epochs of the task's own records.
    """

    initial: float
    decay_rate: float = 1.0
    decay_epochs: float = 1.0

    @property
    def is_constant(self):
        return self.decay_rate == 1.0

    def __str__(self):
        if self.is_constant:
            return f"{self.initial:g}"
        decay = f"times {self.decay_rate:g} every {self.decay_epochs:g} epochs"
        return f"{self.initial:g} {decay}"

    def learning_rate(self, epochs):
        """The rate after so many epochs, a float or a floating scalar tensor."""
        return self.initial * self.decay_rate ** (epochs // self.decay_epochs)


class Task(abc.ABC):
    """A self-supervised task: preprocessing, head, loss and metrics.

    Attributes:
      name: registry key, as in the paper's section title, in snake case.
      Config: the task's frozen `TaskConfig` dataclass.
      features: record features it reads (names of `selfsup.data.records`).
      output_stride: stride of the trunk features that it asks for.
      min_batch_size: fewest photos or frames that a replica learns from as it
        should: with fewer, the statistics of its batch give answers away, or a photo
        has too few others to be told from.
      metric_specs: the metrics that it reports; the first is the headline that
        progress displays show against chance.
      exported_parts: attributes of the head that `selfsup.export` saves with the trunk:
        "block4", "logits".
    """

    name: ClassVar[str]
    Config: ClassVar[type] = TaskConfig
    features: ClassVar[tuple] = ("image",)
    output_stride: ClassVar[int] = 8
    min_batch_size: ClassVar[int] = 2
    metric_specs: ClassVar[tuple]
    exported_parts: ClassVar[tuple] = ()

    def __init__(self, config=None):
        self.config = self.Config() if config is None else config
        self._check_batch_size()

    def _check_batch_size(self):
        size, least = self.config.batch_size, self.min_batch_size
        if size < least:
            raise UserError(
                f"{self.name}.batch_size={size}: each replica reads a batch of its own, "
                f"of {least} or more (so that 16 replicas take 16 * {least} = "
                f"{16 * least} or more a step together); give "
                f"--task_set={self.name}.batch_size={least}, or leave it out"
            )

    @classmethod
    def complete_config(cls, config, sets):
        """`config` with what the data decide filled in; most tasks have no such thing.

        Args:
          config: a `Config`.
          sets: the `Manifest`s of the built sets that the task is to train on.

        Raises:
          UserError: where the data do not fit.
        """
        del sets
        return config

    def check_channels(self, channels):
        """Raises UserError where the head cannot do with so many channels of features."""
        del channels

    def learning_rate_schedule(self):
        """The `Schedule` of the task's learning rate: constant, as in section 6."""
        return Schedule(self.config.learning_rate)

    @abc.abstractmethod
    def preprocess_example(self, record, seed):
        """Per-example preprocessing inside tf.data: decode, cut; no more.

        Args:
          record: dict from `pipeline.parse` with the features asked for, and "encoded":
            the image's bytes, for decoding a part of it alone.
          seed: int32 [2], all the randomness that may be used (stateless ops).

        Returns:
          dict of tensors of static shape; images are uint8 in [0, 255].
        """

    @abc.abstractmethod
    def preprocess_batch(self, examples, seed):
        """Batched preprocessing on the replica's device: all per-pixel work.

        Args:
          examples: dict of tensors, `preprocess_example`'s with a leading [B].
          seed: int32 [2] for stateless ops.

        Returns:
          (images, targets): float32 [N, h, w, 3] in [0, 1] for the trunk, where N may
          be a multiple of B (patches), and a dict of tensors for `loss`.
        """

    @abc.abstractmethod
    def build_head(self, dtype=None):
        """Returns a new `keras.layers.Layer`: call(features, training) -> outputs.

        Features are `[N, h/8, w/8, C]`, raw sums of block 3 units (not normalised,
        not rectified). Siamese heads re-arrange the batch themselves.

        Args:
          dtype: Keras dtype or policy of the hidden layers, such as "mixed_bfloat16";
            outputs are float32 under any.
        """

    @abc.abstractmethod
    def loss(self, outputs, targets):
        """Returns the scalar float32 loss, regularisation excluded."""

    @abc.abstractmethod
    def metrics(self, outputs, targets):
        """Returns a dict of scalar float32, one for each of `metric_specs`."""

    @abc.abstractmethod
    def chance(self, targets):
        """Returns a dict of scalar float32: what guessing without the image scores.

        Has the headline metric, and any other metric where a chance level is known.
        """

    @abc.abstractmethod
    def pictures(self, images, outputs, targets) -> dict[str, Any]:
        """Pictures of what the task saw and predicted, for people.

        Args:
          images, targets: as returned by `preprocess_batch`, as NumPy arrays.
          outputs: the head's outputs as NumPy arrays.

        Returns:
          dict of uint8 [H, W, 3] arrays by name.
        """
