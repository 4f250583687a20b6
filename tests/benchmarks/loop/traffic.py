"""Measures what a step moves between server processes, and where its time goes."""

from __future__ import annotations

import collections
import dataclasses
import re
import shutil
import statistics
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.hybrid import placement
from selfsup.hybrid.cluster.tf_config import SERVER, WORKER
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import NAMED
from selfsup.hybrid.timeline import KINDS, Recorder, Span
from selfsup.hybrid.transfer import BFLOAT16, FLOAT32, TransferOptions
from tests.benchmarks.loop import workloads

if TYPE_CHECKING:
    from selfsup.hybrid.cluster.tf_config import Cluster
    from selfsup.hybrid.workload import Workload
    from selfsup.pretraining.configuration import RunConfig

_INTERFACE = "lo"
_WARM_UP = 3
COLUMNS = (
    "task",
    "transfer",
    "moved",
    "of the least",
    "least",
    "by the servers",
    "step",
    *KINDS,
    "clocks within",
)


@dataclasses.dataclass(frozen=True)
class Traffic:
    """The steps of one group with some transfer options.

    Attributes:
      options: name of the transfer options.
      least: bytes per step that the replicas together must pull and push.
      moved: bytes per step that passed the loopback interface, of all programs.
      servers: bytes per step that the parameter servers sent and received; None if the
        program `ss` is not installed.
      step: median seconds of a step that is not recorded.
      spans: mean seconds per step and replica of each part, in recorded steps.
      clocks: the largest uncertainty of the recorded times, in seconds.
    """

    options: str
    least: int
    moved: float
    servers: float | None
    step: float
    spans: dict[str, float]
    clocks: float


def measure(
    config: RunConfig,
    name: str,
    cluster: Cluster,
    steps: int,
    trace: str | None = None,
) -> Iterator[Traffic]:
    """Measures a task with each kind of transfer, on a cluster that this process leads.

    Args:
      config: configuration of the run.
      name: name of the task.
      cluster: the cluster, connected; all of its workers become replicas.
      steps: number of steps to count, and of steps to record.
      trace: path for a Chrome trace of the first measurement, or None.
    """
    choices = {
        "float32": TransferOptions(FLOAT32),
        "bfloat16": TransferOptions(BFLOAT16),
        "float32, summed in the host": TransferOptions(FLOAT32, _same_host),
        "bfloat16, summed in the host": TransferOptions(BFLOAT16, _same_host),
    }
    for options, transfer in choices.items():
        recorder = Recorder(steps, trace)
        trace = None
        with placement.spread_over(cluster.devices(SERVER)):
            workload, _ = workloads.make(
                config, name, replicated=True, transfer=transfer, recorder=recorder
            )
        group = Group(workload, NAMED[config.rmsprop], cluster.devices(WORKER))
        yield _measure(group, options, recorder, cluster, steps)


def _same_host(device: str) -> str:
    """All workers of a local cluster are on the same machine."""
    del device
    return "this machine"


def _measure(
    group: Group, options: str, recorder: Recorder, cluster: Cluster, steps: int
) -> Traffic:
    while not recorder.is_done:
        group.step()
    for _ in range(_WARM_UP):
        group.step()
    servers = [cluster.address_of(device)[1] for device in cluster.devices(SERVER)]
    moved_before, servers_before = _interface_bytes(), _process_bytes(servers)
    seconds = []
    for _ in range(steps):
        start = tf.timestamp()
        group.step()
        seconds.append(float(tf.timestamp() - start))
    moved, servers_after = _interface_bytes() - moved_before, _process_bytes(servers)
    by_servers = None
    if servers_before is not None and servers_after is not None:
        by_servers = (servers_after - servers_before) / steps
    return Traffic(
        options,
        least_bytes(group.workload, len(group.devices)),
        moved / steps,
        by_servers,
        statistics.median(seconds),
        _means(recorder.spans),
        max(clock.uncertainty for clock in recorder.clocks.values()),
    )


def least_bytes(workload: Workload, replicas: int) -> int:
    """Bytes per step if each replica pulls each value and pushes each gradient once."""
    master = workload.master
    return 2 * replicas * (_bytes(master.variables) + _bytes(master.statistics))


def _bytes(variables: Iterable[tf.Variable]) -> int:
    return sum(value.shape.num_elements() * value.dtype.size for value in variables)


def _means(spans: Iterable[Span]) -> dict[str, float]:
    """Mean seconds of the spans of each kind."""
    seconds = collections.defaultdict(list)
    for span in spans:
        seconds[span.kind].append(span.seconds)
    return {kind: statistics.mean(seconds[kind]) for kind in KINDS}


def _interface_bytes() -> int:
    """Bytes that the loopback interface has transmitted."""
    with open("/proc/net/dev", encoding="ascii") as file:
        (counts,) = re.findall(rf"^\s*{_INTERFACE}:(.*)$", file.read(), re.MULTILINE)
    return int(counts.split()[8])


def _process_bytes(ports: Sequence[int]) -> int | None:
    """Bytes that the processes listening on `ports` sent and received, by `ss`."""
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


def _sockets(option: str) -> list[str]:
    """A line of text for each TCP socket of this machine."""
    done = subprocess.run(
        ["ss", "-tnpHO", option], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def cells(traffic: Traffic) -> list[str]:
    """The cells of a table row, for `COLUMNS` after the task: in MB and ms."""
    servers = traffic.servers
    return [
        traffic.options,
        f"{traffic.moved / 1e6:.2f}",
        f"{traffic.moved / traffic.least:.3f}",
        f"{traffic.least / 1e6:.2f}",
        "not known" if servers is None else f"{servers / 1e6:.2f}",
        f"{1e3 * traffic.step:.0f}",
        *(f"{1e3 * seconds:.1f}" for seconds in traffic.spans.values()),
        f"{1e3 * traffic.clocks:.2f}",
    ]
