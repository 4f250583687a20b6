"""The synchronous step of some replicas, which is applied as a whole or not at all."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.hybrid.exchange import DEPENDENCIES
from selfsup.hybrid.placement import host_of
from selfsup.hybrid.replica_set import Contribution, ReplicaSet, Times
from selfsup.hybrid.rmsprop import RMSProp
from selfsup.hybrid.timeline import ReplicaTimes
from selfsup.hybrid.workload import Batch, Workload

# (current, finite, logs, replaced_shards, times) of a step, the last three by task.
_Outputs = tuple[
    tf.Tensor,
    tf.Tensor,
    list[dict[str, tf.Tensor]],
    list[tf.Tensor],
    list[list[Times]],
]


@dataclasses.dataclass(frozen=True)
class StepResult:
    """The result of a step.

    Attributes:
      finite: whether all gradients and minimised scalars were finite. If not, the step
        was skipped: it changed no variable.
      logs: by task, the objective's scalars and "gradient_norm", and "learning_rate" if
        that changes during training.
      replaced_shards: by task, int32 [examples], see `Replica`.
      seconds: duration of the step.
    """

    finite: bool
    logs: dict[str, dict[str, float]]
    replaced_shards: dict[str, npt.NDArray[np.int32]]
    seconds: float


class SynchronousStep:
    """The `tf.function` of a step that some replicas take together.

    It runs the graphs of the replicas side by side, sums the gradients of the tasks on
    the device of each master variable, and applies RMSProp there. Applying needs every
    gradient, so a step with a failed replica changes nothing.

    Attributes:
      sets: the `ReplicaSet` of each task.
      devices: names of the replicas' devices; empty for the master variables themselves.
      generation: the step is applied only while the group is in this generation.
    """

    def __init__(
        self,
        replica_sets: Sequence[ReplicaSet],
        optimizer: RMSProp,
        generation: int,
        current: tf.Variable,
        accepted_steps: tf.Variable,
    ) -> None:
        """Makes the step; it is traced when it is first taken.

        Args:
          replica_sets: a `ReplicaSet` for each task.
          optimizer: `RMSProp` over `all_variables` of the tasks' workloads.
          generation: the generation of these replicas.
          current: int64 variable, the current generation of the group.
          accepted_steps: int64 variable, counts the steps that were not too late for their
            generation, skipped steps included.
        """
        self.generation = generation
        self.devices = tuple(
            dict.fromkeys(device for each in replica_sets for device in each.devices)
        )
        self.sets = replica_sets
        self._tasks = [each.workload.name for each in replica_sets]
        self._optimizer = optimizer
        self._current = current
        self._accepted_steps = accepted_steps
        self._variables = all_variables([each.workload for each in replica_sets])
        self._iterators: list[list[Iterator[Batch]]] | None = None
        self._recorder = replica_sets[0].workload.recorder
        self._rate_factor = replica_sets[0].workload.rate_factor
        self._key = (" + ".join(self._tasks), self.devices)
        self._local = host_of(tf.zeros([]).device) if self.devices else None
        self._function = tf.function(self._traced)

    def close_input(self) -> None:
        """Closes the input; the next step opens it at its own position."""
        self._iterators = None

    def take(self, number: int, examples: Sequence[int]) -> StepResult | None:
        """Takes step `number`, counted from 0.

        Args:
          number: number of the step.
          examples: number of examples that each task has taken before it, on which the
            learning rate may depend.

        The learning rate is multiplied by the `Workload.rate_factor` of now.

        Returns:
          the result; None if the group has begun a new generation, in which case the
          step changed nothing.
        """
        start = time.monotonic()
        if self._iterators is None:
            self._iterators = [each.open_input(number) for each in self.sets]
        timed = self._recorder is not None and self._recorder.wants(self._key)
        began = time.time()
        current, finite, logs, replaced_shards, times = self._function(
            self._iterators,
            tf.constant(number, tf.int32),
            tf.constant(examples, tf.int64),
            tf.constant(self._rate_factor() if self._rate_factor else 1.0),
            timed,
        )
        if not current:
            return None
        if timed:
            self._record(number, began, times)
        return StepResult(
            bool(finite),
            {
                task: {name: float(value) for name, value in scalars.items()}
                for task, scalars in zip(self._tasks, logs)
            },
            {
                task: shards.numpy()
                for task, shards in zip(self._tasks, replaced_shards)
            },
            time.monotonic() - start,
        )

    def _record(
        self, number: int, began: float, times: Sequence[Sequence[Times]]
    ) -> None:
        assert self._recorder is not None
        ended = time.time()
        by_replica: dict[tuple[str, str], ReplicaTimes] = {}
        for each, times_of_task in zip(self.sets, times):
            for device, tensors in zip(each.devices, times_of_task):
                seconds: ReplicaTimes = tf.nest.map_structure(float, tensors)
                del seconds["arrived"][DEPENDENCIES]
                by_replica[each.workload.name, device] = seconds
        self._recorder.add(self._key, number, began, ended, by_replica)

    def _traced(
        self,
        iterators: Sequence[Sequence[Iterator[Batch]]],
        number: tf.Tensor,
        examples: tf.Tensor,
        factor: tf.Tensor,
        timed: bool,
    ) -> _Outputs:
        # TensorFlow may place operations without a device on any device of the cluster,
        # even on another group's.
        with tf.device(self._current.device if self.devices else None):
            results = self._placed(iterators, number, examples, factor, timed)
        # Fetched with the step: a later fetch is a round trip to a server per tensor.
        with tf.device(self._local):
            return tf.nest.map_structure(tf.identity, results)

    def _placed(
        self,
        iterators: Sequence[Sequence[Iterator[Batch]]],
        number: tf.Tensor,
        examples: tf.Tensor,
        factor: tf.Tensor,
        timed: bool,
    ) -> _Outputs:
        parts = [
            each.contribute(iterators_of_task, number, timed)
            for each, iterators_of_task in zip(self.sets, iterators)
        ]
        finite = tf.reduce_all([part.finite for part in parts])
        # Read after all gradients have arrived: the step may have taken long until then.
        with tf.device(self._current.device), tf.control_dependencies([finite]):
            current = tf.equal(self._current.read_value(), self.generation)
        rate = self._rate(number, examples, factor)
        self._apply(self._summed(parts), finite & current, rate)
        for each, part in zip(self.sets, parts):
            each.settle(part, finite & current)
        with tf.device(self._accepted_steps.device):
            self._accepted_steps.assign_add(tf.cast(current, tf.int64))
        return (
            current,
            finite,
            [self._with_rate(part.logs, rate) for part in parts],
            [part.replaced_shards for part in parts],
            [part.times for part in parts],
        )

    def _summed(self, contributions: Sequence[Contribution]) -> list[tf.Tensor | None]:
        """Sums the gradients of each variable on its device; None if no task has any."""
        parts: dict[tf.Variable, list[tf.Tensor]] = {
            variable.ref(): [] for variable in self._variables
        }
        for each, contribution in zip(self.sets, contributions):
            for variable, gradient in zip(
                each.workload.master.variables, contribution.gradients
            ):
                if gradient is not None:
                    parts[variable.ref()].append(gradient)
        return [
            _sum_at(variable.device, parts[variable.ref()])
            for variable in self._variables
        ]

    def _rate(
        self, number: tf.Tensor, examples: tf.Tensor, factor: tf.Tensor
    ) -> tf.Tensor:
        """Returns the learning rate, float32; all tasks of a step have the same."""
        with tf.device(self._current.device):
            rate = tf.cast(self.sets[0].workload.rate(examples[0]), tf.float32)
            rate *= self._optimizer.config.warmup(number)
            return rate * factor if self._rate_factor else rate

    def _with_rate(
        self, logs: dict[str, tf.Tensor], rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Adds the learning rate to a task's scalars if it changes during training."""
        warms_up = self._optimizer.config.warmup_steps > 0
        changes = warms_up or self.sets[0].workload.has_schedule
        return {**logs, "learning_rate": rate} if changes else logs

    def _apply(
        self,
        gradients: Sequence[tf.Tensor | None],
        applied: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        """Applies RMSProp on each server if `applied` is true."""
        for device, indices in _indices_by_device(self._variables).items():

            def apply(indices: list[int] = indices) -> None:
                self._optimizer.apply(self._variables, gradients, rate, indices)

            with tf.device(device):
                tf.cond(applied, apply, lambda: None)


def all_variables(workloads: Sequence[Workload]) -> list[tf.Variable]:
    """Returns the master variables that the workloads train, each of them once."""
    by_reference = {
        variable.ref(): variable
        for workload in workloads
        for variable in workload.master.variables
    }
    return list(by_reference.values())


def _sum_at(device: str, parts: Sequence[tf.Tensor]) -> tf.Tensor | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    with tf.device(device):
        return tf.add_n(parts)


def _indices_by_device(variables: Sequence[tf.Variable]) -> dict[str, list[int]]:
    indices = collections.defaultdict(list)
    for index, variable in enumerate(variables):
        indices[variable.device].append(index)
    return dict(indices)
