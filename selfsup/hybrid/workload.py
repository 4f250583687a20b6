"""What a replica group trains: the only thing that the loop knows of models."""

import dataclasses
from typing import Callable, Optional


@dataclasses.dataclass(frozen=True)
class Replica:
    """A copy of what a group trains, with its share of the input.

    Attributes:
      objective: (examples, seed int32 [2]) -> (scalar to minimise, dict of scalars).
      variables: those that a step updates.
      statistics: those that the forward pass itself assigns.
      batches: position in the replica's examples -> tf.data.Dataset of batches.
      batch_size: examples that the replica takes a step.
      stand_ins: examples -> int32 [batch_size]: the index of the damaged shard whose
        record each stands in for, or -1; None where that cannot be.
    """

    objective: Callable
    variables: list
    statistics: list
    batches: Callable
    batch_size: int
    stand_ins: Optional[Callable] = None


@dataclasses.dataclass(frozen=True)
class Workload:
    """One task's training: the master copy, and how to make others.

    Attributes:
      name: of the task.
      master: the `Replica` over the master variables, with the whole batch.
      learning_rate: of the group's RMSProp.
      seed: of the step's random numbers.
      copy: (index, count) -> a `Replica` over new variables, in the order of the
        master's, on the current device, that takes part `index` of `count` of each
        batch; None where the task cannot be copied.
    """

    name: str
    master: Replica
    learning_rate: float
    seed: int
    copy: Optional[Callable] = None

    @property
    def batch_size(self):
        """Examples a step, of all replicas together."""
        return self.master.batch_size


def share_of(batch_size, index, count):
    """Examples of a batch that part `index` of `count` takes; differs by at most one.

    Example:
      >>> [share_of(8, index, 3) for index in range(3)]
      [3, 3, 2]
    """
    return (batch_size + count - 1 - index) // count
