"""Starts, watches and ends the processes of a cluster that run on this machine."""

from __future__ import annotations

import glob
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence

from selfsup.hybrid.cluster import tf_config
from selfsup.hybrid.cluster.processes import Process
from selfsup.hybrid.cluster.tf_config import Addresses, Role

_POLL_SECONDS = 0.1
# Longest pause before a worker is restarted.
_MAX_PAUSE = 30.0
# Seconds between two checks of the chief's port.
_CHECK_SECONDS = 1.0
# How long the port of a chief must be closed before the chief counts as ended.
_ENDED_SECONDS = 10.0


class MachineProcesses:
    """The servers of a cluster on this machine, and the chief if it runs here.

    Each worker gets one of the machine's GPUs while there are enough; other workers, the
    parameter servers and the chief get none.
    """

    def __init__(
        self,
        addresses: Addresses,
        roles: Sequence[Role],
        server_command: Sequence[str] | None = None,
    ) -> None:
        """Prepares the processes; `run` starts them.

        Args:
          addresses: "host:port" of all processes of the cluster, by job.
          roles: (job, index) of each process that runs on this machine.
          server_command: the command of a server; `launch.server` if None.
        """
        self._addresses = addresses
        self._roles = roles
        self._server_command = server_command or [sys.executable, "-m", "launch.server"]
        workers = [role for role in roles if role[0] == tf_config.WORKER]
        self._gpus = dict(zip(workers, _gpus()))
        self._running: dict[Role, Process] = {}
        self._deaths: dict[Role, int] = {}
        self._restart_at: dict[Role, float] = {}

    def run(self, chief_command: Sequence[str], restart_workers: bool = True) -> int:
        """Runs the processes until the chief has ended.

        SIGINT and SIGTERM ask the chief to end. The servers run on until it has ended,
        also on another machine, because it needs them for its last checkpoint.

        Args:
          chief_command: the command of the chief.
          restart_workers: whether a worker that dies is started again.

        Returns:
          the exit status of the chief; 0 if it runs on another machine.
        """
        received: list[int] = []
        previous = {
            number: signal.signal(number, lambda signum, _: received.append(signum))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        chief, remote = None, _RemoteChief(self._addresses[tf_config.CHIEF][0])
        try:
            for job, index in self._roles:
                if job == tf_config.CHIEF:
                    chief = self._process(job, index, chief_command)
                else:
                    self._start(job, index)
            while not (chief or remote).has_ended():
                if chief is not None and received:
                    received.clear()
                    chief.send(signal.SIGTERM)
                elif received and not remote.serves:
                    break
                self._watch(restart_workers)
                time.sleep(_POLL_SECONDS)
            return 0 if chief is None else _finish(chief)
        finally:
            _end_all([*([chief] if chief else []), *self._running.values()])
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start(self, job: str, index: int) -> None:
        self._running[job, index] = self._process(job, index, self._server_command)

    def _process(self, job: str, index: int, command: Sequence[str]) -> Process:
        environment = {
            **os.environ,
            tf_config.VARIABLE: tf_config.to_json(self._addresses, job, index),
            "CUDA_VISIBLE_DEVICES": self._gpus.get((job, index), "-1"),
            "PYTHONUNBUFFERED": "1",
        }
        return Process(_name(job, index), command, environment)

    def _watch(self, restart_workers: bool) -> None:
        """Reports servers that have ended, and restarts workers.

        The pause before a restart doubles with each death of a worker.
        """
        now = time.monotonic()
        for role, process in list(self._running.items()):
            if process.poll() is None:
                continue
            process.finish_output()
            del self._running[role]
            _say(f"{_name(*role)} ended with status {process.poll()}")
            if restart_workers and role[0] == tf_config.WORKER:
                self._deaths[role] = self._deaths.get(role, -1) + 1
                pause = min(_MAX_PAUSE, 2.0 ** self._deaths[role] - 1)
                self._restart_at[role] = now + pause
        for role, when in list(self._restart_at.items()):
            if now >= when:
                del self._restart_at[role]
                _say(f"{_name(*role)} is started again")
                self._start(*role)


class _RemoteChief:
    """Watches the chief on another machine, by the port it listens on.

    Attributes:
      serves: whether the port accepted a connection at the last check.
    """

    def __init__(self, address: str) -> None:
        self.serves = False
        self._address = tf_config.split_address(address)
        self._check_at = 0.0
        # When the port was first seen closed after it had been open.
        self._closed_since: float | None = None
        self._has_served = False

    def has_ended(self) -> bool:
        """Returns whether the chief's machine has refused connections for a while.

        A machine that does not answer at all may be cut off for a while, so its chief
        does not count as ended.
        """
        if time.monotonic() >= self._check_at:
            self._check()
            self._check_at = time.monotonic() + _CHECK_SECONDS
        since = self._closed_since
        return since is not None and time.monotonic() - since > _ENDED_SECONDS

    def _check(self) -> None:
        self.serves, refused = False, False
        try:
            socket.create_connection(self._address, timeout=5.0).close()
            self.serves = self._has_served = True
        except ConnectionRefusedError:
            refused = self._has_served
        except OSError:
            pass  # The machine cannot be reached, so nothing is known.
        if not refused:
            self._closed_since = None
        elif self._closed_since is None:
            self._closed_since = time.monotonic()


def run_local(
    chief_command: Sequence[str],
    servers: int,
    workers: int,
    restart_workers: bool = True,
) -> int:
    """Runs a whole cluster on this machine.

    Args:
      chief_command: the command of the chief.
      servers: number of parameter servers.
      workers: number of workers.
      restart_workers: whether a worker that dies is started again.

    Returns:
      the exit status of the chief.
    """
    addresses = local_addresses(servers, workers)
    local = MachineProcesses(addresses, all_roles(addresses))
    return local.run(chief_command, restart_workers)


def all_roles(addresses: Addresses) -> list[Role]:
    """Returns (job, index) of each process of a cluster, the chief last."""
    jobs = (tf_config.SERVER, tf_config.WORKER, tf_config.CHIEF)
    return [(job, index) for job in jobs for index in range(len(addresses[job]))]


def local_addresses(servers: int, workers: int) -> dict[str, tuple[str, ...]]:
    """Returns loopback addresses with free ports for a cluster, by job."""
    counts = {tf_config.CHIEF: 1, tf_config.SERVER: servers, tf_config.WORKER: workers}
    ports = iter(_free_ports(sum(counts.values())))
    return {
        job: tuple(f"127.0.0.1:{next(ports)}" for _ in range(count))
        for job, count in counts.items()
    }


def _free_ports(count: int) -> list[int]:
    """Returns different ports on which nothing listens at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _end_all(processes: Iterable[Process]) -> None:
    for process in processes:
        if process.poll() is None:
            process.end()


def _gpus() -> list[str]:
    """Returns the values of CUDA_VISIBLE_DEVICES for each GPU available to this process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def _name(job: str, index: int) -> str:
    return job if job == tf_config.CHIEF else f"{job} {index}"


def _finish(process: Process) -> int:
    """Waits for the last output; returns the exit status as a shell reports it."""
    process.finish_output()
    status = process.poll()
    assert status is not None
    return 128 - status if status < 0 else status


def _say(text: str) -> None:
    sys.stdout.write(f"[launcher] {text}\n")
    sys.stdout.flush()
