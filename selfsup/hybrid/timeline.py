"""Where a step's time goes: pull, compute, push and wait of each replica.

The times come from the devices themselves, out of a second version of the group's
function that steps take only while they are recorded; the others cost nothing more.
Written as a Chrome trace, for chrome://tracing or https://ui.perfetto.dev.
"""

import dataclasses
import itertools
import json
import threading
import time

import tensorflow as tf

from selfsup.common import files
from selfsup.hybrid.placement import host_of

# Of each group: its input's buffers are full at first, and filling.
_LEFT_OUT = 5
_CLOCK_TRIALS = 9
# What a replica's step consists of, in order: it is told; its copy has all values; its
# batch is there; its gradients are; they are with the masters; so are the slowest
# replica's; the update is done and the chief knows. What overlaps counts as the former.
KINDS = ("start", "pull", "input", "compute", "push", "wait", "apply")
# The ends of the first five.
_MARKS = ("began", "pulled", "fetched", "computed", "arrived")


@dataclasses.dataclass(frozen=True)
class Span:
    """What a replica, or a group, was at.

    Attributes:
      task: name of the task.
      device: name of the replica's device; "" for the group's own.
      kind: of `KINDS`; or "step", of a group.
      step: number of the step.
      start: seconds since the epoch by the chief's clock.
      seconds: how long.
    """

    task: str
    device: str
    kind: str
    step: int
    start: float
    seconds: float


class Recorder:
    """Records some steps of each group, and keeps a file of them up to date.

    Attributes:
      spans: list of `Span`.
      clocks: dict of `Clock` by host.
    """

    def __init__(self, count, path=None):
        """
        Args:
          count: steps to record of each group.
          path: of the file to write; None for none.
        """
        self.spans = []
        self.clocks = {}
        self._count = count
        self._path = path
        self._seen = {}
        self._lock = threading.Lock()

    def wants(self, key):
        """Whether the step that begins now is to be timed.

        Args:
          key: (name, ...): what tells a group from others. It is asked once a step.
        """
        with self._lock:
            self._seen[key] = self._seen.get(key, 0) + 1
            # One more than is kept: the first traces the function.
            return 0 <= self._seen[key] - _LEFT_OUT <= self._count

    @property
    def is_done(self):
        """Whether every group that has asked has had its steps recorded."""
        return bool(self._seen) and all(
            seen - _LEFT_OUT >= self._count for seen in self._seen.values()
        )

    def add(self, key, number, began, ended, times):
        """Takes in the times of a step.

        Args:
          key: as of `wants`.
          number: the step's.
          began, ended: seconds since the epoch by the chief's clock.
          times: dict by (task, replica's device) of dicts: "began", "fetched" (the
            batch was there), "pulled", "computed", floats, seconds by the device's
            machine; and "arrived", dict by server, by the server's machine. Empty
            where there is but the master.
        """
        if self._seen[key] == _LEFT_OUT:
            return
        hosts = {host_of(device) for _, device in times}
        hosts.update(
            host_of(server) for one in times.values() for server in one["arrived"]
        )
        with self._lock:
            for host in hosts - set(self.clocks):
                self.clocks[host] = read_clock(host)
            self.spans.extend(self._spans(key[0], number, began, ended, times))
            if self._path is not None:
                files.write_atomically(self._path, json.dumps(self._chrome_trace()))

    def _spans(self, name, number, began, ended, times):
        yield Span(name, "", "step", number, began, ended - began)
        times = {
            replica: self._by_chiefs_clock(replica[1], one)
            for replica, one in times.items()
        }
        complete = max((one["arrived"] for one in times.values()), default=ended)
        for (task, device), one in times.items():
            marks = [one[mark] for mark in _MARKS]
            # Clocks agree only so far, and not all that is pulled is computed with.
            ends = itertools.accumulate([began, *marks, complete], max)
            ends = [*(min(end, ended) for end in ends), ended]
            for kind, start, end in zip(KINDS, ends, ends[1:]):
                yield Span(task, device, kind, number, start, end - start)

    def _by_chiefs_clock(self, device, times):
        ahead = self.clocks[host_of(device)].ahead
        arrived = [
            seconds - self.clocks[host_of(server)].ahead
            for server, seconds in times["arrived"].items()
        ]
        own = {
            key: seconds - ahead for key, seconds in times.items() if key != "arrived"
        }
        return {**own, "arrived": max(arrived)}

    def _chrome_trace(self):
        """The Trace Event format's JSON object."""
        tasks = list(dict.fromkeys(span.task for span in self.spans))
        rows = list(dict.fromkeys((span.task, span.device) for span in self.spans))
        events = [_named("process_name", tasks.index(one), 0, one) for one in tasks]
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
        clocks = {host: dataclasses.asdict(one) for host, one in self.clocks.items()}
        return {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"clocks": clocks},
        }


def _named(what, process, thread, name):
    return {
        "ph": "M",
        "name": what,
        "pid": process,
        "tid": thread,
        "args": {"name": name},
    }


@dataclasses.dataclass(frozen=True)
class Clock:
    """A machine's clock against this process's.

    Attributes:
      ahead: seconds.
      uncertainty: the most that `ahead` can be off by, seconds.
    """

    ahead: float
    uncertainty: float


def read_clock(host):
    """The `Clock` of a device's machine.

    The answer was read at some time between asking and having it: as Cristian's
    algorithm does, the middle is taken, of the quickest of a few answers.
    """
    found = []
    for _ in range(_CLOCK_TRIALS):
        asked = time.time()
        with tf.device(host):
            answer = float(tf.timestamp())
        had = time.time()
        found.append(Clock(answer - (asked + had) / 2, (had - asked) / 2))
    return min(found, key=lambda clock: clock.uncertainty)
