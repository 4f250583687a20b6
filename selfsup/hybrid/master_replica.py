"""Trains on the master variables themselves, without a copy of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf

from selfsup.hybrid.replica_set import Contribution, global_norm
from selfsup.hybrid.workload import Batch, Workload


class MasterReplica:
    """The master variables as the only replica of a task; a `ReplicaSet`.

    Correct only where groups take turns: no other group may update the variables during
    the step.

    Attributes:
      workload: the task's `Workload`.
      devices: empty.
      replicas: 1.
    """

    devices: tuple[str, ...] = ()
    replicas = 1

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    @property
    def examples(self) -> int:
        """Number of examples in a step."""
        return self.workload.batch_size

    def open_input(self, step: int) -> list[Iterator[Batch]]:
        """See `ReplicaSet`."""
        return [iter(self.workload.master.batches(step * self.examples))]

    def contribute(
        self, iterators: Sequence[Iterator[Batch]], step: tf.Tensor, timed: bool
    ) -> Contribution:
        """See `ReplicaSet`; the step of a single replica has no parts to measure."""
        del timed
        master = self.workload.master
        seed = self.workload.step_seed(0, step)
        batch = next(iterators[0])
        before = [tf.identity(variable) for variable in master.statistics]
        total, logs, gradients = master.model.gradients(batch, seed)
        replaced_shards = master.damaged_shards(batch)
        norm = global_norm(gradients)
        return Contribution(
            gradients,
            tf.math.is_finite(norm) & tf.math.is_finite(total),
            {**logs, "gradient_norm": norm},
            before,
            replaced_shards,
            [],
        )

    def settle(self, contribution: Contribution, applied: tf.Tensor) -> None:
        """See `ReplicaSet`: puts the statistics back if the step is not applied.

        The forward pass has changed them before this is known.
        """

        def put_back() -> None:
            for variable, value in zip(
                self.workload.master.statistics, contribution.statistics
            ):
                variable.assign(value)

        tf.cond(applied, lambda: None, put_back)
