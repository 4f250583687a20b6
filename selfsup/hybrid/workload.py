"""What a replica group trains: the only thing that the loop knows of models."""

import dataclasses
from typing import Any, Callable, Optional, Union

from selfsup.hybrid.transfer import TransferOptions


class Model:
    """What is minimised, and the variables that it reads.

    Attributes:
      objective: (examples, seed int32 [2]) -> (scalar to minimise, dict of scalars).
      variables: those that a step updates.
      statistics: those that the forward pass itself assigns.
    """

    def __init__(self, objective, variables, statistics):
        self.objective = objective
        self.variables = list(variables)
        self.statistics = list(statistics)
        self._functions = {}

    def function(self, key, make):
        """What `make` returned when it was first called for `key`.

        So a `tf.function` over the model is there for all its replicas, and for those
        that follow them after a failure: it is traced once.
        """
        if key not in self._functions:
            self._functions.setdefault(key, make())
        return self._functions[key]


@dataclasses.dataclass(frozen=True)
class Replica:
    """A model with its share of the input.

    Attributes:
      model: a `Model`.
      batches: position in the replica's examples -> tf.data.Dataset of batches.
      batch_size: examples that the replica takes a step.
      replacements: examples -> int32 [batch_size]: the index of the damaged shard whose
        record each stands in for, or -1; None where that cannot be.
    """

    model: Model
    batches: Callable
    batch_size: int
    replacements: Optional[Callable] = None

    @property
    def variables(self):
        return self.model.variables

    @property
    def statistics(self):
        return self.model.statistics


@dataclasses.dataclass(frozen=True)
class Workload:
    """One task's training: the master copy, and how to make others.

    Attributes:
      name: of the task.
      master: the `Replica` over the master variables.
      learning_rate: of the group's RMSProp: a number, or a function of the examples
        that the task has taken, an int or an int64 scalar tensor, to a floating scalar.
      seed: of the step's random numbers.
      make_replica: (index, count) -> replica `index` of `count`, a `Replica` with a batch of
        its own. Its model is over other variables, in the order of the master's, which
        are a pattern: what computes has its own. So copies may share one model, and
        are then traced once. None where the task cannot be copied.
      transfer: how values travel between the master and the copies.
      recorder: a `timeline.Recorder` that may ask for a step's times; None for none.
    """

    name: str
    master: Replica
    learning_rate: Union[float, Callable]
    seed: int
    make_replica: Optional[Callable] = None
    transfer: TransferOptions = dataclasses.field(default_factory=TransferOptions)
    recorder: Optional[Any] = None

    @property
    def batch_size(self):
        """Examples that the task's batch size is: the cost of a step is of so many."""
        return self.master.batch_size

    @property
    def has_schedule(self):
        """Whether the learning rate is another at different steps."""
        return callable(self.learning_rate)

    def rate(self, examples):
        """The learning rate after so many examples of the task."""
        return self.learning_rate(examples) if self.has_schedule else self.learning_rate
