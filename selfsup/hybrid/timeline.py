"""Measures where the time of a step goes: pull, compute, push and wait of each replica.

The devices themselves measure the times, in a second version of the group's function.
Only recorded steps call it, so other steps do not get slower. The result is a Chrome
trace, for chrome://tracing or https://ui.perfetto.dev.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TypedDict, Union

import tensorflow as tf

from selfsup.common import files
from selfsup.hybrid.placement import host_of

# First steps of a group that are not recorded: the buffers of the input are full at
# first, and the processor is busy with filling them.
_LEFT_OUT = 5
_CLOCK_TRIALS = 9
# The parts of a replica's step, in order. They end when the replica's machine has begun;
# its copy has all values; its batch has arrived; its gradients are computed; they have
# arrived at the master variables; those of the slowest replica have arrived; the update
# is applied and the chief has the results. Overlapping time counts for the earlier part.
KINDS = ("start", "pull", "input", "compute", "push", "wait", "apply")
# Identifies a group: its name and its devices.
Key = tuple[str, tuple[str, ...]]
# An event of the Trace Event Format.
_Event = dict[str, Union[str, float, dict[str, Union[str, int]]]]


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a step of a replica, or a whole step of a group.

    Attributes:
      task: name of the task, or of the group.
      device: name of the replica's device; "" for the group.
      kind: of `KINDS`, or "step" for the group.
      step: number of the step.
      start: seconds since the epoch by the chief's clock.
      seconds: duration.
    """

    task: str
    device: str
    kind: str
    step: int
    start: float
    seconds: float


class ReplicaTimes(TypedDict):
    """When the parts of a replica's step ended, in seconds since the epoch.

    Attributes:
      began: when the replica's machine began with the step, by its clock.
      fetched: when the batch had arrived, by the same clock.
      pulled: when the copy had all values, by the same clock.
      computed: when all gradients were computed, by the same clock.
      arrived: by parameter server, when the gradients had arrived, by the server's
        clock.
    """

    began: float
    fetched: float
    pulled: float
    computed: float
    arrived: dict[str, float]


class Recorder:
    """Records some steps of each group, and keeps a file of them up to date.

    Attributes:
      spans: the recorded `Span`s.
      clocks: the `Clock` of each host, by device name.
    """

    def __init__(self, count: int, path: str | None = None) -> None:
        """Makes a recorder without spans.

        Args:
          count: number of steps of each group to record.
          path: path of the file to write; None for none.
        """
        self.spans: list[Span] = []
        self.clocks: dict[str, Clock] = {}
        self._count = count
        self._path = path
        self._seen: dict[Key, int] = {}
        self._lock = threading.Lock()

    def wants(self, key: Key) -> bool:
        """Returns whether the step that begins now is to be timed.

        To be called once per step.

        Args:
          key: identifies the group: its name and its devices.
        """
        with self._lock:
            self._seen[key] = self._seen.get(key, 0) + 1
            # Times one step more than it keeps: the first traces the timed function.
            return 0 <= self._seen[key] - _LEFT_OUT <= self._count

    @property
    def is_done(self) -> bool:
        """Whether all steps to record have been recorded, of each group so far."""
        return bool(self._seen) and all(
            seen - _LEFT_OUT >= self._count for seen in self._seen.values()
        )

    def add(
        self,
        key: Key,
        number: int,
        began: float,
        ended: float,
        times: Mapping[tuple[str, str], ReplicaTimes],
    ) -> None:
        """Adds the spans of a step, and writes the file.

        Args:
          key: identifies the group, see `wants`.
          number: number of the step.
          began: when the step began, in seconds since the epoch by the chief's clock.
          ended: when the step ended.
          times: times by (task, replica's device); empty for a group that trains on the
            master variables themselves.
        """
        if self._seen[key] == _LEFT_OUT:
            return
        hosts = {host_of(device) for _, device in times}
        hosts.update(
            host_of(server) for each in times.values() for server in each["arrived"]
        )
        with self._lock:
            for host in hosts - set(self.clocks):
                self.clocks[host] = read_clock(host)
            self.spans.extend(self._spans(key[0], number, began, ended, times))
            if self._path is not None:
                files.write_atomically(self._path, json.dumps(self._chrome_trace()))

    def _spans(
        self,
        name: str,
        number: int,
        began: float,
        ended: float,
        times: Mapping[tuple[str, str], ReplicaTimes],
    ) -> Iterator[Span]:
        yield Span(name, "", "step", number, began, ended - began)
        marks = {
            (task, device): self._marks(device, each)
            for (task, device), each in times.items()
        }
        complete = max((arrived for *_, arrived in marks.values()), default=ended)
        for (task, device), ends_of_parts in marks.items():
            # The clocks do not agree exactly, and computing may begin with the first
            # values: no part ends before an earlier part.
            ends = list(itertools.accumulate([began, *ends_of_parts, complete], max))
            ends = [*(min(end, ended) for end in ends), ended]
            for kind, start, end in zip(KINDS, ends, ends[1:]):
                yield Span(task, device, kind, number, start, end - start)

    def _marks(self, device: str, times: ReplicaTimes) -> list[float]:
        """Returns when the first five parts ended, by the chief's clock."""
        ahead = self.clocks[host_of(device)].ahead
        own = [times["began"], times["pulled"], times["fetched"], times["computed"]]
        arrived = [
            seconds - self.clocks[host_of(server)].ahead
            for server, seconds in times["arrived"].items()
        ]
        return [*(seconds - ahead for seconds in own), max(arrived)]

    def _chrome_trace(
        self,
    ) -> dict[str, str | list[_Event] | dict[str, dict[str, dict[str, float]]]]:
        """Returns the JSON object of the Trace Event Format."""
        tasks = list(dict.fromkeys(span.task for span in self.spans))
        rows = list(dict.fromkeys((span.task, span.device) for span in self.spans))
        events = [_named("process_name", tasks.index(task), 0, task) for task in tasks]
        events += [
            _named("thread_name", tasks.index(task), row, device or "group")
            for row, (task, device) in enumerate(rows)
        ]
        events += [
            {
                "ph": "X",
                "name": span.kind,
                "pid": tasks.index(span.task),
                "tid": rows.index((span.task, span.device)),
                "ts": span.start * 1e6,
                "dur": span.seconds * 1e6,
                "args": {"step": span.step},
            }
            for span in self.spans
        ]
        return {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {
                "clocks": {
                    host: dataclasses.asdict(clock)
                    for host, clock in self.clocks.items()
                }
            },
        }


def _named(kind: str, process: int, thread: int, name: str) -> _Event:
    """Returns the event that names a process or thread."""
    return {
        "ph": "M",
        "name": kind,
        "pid": process,
        "tid": thread,
        "args": {"name": name},
    }


@dataclasses.dataclass(frozen=True)
class Clock:
    """A machine's clock compared with the clock of this process.

    Attributes:
      ahead: by how many seconds the machine's clock is ahead.
      uncertainty: maximum error of `ahead`, in seconds.
    """

    ahead: float
    uncertainty: float


def read_clock(host: str) -> Clock:
    """Compares the clock of a device's machine with that of this process.

    The machine reads its clock at some time between the question and the answer. Like
    Cristian's algorithm, this takes the middle, of the fastest of several answers.
    """
    clocks = []
    for _ in range(_CLOCK_TRIALS):
        asked = time.time()
        with tf.device(host):
            answer = float(tf.timestamp())
        received = time.time()
        clocks.append(Clock(answer - (asked + received) / 2, (received - asked) / 2))
    return min(clocks, key=lambda clock: clock.uncertainty)
