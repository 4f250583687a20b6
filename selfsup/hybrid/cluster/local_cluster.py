"""A machine's processes of a cluster: started, watched, ended together."""

import glob
import os
import signal
import socket
import sys
import time

from selfsup.hybrid.cluster import tf_config
from selfsup.hybrid.cluster.processes import Process

_TURN = 0.1
_MAX_PAUSE = 30.0
_LOOK_SECONDS = 1.0
# So long a chief's port may be closed before the chief counts as ended.
_ENDED_SECONDS = 10.0


class MachineProcesses:
    """The servers of a cluster that run on this machine, and its chief if it is here.

    Each worker has one of the machine's GPUs while there are some, then none; parameter
    servers and the chief have none.
    """

    def __init__(self, addresses, tasks, server_command=None):
        """
        Args:
          addresses: tuple of "host:port" by job, of the whole cluster.
          tasks: list of (job, index), those that run here.
          server_command: what runs a server; `launch.server` by default.
        """
        self._addresses = addresses
        self._tasks = tasks
        self._server_command = server_command or [sys.executable, "-m", "launch.server"]
        workers = [task for task in tasks if task[0] == tf_config.WORKER]
        self._gpus = dict(zip(workers, _gpus()))
        self._running = {}
        self._deaths = {}
        self._restart_at = {}

    def run(self, chief_command, restart_workers=True):
        """Runs the processes until the chief has ended.

        SIGINT and SIGTERM ask the chief to end, wherever it is: servers go on for as
        long as it needs them for its last checkpoint.

        Args:
          chief_command: what runs the chief.
          restart_workers: whether a worker that dies is started again.

        Returns:
          the chief's exit status where it is here, else 0.
        """
        received = []
        previous = {
            number: signal.signal(number, lambda got, _: received.append(got))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        chief, elsewhere = None, _ChiefElsewhere(self._addresses[tf_config.CHIEF][0])
        try:
            for job, index in self._tasks:
                if job == tf_config.CHIEF:
                    chief = self._process(job, index, chief_command)
                else:
                    self._start(job, index)
            while not (chief or elsewhere).has_ended():
                if chief is not None and received:
                    received.clear()
                    chief.send(signal.SIGTERM)
                elif received and not elsewhere.serves:
                    break
                self._watch(restart_workers)
                time.sleep(_TURN)
            return 0 if chief is None else _finish(chief)
        finally:
            _end_all([chief, *self._running.values()])
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start(self, job, index):
        self._running[job, index] = self._process(job, index, self._server_command)

    def _process(self, job, index, command):
        environment = {
            **os.environ,
            tf_config.VARIABLE: tf_config.to_json(self._addresses, job, index),
            "CUDA_VISIBLE_DEVICES": self._gpus.get((job, index), "-1"),
            "PYTHONUNBUFFERED": "1",
        }
        return Process(_name(job, index), command, environment)

    def _watch(self, restart_workers):
        """Notices servers that have ended; starts workers again, ever less eagerly."""
        now = time.monotonic()
        for task, process in list(self._running.items()):
            if process.poll() is None:
                continue
            process.finish_output()
            del self._running[task]
            _say(f"{_name(*task)} ended with status {process.poll()}")
            if restart_workers and task[0] == tf_config.WORKER:
                self._deaths[task] = self._deaths.get(task, -1) + 1
                pause = min(_MAX_PAUSE, 2.0 ** self._deaths[task] - 1)
                self._restart_at[task] = now + pause
        for task, when in list(self._restart_at.items()):
            if now >= when:
                del self._restart_at[task]
                _say(f"{_name(*task)} is started again")
                self._start(*task)


class _ChiefElsewhere:
    """The chief on another machine, as far as it can be seen from here.

    Attributes:
      serves: whether its port took a connection when last looked.
    """

    def __init__(self, address):
        self.serves = False
        self._address = tf_config.split_address(address)
        self._look_at = 0.0
        # When its port was first seen closed, after it had been open.
        self._closed_since = None
        self._was_there = False

    def has_ended(self):
        """Whether its machine says that nobody listens there any more.

        A machine that says nothing may be cut off for a while: that is no end.
        """
        if time.monotonic() >= self._look_at:
            self._look()
            self._look_at = time.monotonic() + _LOOK_SECONDS
        since = self._closed_since
        return since is not None and time.monotonic() - since > _ENDED_SECONDS

    def _look(self):
        self.serves, refused = False, False
        try:
            socket.create_connection(self._address, timeout=5.0).close()
            self.serves = self._was_there = True
        except ConnectionRefusedError:
            refused = self._was_there
        except OSError:
            pass  # Not reached, which says nothing.
        if not refused:
            self._closed_since = None
        elif self._closed_since is None:
            self._closed_since = time.monotonic()


def run_local(chief_command, servers, workers, restart_workers=True):
    """Runs a whole cluster on this machine; returns the chief's exit status."""
    addresses = local_addresses(servers, workers)
    local = MachineProcesses(addresses, all_tasks(addresses))
    return local.run(chief_command, restart_workers)


def all_tasks(addresses):
    """(job, index) of each process of a cluster, the chief last."""
    jobs = (tf_config.SERVER, tf_config.WORKER, tf_config.CHIEF)
    return [(job, index) for job in jobs for index in range(len(addresses[job]))]


def local_addresses(servers, workers):
    """Addresses of a cluster on loopback, by job."""
    counts = {tf_config.CHIEF: 1, tf_config.SERVER: servers, tf_config.WORKER: workers}
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


def _end_all(processes):
    for process in processes:
        if process is not None and process.poll() is None:
            process.end()


def _gpus():
    """What CUDA_VISIBLE_DEVICES calls this machine's GPUs that we may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one for one in visible.split(",") if one and one != "-1"]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def _name(job, index):
    return job if job == tf_config.CHIEF else f"{job} {index}"


def _finish(process):
    """Waits for its last lines; its exit status as a shell would give it."""
    process.finish_output()
    code = process.poll()
    return 128 - code if code < 0 else code


def _say(text):
    sys.stdout.write(f"[launcher] {text}\n")
    sys.stdout.flush()
