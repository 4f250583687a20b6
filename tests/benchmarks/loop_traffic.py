"""What a step moves and where its time goes, between server processes on loopback."""

import collections
import dataclasses
import re
import shutil
import statistics
import subprocess

import tensorflow as tf

from selfsup.hybrid import placement
from selfsup.hybrid.cluster.tf_config import SERVER, WORKER
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import NAMED
from selfsup.hybrid.timeline import KINDS, Recorder
from selfsup.hybrid.transfer import BFLOAT16, FLOAT32, TransferOptions
from tests.benchmarks import loop_workloads

_INTERFACE = "lo"
_WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Traffic:
    """One group's steps by one way of exchanging values.

    Attributes:
      options: what the way is called.
      floor: bytes a step that each replica has to pull and push, all together.
      moved: bytes a step that passed the loopback interface, whoever sent them.
      servers: bytes a step that the parameter servers sent and received; None where
        `ss` is not installed to tell.
      step: seconds a step, the median, without recording.
      spans: dict of mean seconds a step and replica by kind.
      clocks: the largest uncertainty of the recorded times, seconds.
    """

    options: str
    floor: int
    moved: float
    servers: float
    step: float
    spans: dict
    clocks: float


def measure(config, name, cluster, steps, trace=None):
    """A `Traffic` for each way of exchanging, on a cluster that this process leads.

    Args:
      config: a `RunConfig`.
      name: of the task.
      cluster: the `Cluster`, connected to; all of its workers are replicas.
      steps: to count and to record, each.
      trace: path for a Chrome trace of the first way; None for none.
    """
    ways = {
        "float32": TransferOptions(FLOAT32),
        "bfloat16": TransferOptions(BFLOAT16),
        "float32, summed in the host": TransferOptions(FLOAT32, _one_host),
        "bfloat16, summed in the host": TransferOptions(BFLOAT16, _one_host),
    }
    for options, wire in ways.items():
        recorder = Recorder(steps, trace)
        trace = None
        with placement.spread_over(cluster.devices(SERVER)):
            workload, _ = loop_workloads.make(
                config, name, copies=True, transfer=wire, recorder=recorder
            )
        group = Group(workload, NAMED[config.rmsprop], cluster.devices(WORKER))
        yield _measure(group, options, recorder, cluster, steps)


def _one_host(device):
    """All workers of a local cluster are on the same machine, in truth as well."""
    del device
    return "this machine"


def _measure(group, options, recorder, cluster, steps):
    while not recorder.is_done:
        group.step()
    for _ in range(_WARM_UP):
        group.step()
    servers = [cluster.address_of(device)[1] for device in cluster.devices(SERVER)]
    before = _interface_bytes(), _process_bytes(servers)
    seconds = []
    for _ in range(steps):
        start = tf.timestamp()
        group.step()
        seconds.append(float(tf.timestamp() - start))
    after = _interface_bytes(), _process_bytes(servers)
    moved, by_servers = (
        None if now is None else (now - then) / steps
        for then, now in zip(before, after)
    )
    return Traffic(
        options,
        floor(group.workload, len(group.devices)),
        moved,
        by_servers,
        statistics.median(seconds),
        _means(recorder.spans),
        max(clock.uncertainty for clock in recorder.clocks.values()),
    )


def floor(workload, replicas):
    """Bytes a step: each value once to each replica, each gradient once from it."""
    pulled = _bytes(workload.master.variables) + _bytes(workload.master.statistics)
    return 2 * pulled * replicas


def _bytes(variables):
    return sum(one.shape.num_elements() * one.dtype.size for one in variables)


def _means(spans):
    seconds = collections.defaultdict(list)
    for span in spans:
        seconds[span.kind].append(span.seconds)
    return {kind: statistics.mean(seconds[kind]) for kind in KINDS}


def _interface_bytes():
    """Bytes that the loopback interface has transmitted."""
    with open("/proc/net/dev", encoding="ascii") as file:
        (counts,) = re.findall(rf"^\s*{_INTERFACE}:(.*)$", file.read(), re.MULTILINE)
    return int(counts.split()[8])


def _process_bytes(ports):
    """Bytes sent and received by the processes that listen on `ports`, by `ss`."""
    if shutil.which("ss") is None:
        return None
    listening = _sockets("-l")
    owners = {
        owner
        for port in ports
        for text in listening
        if f":{port} " in text
        for owner in re.findall(r"pid=\d+", text)
    }
    total = 0
    for text in _sockets("-i"):
        if owners & set(re.findall(r"pid=\d+", text)):
            total += sum(map(int, re.findall(r"bytes_(?:sent|received):(\d+)", text)))
    return total


def _sockets(option):
    """One line of text for each TCP socket of this machine."""
    done = subprocess.run(
        ["ss", "-tnpHO", option], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def describe(name, traffic):
    """Lines for people."""
    servers = traffic.servers
    at_servers = "not known" if servers is None else f"{servers / 1e6:.2f} MB"
    yield (
        f"{name}, {traffic.options}: {traffic.moved / 1e6:.2f} MB a step "
        f"({traffic.moved / traffic.floor:.3f} of {traffic.floor / 1e6:.2f}), by the "
        f"parameter servers {at_servers}; {1e3 * traffic.step:.0f} ms a step"
    )
    spans = "  ".join(
        f"{kind} {1e3 * seconds:.1f}" for kind, seconds in traffic.spans.items()
    )
    yield f"  ms of a recorded step: {spans}; clocks within {1e3 * traffic.clocks:.2f}"
