"""How long a group takes to its first step, by its number of replicas."""

import dataclasses
import time

import tensorflow as tf

from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import NAMED
from tests.benchmarks import loop_workloads


@dataclasses.dataclass(frozen=True)
class Beginning:
    """Seconds of processor time that a group's beginning takes, all threads together.

    Attributes:
      replicas: the group's.
      replicate: until the replicas have their variables.
      first: the first step, which traces and optimises the function.
      later: a later step.
      elapsed: the first two on the clock.
    """

    replicas: int
    replicate: float
    first: float
    later: float
    elapsed: float


def measure(config, name, replicas):
    """The `Beginning` of a new group with so many replicas, on logical CPU devices."""
    with tf.device("/CPU:0"):
        workload, _ = loop_workloads.make(config, name, copies=True)
    started, marks = time.perf_counter(), [time.process_time()]
    devices = [f"/CPU:{index + 1}" for index in range(replicas)]
    group = Group(workload, NAMED[config.rmsprop], devices)
    marks.append(time.process_time())
    group.step()
    marks.append(time.process_time())
    elapsed = time.perf_counter() - started
    group.step()
    marks.append(time.process_time())
    seconds = [end - start for start, end in zip(marks, marks[1:])]
    return Beginning(replicas, *seconds, elapsed)


def make_devices(count):
    """Logical CPU devices: one for the master variables, and `count` others."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * (count + 1)
    tf.config.set_logical_device_configuration(cpu, parts)
