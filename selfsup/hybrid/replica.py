"""How a replica takes part in its group's step: traced into the group's one function."""

import dataclasses
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one replica contributes to a step.

    Attributes:
      total: the scalar that was minimised.
      logs: dict of scalars.
      gradients: a tensor, or None, for each variable.
      statistics: by how much the forward pass moved each statistic (`LocalCopy`), or
        what they were before it (`Master`).
      stand_ins: int32 [batch_size], see `Replica`.
    """

    total: Any
    logs: dict
    gradients: list
    statistics: list
    stand_ins: Any


class Master:
    """The master variables themselves as the only replica: nothing is copied.

    Right where groups take turns, as no other group moves them during the step.
    """

    def __init__(self, workload):
        self.replica = workload.master
        self.device = None

    def contribute(self, examples, seed):
        """Runs forward and backward; returns an `Outcome`."""
        before = [tf.identity(variable) for variable in self.replica.statistics]
        return _gradients(self.replica, examples, seed, before)

    def settle(self, outcome, applied):
        """Puts the statistics back where the step is not applied.

        The forward pass has moved them by the time that this is known.
        """

        def put_back():
            for variable, value in zip(self.replica.statistics, outcome.statistics):
                variable.assign(value)

        tf.cond(applied, lambda: None, put_back)


class LocalCopy:
    """A whole copy of the network on a device of its own: pulled from the master."""

    def __init__(self, workload, device, index, count):
        with tf.device(device):
            self.replica = workload.copy(index, count)
        self.device = device
        self._master = workload.master
        self._weight = self.replica.batch_size / workload.batch_size
        _check_alike(workload, self.replica)

    def contribute(self, examples, seed):
        """Pulls the master's values, runs forward and backward; returns an `Outcome`."""
        with tf.device(self.device):
            self._pull()
            before = [tf.identity(variable) for variable in self.replica.statistics]
            outcome = _gradients(self.replica, examples, seed, before)
            moved = [
                variable.read_value() - value
                for variable, value in zip(self.replica.statistics, before)
            ]
        return dataclasses.replace(outcome, statistics=moved)

    def settle(self, outcome, applied):
        """Pushes what the forward pass did to the statistics, as a share of the mean."""
        for variable, moved in zip(self._master.statistics, outcome.statistics):
            with tf.device(variable.device):
                push = tf.where(applied, self._weight * moved, tf.zeros_like(moved))
                variable.assign_add(push)

    def _pull(self):
        ours = [*self.replica.variables, *self.replica.statistics]
        masters = [*self._master.variables, *self._master.statistics]
        for variable, master in zip(ours, masters):
            with tf.device(master.device):
                value = master.read_value()
            variable.assign(value)


def _gradients(replica, examples, seed, statistics):
    marked = tf.fill([replica.batch_size], -1)
    if replica.stand_ins is not None:
        marked = replica.stand_ins(examples)
    with tf.GradientTape() as tape:
        total, logs = replica.objective(examples, seed)
    gradients = tape.gradient(total, replica.variables)
    return Outcome(total, logs, gradients, statistics, marked)


def _check_alike(workload, replica):
    for ours, masters in (
        (replica.variables, workload.master.variables),
        (replica.statistics, workload.master.statistics),
    ):
        shapes = [variable.shape for variable in ours]
        if shapes != [variable.shape for variable in masters]:
            raise ValueError(
                f"{workload.name}: a copy's variables are not its master's"
            )
