"""A replica group: trains one task, synchronously inside (paper section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from selfsup.hybrid.rmsprop import RMSProp, RMSPropConfig
from selfsup.hybrid.step_counts import StepCounts
from selfsup.hybrid.stepper import Stepper
from selfsup.hybrid.workload import Workload


class Group(Stepper, StepCounts):
    """One task with its own optimizer and counters, which outlive its replicas."""

    def __init__(
        self,
        workload: Workload,
        rmsprop_config: RMSPropConfig | None = None,
        devices: Sequence[str] = (),
        name: str | None = None,
        optimizer: RMSProp | None = None,
    ) -> None:
        """Makes the group.

        Args:
          workload: the task's `Workload`.
          rmsprop_config: constants of RMSProp; the default configuration if None.
          devices: names of the replicas' devices; none to train on the master variables
            themselves.
          name: name of the group if the task has several; the task's name if None.
          optimizer: the `RMSProp` that the group shares with other groups of the task;
            an optimizer of its own if None.
        """
        StepCounts.__init__(self, workload, self)
        Stepper.__init__(
            self,
            name or workload.name,
            [self],
            optimizer or RMSProp(workload.master.variables, rmsprop_config),
            {workload.name: devices},
        )

    def step(self) -> dict[str, float] | None:
        """Takes a step like `advance`; returns the logs of the task, or None."""
        result = self.advance()
        return None if result is None else result.logs[self.workload.name]
