"""The processes of a cluster on one machine: started, watched, ended together."""

import glob
import os
import signal
import socket
import sys
import time

from launch.processes import Process
from selfsup.hybrid import cluster

_TURN = 0.1
_MAX_PAUSE = 30.0


class LocalCluster:
    """Servers on loopback ports, and a chief.

    Attributes:
      addresses: tuple of "host:port" by job.
    """

    def __init__(self, servers, workers, server_command=None):
        """
        Args:
          servers: number of parameter servers.
          workers: number of workers.
          server_command: what runs a server; `launch.server` by default.
        """
        self.addresses = _addresses(servers, workers)
        self._server_command = server_command or [sys.executable, "-m", "launch.server"]
        self._gpus = _gpus()
        self._running = {}
        self._deaths = {}
        self._restart_at = {}

    def run(self, chief_command, restart_workers=True):
        """Runs `chief_command` beside the servers; returns its exit status."""
        received = []
        previous = {
            number: signal.signal(number, lambda got, _: received.append(got))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        chief = None
        try:
            for job in (cluster.SERVER, cluster.WORKER):
                for index in range(len(self.addresses[job])):
                    self._start(job, index)
            chief = self._process(cluster.CHIEF, 0, chief_command)
            while chief.poll() is None:
                while received:
                    received.pop()
                    chief.send(signal.SIGTERM)
                self._watch(restart_workers)
                time.sleep(_TURN)
            chief.finish_output()
            return _status(chief.poll())
        finally:
            for process in [chief, *self._running.values()]:
                if process is not None and process.poll() is None:
                    process.end()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start(self, job, index):
        self._running[job, index] = self._process(job, index, self._server_command)

    def _process(self, job, index, command):
        environment = {
            **os.environ,
            cluster.VARIABLE: cluster.to_json(self.addresses, job, index),
            "CUDA_VISIBLE_DEVICES": self._gpu(job, index),
            "PYTHONUNBUFFERED": "1",
        }
        return Process(_name(job, index), command, environment)

    def _gpu(self, job, index):
        if job == cluster.WORKER and index < len(self._gpus):
            return self._gpus[index]
        return "-1"

    def _watch(self, restart_workers):
        """Notices servers that have ended; starts workers again, ever less eagerly."""
        now = time.monotonic()
        for task, process in list(self._running.items()):
            if process.poll() is None:
                continue
            process.finish_output()
            del self._running[task]
            _say(f"{_name(*task)} ended with status {process.poll()}")
            if restart_workers and task[0] == cluster.WORKER:
                self._deaths[task] = self._deaths.get(task, -1) + 1
                pause = min(_MAX_PAUSE, 2.0 ** self._deaths[task] - 1)
                self._restart_at[task] = now + pause
        for task, when in list(self._restart_at.items()):
            if now >= when:
                del self._restart_at[task]
                _say(f"{_name(*task)} is started again")
                self._start(*task)


def run(chief_command, servers, workers, restart_workers=True):
    """Runs a local cluster of so many processes; returns the chief's exit status."""
    local = LocalCluster(servers, workers)
    return local.run(chief_command, restart_workers)


def _addresses(servers, workers):
    counts = {cluster.CHIEF: 1, cluster.SERVER: servers, cluster.WORKER: workers}
    ports = iter(_free_ports(sum(counts.values())))
    return {
        job: tuple(f"127.0.0.1:{next(ports)}" for _ in range(count))
        for job, count in counts.items()
    }


def _free_ports(count):
    """Ports that nobody listens on now; all held at once, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _gpus():
    """What CUDA_VISIBLE_DEVICES calls this machine's GPUs that we may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one for one in visible.split(",") if one and one != "-1"]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def _name(job, index):
    return job if job == cluster.CHIEF else f"{job} {index}"


def _status(code):
    """A process's exit status as a shell would give it."""
    return 128 - code if code < 0 else code


def _say(text):
    sys.stdout.write(f"[local_cluster] {text}\n")
    sys.stdout.flush()
