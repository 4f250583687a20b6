"""Assigns the devices of this machine, or of a cluster, to the tasks of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from selfsup.common import processor
from selfsup.common.errors import SettingError, UserError
from selfsup.hybrid import assignment
from selfsup.hybrid.assignment import Assignment
from selfsup.pretraining.configuration import RunConfig

if TYPE_CHECKING:
    from selfsup.hybrid.cluster.tf_config import Cluster


def local_assignment(
    config: RunConfig, groups: Iterable[str], logical_cpus: int
) -> Assignment:
    """Assigns the devices of this machine.

    Args:
      config: the configuration of the run.
      groups: texts "TASK:NUMBER", the devices of each task; empty to share the devices
        out evenly.
      logical_cpus: number of TensorFlow devices into which to split the CPU, to try
        groups; 0 to train on the GPUs, or on the CPU if there is no GPU.

    Raises:
      UserError: if the devices cannot be assigned as requested.
    """
    devices = _split_cpu(logical_cpus) if logical_cpus else _gpus() or ("/CPU:0",)
    # With GPUs the master variables are on the GPUs, which update them faster.
    servers = devices if "GPU" in devices[0] else ("/CPU:0",)
    return _assign(config, devices, servers, assignment.parse_request(groups))


def cluster_assignment(
    config: RunConfig, groups: Iterable[str], cluster: Cluster
) -> Assignment:
    """Assigns the devices of a cluster whose chief is this process.

    Each worker has one device: its first GPU, or its CPU if it has no GPU.

    Args:
      config: the configuration of the run.
      groups: see `local_assignment`.
      cluster: the cluster, to which this process is connected.

    Raises:
      UserError: if the devices cannot be assigned as requested.
    """
    import tensorflow as tf

    from selfsup.hybrid.cluster.tf_config import SERVER, WORKER

    present = {device.name for device in tf.config.list_logical_devices()}
    workers = zip(cluster.devices(WORKER, "GPU"), cluster.devices(WORKER, "CPU"))
    devices = tuple(gpu if gpu in present else cpu for gpu, cpu in workers)
    request = assignment.parse_request(groups)
    if not request and len(devices) == 1 == len(config.tasks):
        request = dict.fromkeys(config.tasks, 1)
    result = _assign(config, devices, cluster.devices(SERVER), request)
    if result.takes_turns:
        raise UserError(
            f"the cluster has 1 worker for {len(config.tasks)} tasks; each task needs at "
            "least one worker"
        )
    return result


def _assign(
    config: RunConfig,
    devices: Sequence[str],
    servers: Sequence[str],
    request: dict[str, int],
) -> Assignment:
    return assignment.assign(
        config.tasks, devices, servers, request, config.aggregation
    )


def _precision_notes(assigned: Assignment, config: RunConfig) -> list[str]:
    """What to say of the precision where the run computes on this processor."""
    import tensorflow as tf

    devices = [device for group in assigned.groups.values() for device in group]
    elsewhere = any("/job:worker" in device for device in devices)
    gpus = tf.config.list_physical_devices("GPU")
    if not config.trunk.mixed_precision or gpus or elsewhere:
        return []
    note = processor.bfloat16_note(processor.flags())
    return [note] if note else []


def describe(assigned: Assignment, config: RunConfig) -> str:
    """Describes for the user, in lines, the devices and the batch sizes of the tasks."""
    lines = ["the tasks take turns on one device"] if assigned.takes_turns else []
    lines += _precision_notes(assigned, config)
    for task, devices in assigned.groups.items():
        size = config.tasks[task].batch_size
        place = f" on {', '.join(devices)}" if devices else ""
        text = f"{size} examples per step"
        if len(devices) > 1 and config.aggregation != "async":
            total = len(devices) * size
            text = f"{len(devices)} replicas x {size} = {total} examples per step"
        lines.append(f"{task}{place}: {text}")
    return "\n".join(lines)


def _gpus() -> tuple[str, ...]:
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        # So that two groups, or other programs, can share a GPU.
        tf.config.experimental.set_memory_growth(gpu, True)
    count = len(tf.config.list_logical_devices("GPU"))
    return tuple(f"/GPU:{index}" for index in range(count))


def _split_cpu(count: int) -> tuple[str, ...]:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        raise SettingError(f"logical_cpus={count}", str(error)) from error
    return tuple(f"/CPU:{index}" for index in range(count))
