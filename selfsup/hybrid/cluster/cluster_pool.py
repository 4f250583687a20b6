"""The chief's side of a cluster: connects to the servers, and detects their failures."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Callable

import tensorflow as tf
from tensorflow.python.eager import context

from selfsup.common.errors import UserError
from selfsup.hybrid import executors
from selfsup.hybrid.cluster import loopback
from selfsup.hybrid.cluster.tf_config import (
    CHIEF,
    SERVER,
    WORKER,
    Cluster,
    reconnect_quickly,
    role_of,
    split_address,
)

_POLL_SECONDS = 0.1
# How often a parameter server may fail to answer before it counts as lost.
_PROBES = 3
# What steps, probes and new replicas raise when a worker was killed, cut off, or
# restarted without joining again. Determined by experiments, see docs/cluster.md.
_FAILURES = (tf.errors.UnavailableError, tf.errors.AbortedError)
_FAILURE_TEXTS = ("unknown device", "remote_handle", "invalid device", "remote worker")


def connect(
    cluster: Cluster,
    say: Callable[[str], None] = print,
    seconds: float = 600.0,
    listen: str = "loopback",
) -> None:
    """Connects this process, the chief, to all other processes of a cluster.

    To be called before anything else makes TensorFlow look up its devices.

    Args:
      cluster: the `Cluster`, in which this process is the chief.
      say: called with each line for the user.
      seconds: how long to wait for servers that do not listen yet.
      listen: "loopback" or "network": who can reach the chief's own port.

    Raises:
      UserError: if servers do not listen in time; names them.
    """
    loopback.check(cluster, listen)
    reconnect_quickly()
    executors.log_errors_of_deleted_executors()
    _wait_for_servers(cluster, say, seconds)
    tf.config.experimental_connect_to_cluster(
        tf.train.ClusterSpec(
            {job: list(addresses) for job, addresses in cluster.addresses.items()}
        ),
        job_name=CHIEF,
        task_index=0,
        protocol="grpc",
        make_master_device_default=False,
    )
    # Workers connect to the chief too. Initialising the context opens its port.
    context.ensure_initialized()
    if listen == "loopback":
        loopback.keep_to_loopback(split_address(cluster.address)[1])


def _wait_for_servers(
    cluster: Cluster, say: Callable[[str], None], seconds: float
) -> None:
    end = time.monotonic() + seconds
    for job in (SERVER, WORKER):
        devices = cluster.devices(job)
        for index, device in enumerate(devices):
            reported = False
            while not _listens(cluster, device):
                if time.monotonic() > end:
                    raise _not_listening(cluster, seconds)
                if not reported:
                    which = f"{job} {index + 1} of {len(devices)}"
                    say(f"waiting for {which} at {cluster.addresses[job][index]}")
                    reported = True
                time.sleep(_POLL_SECONDS)


def _not_listening(cluster: Cluster, seconds: float) -> UserError:
    devices = [*cluster.devices(SERVER), *cluster.devices(WORKER)]
    missing = [
        cluster.describe(device) for device in devices if not _listens(cluster, device)
    ]
    return UserError(
        f"no connection after {seconds:.0f} s to {', '.join(missing)}. Start each with "
        "python -m launch.server and its own TF_CONFIG"
    )


def _listens(cluster: Cluster, device: str) -> bool:
    """Returns whether a process listens at the address of a device."""
    try:
        socket.create_connection(cluster.address_of(device), timeout=1.0).close()
    except OSError:
        return False
    return True


class _Probe:
    """A small piece of work in a thread of its own, because it may hang forever.

    Attributes:
      answered: whether the work has been done without an error.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.answered = False
        self._over = threading.Event()
        self._work = work
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            with executors.isolated():
                self._work()
            self.answered = True
        except Exception:
            return  # Any error means that the device has not answered.
        finally:
            self._over.set()

    @property
    def hangs(self) -> bool:
        """Whether the work has neither been done nor failed."""
        return not self._over.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits for the work for at most `seconds`; returns `answered`."""
        self._over.wait(max(0.0, seconds))
        return self.answered


class ClusterPool:
    """The devices of a cluster, which may fail and come back; a `DevicePool`."""

    def __init__(
        self,
        cluster: Cluster,
        probe_seconds: float = 5.0,
        server_seconds: float = 60.0,
    ) -> None:
        """Puts a mark on each parameter server, and starts to watch the servers.

        Args:
          cluster: the `Cluster`, which this process has connected to.
          probe_seconds: a device counts as failed if it does not answer a small request
            in this time.
          server_seconds: if a parameter server has not answered for this time, the
            process ends, even while its main thread hangs; 0 for never.
        """
        self._cluster = cluster
        self._seconds = probe_seconds
        self._probes: dict[str, _Probe] = {}
        self._server_probes: dict[str, _Probe] = {}
        self._rejoining: _Probe | None = None
        self._lock = threading.Lock()
        self._marks = {device: _mark(device) for device in cluster.devices(SERVER)}
        if server_seconds:
            watch = threading.Thread(
                target=self._watch_servers, args=(server_seconds,), daemon=True
            )
            watch.start()

    def alive(self, devices: Sequence[str]) -> tuple[str, ...]:
        """Returns those of `devices` that answer, in the given order.

        Restarted workers join the cluster again first.
        """
        answering = self._answering(devices)
        if len(answering) < len(devices) and self._rejoin():
            answering = self._answering(devices)
        return answering

    def check_servers(self) -> None:
        """Checks that the parameter servers answer and still have their variables.

        Raises:
          UserError: if a parameter server is lost, or was restarted.
        """
        missing = tuple(self._marks)
        # The death of a worker can disturb the probe of a healthy server.
        for _ in range(_PROBES):
            alive = self._answering(missing)
            missing = tuple(device for device in missing if device not in alive)
            if not missing:
                return
        raise UserError(
            _server_lost([self._cluster.describe(device) for device in missing])
        )

    def is_device_failure(self, error: Exception) -> bool:
        """Returns whether an error that a step raised means that a device has failed."""
        if isinstance(error, _FAILURES):
            return True
        text = str(error)
        return isinstance(error, tf.errors.InvalidArgumentError) and any(
            part in text for part in _FAILURE_TEXTS
        )

    def _answering(self, devices: Sequence[str]) -> tuple[str, ...]:
        end = time.monotonic() + self._seconds
        probes = {device: self._probe(device) for device in devices}
        return tuple(
            device
            for device, probe in probes.items()
            if probe is not None and probe.wait(end - time.monotonic())
        )

    def _probe(self, device: str) -> _Probe | None:
        """Starts a probe of a device; returns None while an earlier probe hangs there."""
        with self._lock:
            earlier = self._probes.get(device)
            if earlier is not None and earlier.hangs:
                return None
            mark = self._marks.get(device)
            work = (lambda: _touch(device)) if mark is None else (lambda: _read(mark))
            self._probes[device] = _Probe(work)
            return self._probes[device]

    def _rejoin(self) -> bool:
        """Lets restarted workers join the cluster again; returns whether any could.

        Joining waits for every process, so none may hang.
        """
        # Joining would also take in a restarted server, which has lost its variables.
        self.check_servers()
        workers = self._cluster.devices(WORKER)
        answering = self._answering(workers)
        if any(self._probes[worker].hangs for worker in workers):
            return False
        if self._rejoining is not None and self._rejoining.hangs:
            return False
        absent = [worker for worker in workers if worker not in answering]
        down = [worker for worker in absent if not _listens(self._cluster, worker)]
        if len(down) == len(absent):
            return False
        self._rejoining = _Probe(lambda: _join_without(down))
        return self._rejoining.wait(self._seconds)

    def _watch_servers(self, seconds: float) -> None:
        """Ends the process if a server does not answer for `seconds`.

        The engine detects a lost server at the end or the time limit of a step. This
        thread is for a main thread that waits for the server elsewhere.
        """
        answered = dict.fromkeys(self._marks, time.monotonic())
        pause = min(5.0, seconds / 4)
        while True:
            before = time.monotonic()
            time.sleep(pause)
            late = time.monotonic() - before - pause
            for device, mark in self._marks.items():
                # Does not count time in which this process itself was stopped.
                answered[device] += max(0.0, late)
                if self._server_probe(device, mark).answered:
                    answered[device] = time.monotonic()
                elif time.monotonic() - answered[device] > seconds:
                    lost = [self._cluster.describe(device)]
                    print(f"error: {_server_lost(lost)}", file=sys.stderr, flush=True)
                    os._exit(1)

    def _server_probe(self, device: str, mark: tf.Variable) -> _Probe:
        """Returns the latest probe of a server by the watching thread."""
        probe = self._server_probes.get(device)
        if probe is None or not probe.hangs:
            probe = self._server_probes[device] = _Probe(lambda: _read(mark))
            probe.wait(self._seconds)
        return probe


def _server_lost(names: Sequence[str]) -> str:
    return (
        f"parameter server lost: {', '.join(names)}, and with it the variables. Run the "
        "same command again to resume from the last checkpoint"
    )


def _mark(device: str) -> tf.Variable:
    """Makes a variable by which a server is recognised: it is lost with a restart."""
    with tf.device(device):
        return tf.Variable(0, trainable=False)


def _read(mark: tf.Variable) -> None:
    mark.read_value().numpy()


def _touch(device: str) -> None:
    with tf.device(device):
        number = tf.constant(1)
        tf.add(number, number).numpy()


def _join_without(down: Sequence[str]) -> None:
    """Gives every running process the chief's view of the cluster again.

    There is no public way to take back a single restarted worker: connecting again
    would drop all variables. So this uses TensorFlow's internals. Joining waits for
    processes that are down, so these are left out until they run again.
    """
    known = context.get_server_def()
    definition = type(known)()
    definition.CopyFrom(_COMPLETE.setdefault("server_def", known))
    for device in down:
        job, index = role_of(device)
        for entry in definition.cluster.job:
            if entry.name == job:
                del entry.tasks[index]
    context.context().update_server_def(definition)


# The definition of the whole cluster, stored at the first call of `_join_without`: the
# context's own definition lacks the processes that were left out.
_COMPLETE: dict[str, tf.train.ServerDef] = {}
