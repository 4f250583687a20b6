"""All tasks in one synchronous step: the sum of their gradients, applied once."""

from __future__ import annotations

from selfsup.hybrid.replica_set import MasterSet, ReplicaSet
from selfsup.hybrid.rmsprop import RMSProp
from selfsup.hybrid.step import all_variables
from selfsup.hybrid.step_counts import StepCounts
from selfsup.hybrid.stepper import Stepper

NAME = "all tasks"


class JointGroup(Stepper):
    """Purely synchronous training (paper section 4): all replicas of all tasks wait.

    Every gradient is of the same values; a task's is the mean over its replicas, and
    the tasks' are added up, as for the sum of their losses. One RMSProp scales the sum,
    so the size of a task's loss decides its say in the trunk.

    Attributes:
      members: dict of the tasks' `StepCounts`, which agree on the steps.
    """

    def __init__(self, workloads, rmsprop_config, devices):
        """
        Args:
          workloads: the tasks' `Workload`s, all of one learning rate.
          rmsprop_config: an `RMSPropConfig`.
          devices: dict of device names of the replicas by task.

        Raises:
          ValueError: for learning rates that differ.
        """
        rates = {one.name: one.learning_rate for one in workloads}
        if any(rate != workloads[0].learning_rate for rate in rates.values()):
            raise ValueError(f"one step for all tasks has one learning rate: {rates}")
        self.members = {one.name: _Member(one, self) for one in workloads}
        optimizer = RMSProp(all_variables(workloads), rmsprop_config)
        super().__init__(NAME, workloads, optimizer, devices)

    def advance(self):
        """Takes one step.

        Returns:
          dict by task of its scalars and the norm of its own gradient, floats; None
          when the step came too late, as its generation had passed.

        Raises:
          UserError: when gradients stay non-finite.
          tf.errors.OpError: when a device is lost.
        """
        first, *_ = self.members.values()
        examples = [member.examples for member in self.members.values()]
        results = self._take_step(first.steps, examples)
        if results is None:
            return None
        for member, result in zip(self.members.values(), results):
            member.count(result)
        return {task: result.logs for task, result in zip(self.tasks, results)}

    def _count_landed(self, steps):
        for member in self.members.values():
            member.count_landed(steps)

    def replica_set_of(self, task: str) -> MasterSet | ReplicaSet:
        """The present replicas of one of the tasks."""
        return self._common_step.sets[self.tasks.index(task)]


class _Member(StepCounts):
    """One task's counters; restoring them takes the common input along."""

    def __init__(self, workload, group):
        super().__init__(workload)
        self._group = group

    @property
    def replicas(self) -> int:
        return self._group.replica_set_of(self.workload.name).replicas

    @property
    def examples_per_step(self) -> int:
        return self._group.replica_set_of(self.workload.name).examples

    def restore(self, counters):
        super().restore(counters)
        self._group.restart(self.steps)

    def last_updates(self):
        """As `Group.last_updates`: the update that all tasks' gradients made together."""
        return self._group.updates_of(self.workload.name)
