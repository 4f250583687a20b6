"""How the workers' gradients are aggregated: the three ways of paper section 4."""

import dataclasses

from selfsup.common.errors import UserError
from selfsup.hybrid.group import Group
from selfsup.hybrid.joint_group import JointGroup
from selfsup.hybrid.worker_groups import WorkerGroups


@dataclasses.dataclass(frozen=True)
class Aggregation:
    """What an engine runs.

    Attributes:
      groups: by task, what counts its steps: a `Group`, `StepCounts`, or `WorkerGroups`.
      steppers: what steps without waiting for the others; each in a thread of its own.
      optimizers: dict of `RMSProp` by name, for checkpoints.
    """

    groups: dict
    steppers: list
    optimizers: dict


def hybrid(workloads, rmsprop_config, devices):
    """Synchronous inside a task, asynchronous across tasks: the paper's.

    Args:
      workloads: the tasks' `Workload`s.
      rmsprop_config: an `RMSPropConfig`.
      devices: dict of device names of the replicas by task; none where tasks take turns.

    Returns:
      an `Aggregation`.
    """
    groups = {
        one.name: Group(one, rmsprop_config, devices[one.name]) for one in workloads
    }
    optimizers = {name: group.optimizer for name, group in groups.items()}
    return Aggregation(groups, list(groups.values()), optimizers)


def synchronous(workloads, rmsprop_config, devices):
    """All tasks' replicas in one step, see `JointGroup`; arguments as of `hybrid`."""
    _check_devices("sync", devices)
    joint = JointGroup(workloads, rmsprop_config, devices)
    return Aggregation(joint.members, [joint], {"all": joint.optimizer})


def asynchronous(workloads, rmsprop_config, devices):
    """Each worker by itself, see `WorkerGroups`; arguments as of `hybrid`."""
    _check_devices("async", devices)
    groups = {
        one.name: WorkerGroups(one, rmsprop_config, devices[one.name])
        for one in workloads
    }
    workers = [worker for group in groups.values() for worker in group.workers]
    optimizers = {name: group.optimizer for name, group in groups.items()}
    return Aggregation(groups, workers, optimizers)


# The names are those of `assignment.AGGREGATIONS`.
MODES = {"hybrid": hybrid, "sync": synchronous, "async": asynchronous}


def _check_devices(mode, devices):
    without = [task for task, names in devices.items() if not names]
    if without:
        raise UserError(
            f"--aggregation={mode}: {', '.join(without)} has no device of its own to "
            "step on"
        )
