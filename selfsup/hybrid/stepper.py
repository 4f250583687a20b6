"""Takes the synchronous steps of one or several tasks, on replaceable replicas."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import tensorflow as tf

from selfsup.hybrid.device_replicas import DeviceReplicas
from selfsup.hybrid.master_replica import MasterReplica
from selfsup.hybrid.replica_set import ReplicaSet
from selfsup.hybrid.rmsprop import RMSProp
from selfsup.hybrid.step import StepResult, SynchronousStep, all_variables
from selfsup.hybrid.step_counts import StepCounts, Updates
from selfsup.hybrid.workload import Workload


class Stepper:
    """Takes the common steps of its tasks, with one generation of replicas at a time.

    `rebuild` makes new replicas after a device failure: a new generation. A step of an
    earlier generation changes nothing, however late it arrives.

    Attributes:
      name: name of the stepper.
      tasks: names of the tasks.
      optimizer: the `RMSProp` that applies the steps.
    """

    def __init__(
        self,
        name: str,
        counts: Sequence[StepCounts],
        optimizer: RMSProp,
        devices: Mapping[str, Sequence[str]],
    ) -> None:
        """Makes the replicas of generation 0.

        Args:
          name: name of the stepper.
          counts: the counters of each task, which all have taken the same steps.
          optimizer: an `RMSProp` over `step.all_variables` of the tasks' workloads.
          devices: names of the replicas' devices by task. A task without devices trains
            on the master variables themselves.
        """
        self.name = name
        self.tasks = tuple(each.workload.name for each in counts)
        self.optimizer = optimizer
        self._counts = counts
        self._assigned = {task: tuple(devices[task]) for task in self.tasks}
        with tf.device(self._workloads[0].master.variables[0].device):
            self._generation = tf.Variable(0, trainable=False, dtype=tf.int64)
            self._accepted_steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._step = self._new_step(0, self._assigned)

    @property
    def _workloads(self) -> list[Workload]:
        return [each.workload for each in self._counts]

    @property
    def generation(self) -> int:
        """Number of times that the replicas were rebuilt."""
        return self._step.generation

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the replicas' devices; empty for the master variables themselves."""
        return self._step.devices

    def replica_set(self, task: str) -> ReplicaSet:
        """Returns the current replicas of a task."""
        return self._step.sets[self.tasks.index(task)]

    def advance(self) -> StepResult | None:
        """Takes and counts a step.

        Returns:
          the result; None if a new generation has begun meanwhile, in which case the
          step changed nothing.

        Raises:
          UserError: if gradients stay non-finite, see `StepCounts.count`.
          tf.errors.OpError: if a device fails.
        """
        step = self._step
        result = step.take(
            self._counts[0].steps, [each.examples for each in self._counts]
        )
        if result is None or step is not self._step:
            return None
        for each in self._counts:
            each.count(result)
        return result

    def tasks_without(self, devices: Collection[str]) -> list[str]:
        """Returns the tasks that have none of `devices`, and so could not step on them."""
        return [
            task
            for task, assigned in self._assigned.items()
            if not set(assigned) & set(devices)
        ]

    def end_generation(self) -> None:
        """Makes sure that no step under way will change anything from now on.

        Counts the steps that were applied although their results were never received.
        """
        self._generation.assign_add(1)
        accepted_steps = int(self._accepted_steps.read_value())
        for each in self._counts:
            each.count_unreported(accepted_steps)

    def rebuild(self, devices: Collection[str]) -> None:
        """Makes new replicas; to be called after `end_generation`.

        Args:
          devices: names of the devices to use, among those given to the constructor.
        """
        generation = int(self._generation.read_value())
        remaining = {
            task: tuple(device for device in assigned if device in devices)
            for task, assigned in self._assigned.items()
        }
        self._step = self._new_step(generation, remaining)

    def restart(self, steps: int) -> None:
        """Continues as after `steps` steps, with the input from that position on."""
        self._accepted_steps.assign(steps)
        self._step.close_input()

    def task_updates(self, task: str) -> Updates:
        """Returns the last update of a task's variables, see `TaskProgress`."""
        momenta = {
            variable.ref(): momentum
            for variable, momentum in zip(
                all_variables(self._workloads), self.optimizer.momenta
            )
        }
        workload = self._workloads[self.tasks.index(task)]
        return [
            (variable, momenta[variable.ref()])
            for variable in workload.master.variables
        ]

    def _new_step(
        self, generation: int, devices: Mapping[str, Sequence[str]]
    ) -> SynchronousStep:
        sets = [
            _replica_set(workload, devices[workload.name])
            for workload in self._workloads
        ]
        return SynchronousStep(
            sets, self.optimizer, generation, self._generation, self._accepted_steps
        )


def _replica_set(workload: Workload, devices: Sequence[str]) -> ReplicaSet:
    return DeviceReplicas(workload, devices) if devices else MasterReplica(workload)
