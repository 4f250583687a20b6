"""Tasks that step together, over replicas that come and go with their machines."""

import tensorflow as tf

from selfsup.hybrid.replica_set import replica_set
from selfsup.hybrid.step import CommonStep, all_variables


class Stepper:
    """Takes the common steps of some tasks, by one generation of replicas after another.

    `rebuild` makes new replicas, of a new generation. A step of a generation that has
    passed changes nothing, however late it arrives.

    Attributes:
      name: what to call it.
      tasks: names of the tasks.
      optimizer: the `RMSProp` that the steps apply.
    """

    def __init__(self, name, workloads, optimizer, devices):
        """
        Args:
          name: what to call it.
          workloads: the tasks' `Workload`s.
          optimizer: an `RMSProp` over `step.all_variables` of them.
          devices: dict of device names of the replicas by task; where there are none,
            the master itself is the replica.
        """
        self.name = name
        self.tasks = tuple(workload.name for workload in workloads)
        self.optimizer = optimizer
        self._workloads = workloads
        self._assigned = {task: tuple(devices[task]) for task in self.tasks}
        with tf.device(workloads[0].master.variables[0].device):
            self._generation = tf.Variable(0, trainable=False, dtype=tf.int64)
            self._landed = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._common_step = self._new_step(0, self._assigned)

    @property
    def generation(self):
        """Number of times that the replicas were rebuilt."""
        return self._common_step.generation

    @property
    def devices(self):
        """Device names of the replicas; empty when the masters are the only ones."""
        return self._common_step.devices

    def without(self, devices):
        """Tasks that could not step if `devices` were all there is."""
        present = set(devices)
        return [task for task, its in self._assigned.items() if not present & {*its}]

    def pass_generation(self):
        """Makes sure that no step that is under way will land from now on.

        A step that landed without being counted, as its answer was lost, is counted.
        """
        self._generation.assign_add(1)
        self._count_landed(int(self._landed.read_value()))

    def rebuild(self, devices):
        """Makes new replicas; to be called after `pass_generation`.

        Args:
          devices: those to use, of the ones given at first.
        """
        generation = int(self._generation.read_value())
        left = {
            task: tuple(device for device in its if device in devices)
            for task, its in self._assigned.items()
        }
        self._common_step = self._new_step(generation, left)

    def updates_of(self, task):
        """As `Group.last_updates`, for one of the tasks."""
        variables = all_variables(self._workloads)
        momenta = {
            variable.ref(): momentum
            for variable, momentum in zip(variables, self.optimizer.momenta)
        }
        (workload,) = [one for one in self._workloads if one.name == task]
        return [
            (variable, momenta[variable.ref()])
            for variable in workload.master.variables
        ]

    def _count_landed(self, steps):
        """Sets the counters to the number of steps that landed."""
        raise NotImplementedError

    def restart(self, steps):
        """Goes on as after so many steps, with the input from there."""
        self._landed.assign(steps)
        self._common_step.close_input()

    def _take_step(self, number, examples):
        """Takes step `number`, counted from 0.

        Args:
          number: int.
          examples: list of how many examples each task has taken before it.

        Returns:
          a `step.Result` for each task; None when the step came too late, as its
          generation had passed.

        Raises:
          tf.errors.OpError: when a device is lost.
        """
        common_step = self._common_step
        results = common_step.take(number, examples)
        return results if common_step is self._common_step else None

    def _new_step(self, generation, devices):
        sets = [replica_set(one, devices[one.name]) for one in self._workloads]
        return CommonStep(
            sets, self.optimizer, generation, self._generation, self._landed
        )
