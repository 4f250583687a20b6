"""The devices of this machine or of a cluster, and which task gets which."""

from __future__ import annotations

from selfsup.common.errors import UserError
from selfsup.hybrid import assignment
from selfsup.pretraining.configuration import RunConfig


def local_assignment(config, groups, logical_cpus):
    """The `Assignment` of a run on this machine.

    Args:
      config: a `RunConfig`.
      groups: strings "TASK:NUMBER"; empty to share the devices out.
      logical_cpus: TensorFlow devices to make of the CPU, to try groups on; 0 to train on
        the GPUs, or on the CPU where there are none.

    Raises:
      UserError: when the request cannot be met.
    """
    devices = _cpus(logical_cpus) if logical_cpus else _gpus() or ("/CPU:0",)
    # GPUs hold the master variables of a machine that has several: they update faster.
    servers = devices if "GPU" in devices[0] else ("/CPU:0",)
    return _assign(config, devices, servers, assignment.parse_request(groups))


def cluster_assignment(config, groups, cluster):
    """The `Assignment` of a run on a cluster that this process, its chief, has joined.

    Each worker is a device: its first GPU, or its CPU where it has none.

    Args:
      config, groups: as of `local_assignment`.
      cluster: a `hybrid.cluster.Cluster`.
    """
    import tensorflow as tf

    from selfsup.hybrid.cluster.tf_config import SERVER, WORKER

    present = {device.name for device in tf.config.list_logical_devices()}
    workers = zip(cluster.devices(WORKER, "GPU"), cluster.devices(WORKER, "CPU"))
    devices = tuple(gpu if gpu in present else cpu for gpu, cpu in workers)
    request = assignment.parse_request(groups)
    if not request and len(devices) == 1 == len(config.tasks):
        request = dict.fromkeys(config.tasks, 1)
    made = _assign(config, devices, cluster.devices(SERVER), request)
    if made.takes_turns:
        raise UserError(
            f"the cluster has 1 worker for {len(config.tasks)} tasks; each task needs at "
            "least one"
        )
    return made


def _assign(config, devices, servers, request):
    return assignment.assign(
        config.tasks, devices, servers, request, config.aggregation
    )


def describe(where: assignment.Assignment, config: RunConfig) -> str:
    """Lines on an `Assignment` and the examples of a step, for the user."""
    lines = ["the tasks take turns on one device"] if where.takes_turns else []
    for task, devices in where.groups.items():
        size = config.tasks[task].batch_size
        place = f" on {', '.join(devices)}" if devices else ""
        text = f"{size} examples a step"
        if len(devices) > 1 and config.aggregation != "async":
            total = len(devices) * size
            text = f"{len(devices)} replicas x {size} = {total} examples a step"
        lines.append(f"{task}{place}: {text}")
    return "\n".join(lines)


def _gpus():
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        # Two groups may share one, and other programs too.
        tf.config.experimental.set_memory_growth(gpu, True)
    return tuple(f"/GPU:{i}" for i in range(len(tf.config.list_logical_devices("GPU"))))


def _cpus(count):
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        raise UserError(f"--logical_cpus={count}: {error}") from error
    return tuple(f"/CPU:{index}" for index in range(count))
