"""A replica group: it trains one task, synchronously inside (paper section 4)."""

from selfsup.hybrid.rmsprop import RMSProp
from selfsup.hybrid.step_counts import StepCounts
from selfsup.hybrid.stepper import Stepper


class Group(Stepper, StepCounts):
    """One task with its own optimizer and counters, which outlive its replicas."""

    def __init__(
        self, workload, rmsprop_config=None, devices=(), name=None, optimizer=None
    ):
        """
        Args:
          workload: a `Workload`.
          rmsprop_config: an `RMSPropConfig`.
          devices: device names of the replicas; none to train on the master itself.
          name: what to call it, where a task has several; the task's name otherwise.
          optimizer: the `RMSProp` that it shares with them; one of its own otherwise.
        """
        StepCounts.__init__(self, workload)
        optimizer = optimizer or RMSProp(workload.master.variables, rmsprop_config)
        devices = {workload.name: devices}
        Stepper.__init__(self, name or workload.name, [workload], optimizer, devices)

    def restore(self, counters):
        """Goes back to `counters`; the input follows."""
        super().restore(counters)
        self.restart(self.steps)

    def step(self):
        """Takes one step.

        Returns:
          dict of floats: the objective's scalars and "gradient_norm"; None when the
          step came too late, as its generation had passed.

        Raises:
          UserError: when gradients stay non-finite.
          tf.errors.OpError: when a device is lost.
        """
        results = self._take_step(self.steps, [self.examples])
        if results is None:
            return None
        (result,) = results
        self.count(result)
        return result.logs

    def advance(self):
        """As `step`, with the dict by task."""
        logs = self.step()
        return None if logs is None else {self.workload.name: logs}

    @property
    def replicas(self) -> int:
        return self._common_step.sets[0].replicas

    @property
    def examples_per_step(self) -> int:
        return self._common_step.sets[0].examples

    def last_updates(self):
        """What the last step that was applied subtracted from the master variables.

        RMSProp's momentum is just that, so nothing has to be kept or compared.

        Returns:
          list of pairs (variable, its momentum); of zeros before the first step.
        """
        return self.updates_of(self.workload.name)

    def _count_landed(self, steps):
        self.count_landed(steps)
