"""The interface of a task's replicas, and what they contribute to a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol, Union

import tensorflow as tf

from selfsup.hybrid.exchange import Arrivals
from selfsup.hybrid.workload import Batch, Workload

# Times of a replica's step by name, see `timeline.ReplicaTimes`.
Times = dict[str, Union[tf.Tensor, Arrivals]]


@dataclasses.dataclass(frozen=True)
class Contribution:
    """What a replica, or all replicas of a task together, contribute to a step.

    The values are tensors in the graph of the step.

    Attributes:
      gradients: for each master variable its gradient, or None. The gradient of a
        replica is multiplied by the replica's share of the examples, so the sum over the
        replicas is their mean.
      finite: bool scalar, whether gradients and minimised scalars are finite. Of a
        single replica: whether its minimised scalar is.
      logs: dict of scalars to log: the objective's, and for all replicas together
        "gradient_norm", the norm over all gradients.
      statistics: what `ReplicaSet.settle` needs to know about each statistic.
      replaced_shards: int32 [examples], see `Replica`.
      times: for each replica the times of its step, of float64 seconds; empty dicts
        unless the step is timed.
    """

    gradients: Sequence[tf.Tensor | None]
    finite: tf.Tensor
    logs: dict[str, tf.Tensor]
    statistics: Sequence[tf.Tensor]
    replaced_shards: tf.Tensor
    times: list[Times]


class ReplicaSet(Protocol):
    """The replicas of one task, which compute side by side in the graph of a step.

    `MasterReplica` computes on the master variables themselves, `DeviceReplicas` on a
    copy of them on each device.
    """

    @property
    def workload(self) -> Workload:
        """The task's `Workload`."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the replicas' devices; empty for the master variables themselves."""

    @property
    def replicas(self) -> int:
        """Number of replicas."""

    @property
    def examples(self) -> int:
        """Number of examples in a step of all replicas together."""

    def open_input(self, step: int) -> list[Iterator[Batch]]:
        """Opens the input from step `step` on: an iterator over batches per replica."""

    def contribute(
        self, iterators: Sequence[Iterator[Batch]], step: tf.Tensor, timed: bool
    ) -> Contribution:
        """Runs all replicas forward and backward; to be called while a step is traced.

        Args:
          iterators: the result of `open_input`.
          step: int32 scalar, the number of the step.
          timed: whether to measure times.

        Returns:
          the `Contribution` of all replicas together, whose gradients are on the
          devices of the master variables.
        """

    def settle(self, contribution: Contribution, applied: tf.Tensor) -> None:
        """Makes the master statistics those after the step if it is applied.

        They are those before the step otherwise.

        Args:
          contribution: the result of `contribute`.
          applied: bool scalar, whether the step's gradients are applied.
        """


def global_norm(gradients: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Returns the norm over all gradients, each squared on its own device."""
    squares = []
    for gradient in gradients:
        if gradient is not None:
            with tf.device(gradient.device):
                squares.append(tf.reduce_sum(tf.square(gradient)))
    return tf.sqrt(tf.add_n(squares))
