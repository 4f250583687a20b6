"""The three ways to aggregate the workers' gradients of paper section 4."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from selfsup.common.errors import UserError
from selfsup.hybrid.group import Group
from selfsup.hybrid.joint_group import JointGroup
from selfsup.hybrid.rmsprop import RMSProp, RMSPropConfig
from selfsup.hybrid.step_counts import TaskProgress
from selfsup.hybrid.stepper import Stepper
from selfsup.hybrid.worker_groups import WorkerGroups
from selfsup.hybrid.workload import Workload


@dataclasses.dataclass(frozen=True)
class Aggregation:
    """What an engine runs.

    Attributes:
      groups: the progress of each task, by name.
      steppers: the objects that take the steps. They do not wait for each other.
      optimizers: `RMSProp` by name, for checkpoints.
    """

    groups: Mapping[str, TaskProgress]
    steppers: Sequence[Stepper]
    optimizers: dict[str, RMSProp]


def hybrid(
    workloads: Sequence[Workload],
    rmsprop_config: RMSPropConfig | None,
    devices: Mapping[str, Sequence[str]],
) -> Aggregation:
    """Synchronous inside a task, asynchronous across tasks: the method of the paper.

    Args:
      workloads: the `Workload` of each task.
      rmsprop_config: constants of RMSProp; the default configuration if None.
      devices: names of the replicas' devices by task; none where tasks take turns.
    """
    groups = {
        workload.name: Group(workload, rmsprop_config, devices[workload.name])
        for workload in workloads
    }
    optimizers = {name: group.optimizer for name, group in groups.items()}
    return Aggregation(groups, list(groups.values()), optimizers)


def synchronous(
    workloads: Sequence[Workload],
    rmsprop_config: RMSPropConfig | None,
    devices: Mapping[str, Sequence[str]],
) -> Aggregation:
    """The replicas of all tasks in one step, see `JointGroup`.

    Args:
      workloads: the `Workload` of each task; all have the same learning rate.
      rmsprop_config: constants of RMSProp; the default configuration if None.
      devices: names of the replicas' devices by task, at least one each.

    Raises:
      UserError: if a task has no device.
      ValueError: if learning rates differ.
    """
    _check_devices("sync", devices)
    joint = JointGroup(workloads, rmsprop_config, devices)
    return Aggregation(joint.members, [joint], {"all": joint.optimizer})


def asynchronous(
    workloads: Sequence[Workload],
    rmsprop_config: RMSPropConfig | None,
    devices: Mapping[str, Sequence[str]],
) -> Aggregation:
    """Each worker by itself, see `WorkerGroups`.

    Args:
      workloads: the `Workload` of each task.
      rmsprop_config: constants of RMSProp; the default configuration if None.
      devices: names of the workers' devices by task, at least one each.

    Raises:
      UserError: if a task has no device.
    """
    _check_devices("async", devices)
    groups = {
        workload.name: WorkerGroups(workload, rmsprop_config, devices[workload.name])
        for workload in workloads
    }
    workers = [worker for group in groups.values() for worker in group.workers]
    optimizers = {name: group.optimizer for name, group in groups.items()}
    return Aggregation(groups, workers, optimizers)


# The names are those of `assignment.AGGREGATIONS`.
MODES = {"hybrid": hybrid, "sync": synchronous, "async": asynchronous}


def _check_devices(mode: str, devices: Mapping[str, Sequence[str]]) -> None:
    missing = [task for task, names in devices.items() if not names]
    if missing:
        raise UserError(
            f"aggregation {mode!r}: each task needs at least one device; tasks without "
            f"a device: {', '.join(missing)}"
        )
