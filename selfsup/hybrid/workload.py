"""What a replica group trains: all that the training loop knows of models."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Callable, Union

import tensorflow as tf

from selfsup.hybrid.transfer import TransferOptions

if TYPE_CHECKING:
    from selfsup.hybrid.timeline import Recorder

# A batch as the data set yields it: usually a dict of tensors.
Batch = Union[tf.Tensor, dict[str, tf.Tensor]]
# (batch, seed int32 [2]) -> (scalar to minimise, scalars to log).
Objective = Callable[[Batch, tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]]
# Number of examples that a task has taken, an int or an int64 scalar -> learning rate.
Schedule = Callable[[tf.Tensor], tf.Tensor]


class Model:
    """An objective and the variables that it reads.

    Attributes:
      objective: computes the scalar to minimise and the scalars to log.
      variables: variables that a step updates.
      statistics: variables that the forward pass itself assigns, such as moving averages.
    """

    def __init__(
        self,
        objective: Objective,
        variables: Iterable[tf.Variable],
        statistics: Iterable[tf.Variable],
    ) -> None:
        self.objective = objective
        self.variables = list(variables)
        self.statistics = list(statistics)
        self._functions: dict[Hashable, tf.types.experimental.PolymorphicFunction] = {}

    def gradients(
        self, batch: Batch, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], list[tf.Tensor | None]]:
        """Runs the objective forward and backward.

        Args:
          batch: examples, as `objective` takes them.
          seed: int32 [2], the seed of the step's random numbers.

        Returns:
          (total, logs, gradients): the minimised scalar, the scalars to log, and for
          each of `variables` its gradient, or None if the scalar does not depend on it.
        """
        with tf.GradientTape() as tape:
            total, logs = self.objective(batch, seed)
        return total, logs, tape.gradient(total, self.variables)

    def cached_function(
        self,
        key: Hashable,
        make: Callable[[], tf.types.experimental.PolymorphicFunction],
    ) -> tf.types.experimental.PolymorphicFunction:
        """Returns the `tf.function` for `key`; calls `make` for a new key.

        All replicas of a model share its functions, and so do the replicas that are
        made after a device failure. Each function is traced once.
        """
        if key not in self._functions:
            self._functions.setdefault(key, make())
        return self._functions[key]


@dataclasses.dataclass(frozen=True)
class Replica:
    """A model with its share of the input.

    Attributes:
      model: the `Model`.
      batches: maps a position among the replica's examples to a data set of the batches
        from there on, without end.
      batch_size: number of examples that the replica takes per step.
      replaced_shards: maps a batch to int32 [batch_size]: for a replacement example the
        index of the damaged shard whose record it replaces, and -1 for other examples.
        None if the input has no replacement examples.
    """

    model: Model
    batches: Callable[[int], tf.data.Dataset]
    batch_size: int
    replaced_shards: Callable[[Batch], tf.Tensor] | None = None

    @property
    def variables(self) -> list[tf.Variable]:
        """The model's variables."""
        return self.model.variables

    @property
    def statistics(self) -> list[tf.Variable]:
        """The model's statistics."""
        return self.model.statistics

    def damaged_shards(self, batch: Batch) -> tf.Tensor:
        """Returns int32 [batch_size], see `replaced_shards`."""
        if self.replaced_shards is None:
            return tf.fill([self.batch_size], -1)
        return self.replaced_shards(batch)


@dataclasses.dataclass(frozen=True)
class Workload:
    """The training of one task: the master variables, and how to make replicas of them.

    Attributes:
      name: name of the task.
      master: the `Replica` over the master variables.
      learning_rate: the learning rate of RMSProp, or a `Schedule` of it.
      seed: seed of the random numbers of the steps.
      make_replica: maps (index, count) to replica `index` of `count`, which has batches
        of its own. Its model's variables are a pattern, in the order of the master's:
        the computation is traced over them, and then runs on other variables. So all
        replicas may share one model, which is traced once. None if the task trains on
        the master variables only.
      transfer: how values travel between the master variables and the replicas.
      recorder: decides which steps are timed, and stores their times; None for none.
      rate_factor: returns what multiplies the learning rate of the next step. It is called
        before each step, in the thread that takes the step. None for no factor.
    """

    name: str
    master: Replica
    learning_rate: float | Schedule
    seed: int
    make_replica: Callable[[int, int], Replica] | None = None
    transfer: TransferOptions = dataclasses.field(default_factory=TransferOptions)
    recorder: Recorder | None = None
    rate_factor: Callable[[], float] | None = None

    @property
    def batch_size(self) -> int:
        """The task's batch size; the cost of a step is the cost of one such batch."""
        return self.master.batch_size

    @property
    def has_schedule(self) -> bool:
        """Whether the learning rate changes during training."""
        return callable(self.learning_rate) or self.rate_factor is not None

    def rate(self, examples: int | tf.Tensor) -> float | tf.Tensor:
        """Returns the learning rate after `examples` examples, without `rate_factor`."""
        if callable(self.learning_rate):
            return self.learning_rate(examples)
        return self.learning_rate

    def step_seed(self, replica: int, step: tf.Tensor) -> tf.Tensor:
        """Returns int32 [2], the seed of a replica in a step; no two are the same."""
        return tf.stack([tf.constant(self.seed + replica, tf.int32), step])
