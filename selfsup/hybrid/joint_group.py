"""All tasks in one synchronous step: the sum of their gradients, applied once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfsup.hybrid.rmsprop import RMSProp, RMSPropConfig
from selfsup.hybrid.step import all_variables
from selfsup.hybrid.step_counts import StepCounts
from selfsup.hybrid.stepper import Stepper
from selfsup.hybrid.workload import Workload

NAME = "all tasks"


class JointGroup(Stepper):
    """Purely synchronous training (paper section 4): all replicas of all tasks wait.

    All gradients are taken at the same values. The gradient of a task is the mean over
    its replicas, and the gradients of the tasks are summed, as for the sum of their
    losses. A single RMSProp scales the sum, so a task with a larger loss has more
    influence on the trunk.

    Attributes:
      members: the `StepCounts` of each task, by name; all have taken the same steps.
    """

    def __init__(
        self,
        workloads: Sequence[Workload],
        rmsprop_config: RMSPropConfig | None,
        devices: Mapping[str, Sequence[str]],
    ) -> None:
        """Makes the group.

        Args:
          workloads: the `Workload` of each task; all have the same learning rate.
          rmsprop_config: constants of RMSProp; the default configuration if None.
          devices: names of the replicas' devices by task.

        Raises:
          ValueError: if learning rates differ.
        """
        rates = {workload.name: workload.learning_rate for workload in workloads}
        if any(rate != workloads[0].learning_rate for rate in rates.values()):
            raise ValueError(
                f"tasks that step together need one learning rate, but have {rates}"
            )
        self.members = {
            workload.name: StepCounts(workload, self) for workload in workloads
        }
        super().__init__(
            NAME,
            list(self.members.values()),
            RMSProp(all_variables(workloads), rmsprop_config),
            devices,
        )
