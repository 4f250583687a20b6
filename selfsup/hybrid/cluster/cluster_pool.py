"""The chief's side of a cluster: joins the servers, finds which of them are gone."""

import os
import socket
import sys
import threading
import time

import tensorflow as tf
from tensorflow.python.eager import context

from selfsup.common.errors import UserError
from selfsup.hybrid import executors
from selfsup.hybrid.cluster import loopback
from selfsup.hybrid.cluster.tf_config import (
    CHIEF,
    SERVER,
    WORKER,
    reconnect_quickly,
    split_address,
    task_of,
)

_TURN = 0.1
# So often a parameter server may fail to answer before it counts as gone.
_PROBES = 3
# What steps, probes and new replicas raise when a worker was killed, cut off, or
# started anew and not taken back yet; tried, see docs/cluster.md.
_LOSSES = (tf.errors.UnavailableError, tf.errors.AbortedError)
_LOSS_TEXTS = ("unknown device", "remote_handle", "invalid device", "remote worker")


def connect(cluster, say=print, seconds=600.0, listen="loopback"):
    """Makes this process, the chief, know the devices of all others.

    To be called before anything else makes TensorFlow look at its devices.

    Args:
      cluster: a `Cluster`, of which this is the chief.
      say: callable that takes a line for the user.
      seconds: how long to wait for servers that are not up yet.
      listen: "loopback" or "network": who may reach the chief's own port.

    Raises:
      UserError: when servers do not come up; names them.
    """
    loopback.check(cluster, listen)
    reconnect_quickly()
    executors.log_errors_of_deleted_executors()
    _wait_for_servers(cluster, say, seconds)
    tf.config.experimental_connect_to_cluster(
        tf.train.ClusterSpec(
            {job: list(all) for job, all in cluster.addresses.items()}
        ),
        job_name=CHIEF,
        task_index=0,
        protocol="grpc",
        make_master_device_default=False,
    )
    # The chief serves too: workers send to it. The port opens with the context.
    context.ensure_initialized()
    if listen == "loopback":
        loopback.keep_to_loopback(split_address(cluster.address)[1])


def _wait_for_servers(cluster, say, seconds):
    end = time.monotonic() + seconds
    for job in (SERVER, WORKER):
        devices = cluster.devices(job)
        for index, device in enumerate(devices):
            said = False
            while not _accepts(cluster, device):
                if time.monotonic() > end:
                    raise _not_up(cluster, seconds)
                if not said:
                    which = f"{job} {index + 1} of {len(devices)}"
                    say(f"waiting for {which} at {cluster.addresses[job][index]}")
                    said = True
                time.sleep(_TURN)


def _not_up(cluster, seconds):
    devices = [*cluster.devices(SERVER), *cluster.devices(WORKER)]
    missing = [cluster.describe(d) for d in devices if not _accepts(cluster, d)]
    return UserError(
        f"no connection after {seconds:.0f} s to {', '.join(missing)}; each is started "
        "with python -m launch.server and its own TF_CONFIG"
    )


def _accepts(cluster, device):
    """Whether something listens where a device's process should be."""
    try:
        socket.create_connection(cluster.address_of(device), timeout=1.0).close()
    except OSError:
        return False
    return True


class _Probe:
    """A tiny piece of work in a thread of its own, as it may hang for ever."""

    def __init__(self, work):
        self.answered = False
        self._over = threading.Event()
        self._work = work
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            with executors.isolated():
                self._work()
            self.answered = True
        except Exception:
            return  # Whatever it is, it is no answer.
        finally:
            self._over.set()

    @property
    def hangs(self):
        return not self._over.is_set()

    def wait(self, seconds):
        """Whether the work was done, waiting so long at most."""
        self._over.wait(max(0.0, seconds))
        return self.answered


class ClusterPool:
    """The devices of a cluster, which come and go; see `device_pool.LocalPool`."""

    def __init__(self, cluster, probe_seconds=5.0, server_seconds=60.0):
        """
        Args:
          cluster: the `Cluster`, connected to.
          probe_seconds: a device that does not answer a tiny step by then is gone.
          server_seconds: a parameter server that has not answered for so long ends
            this process, whatever hangs in it; 0 for never.
        """
        self._cluster = cluster
        self._seconds = probe_seconds
        self._probes = {}
        self._rejoining = None
        self._lock = threading.Lock()
        self._marks = {device: _mark(device) for device in cluster.devices(SERVER)}
        if server_seconds:
            work = threading.Thread(
                target=self._watch_servers, args=(server_seconds,), daemon=True
            )
            work.start()

    def alive(self, devices):
        """Those of `devices` that answer, in their order.

        A worker that was started anew is taken back first.
        """
        found = self._answering(devices)
        if len(found) < len(devices) and self._rejoin():
            found = self._answering(devices)
        return found

    def check_servers(self):
        """Raises `UserError` when a parameter server is gone, or has been."""
        gone = tuple(self._marks)
        # A worker's death has been seen to disturb a probe of a server that is well.
        for _ in range(_PROBES):
            alive = self._answering(gone)
            gone = tuple(one for one in gone if one not in alive)
            if not gone:
                return
        raise UserError(_server_gone([self._cluster.describe(one) for one in gone]))

    def is_device_failure(self, error):
        """Whether what a step raised means that a device is gone."""
        if isinstance(error, _LOSSES):
            return True
        text = str(error)
        return isinstance(error, tf.errors.InvalidArgumentError) and any(
            part in text for part in _LOSS_TEXTS
        )

    def _answering(self, devices):
        end = time.monotonic() + self._seconds
        probes = {device: self._probe(device) for device in devices}
        return tuple(
            device
            for device, probe in probes.items()
            if probe is not None and probe.wait(end - time.monotonic())
        )

    def _probe(self, device):
        """A new probe of a device; None while an earlier one hangs there."""
        with self._lock:
            before = self._probes.get(device)
            if before is not None and before.hangs:
                return None
            mark = self._marks.get(device)
            work = (lambda: _touch(device)) if mark is None else (lambda: _read(mark))
            self._probes[device] = _Probe(work)
            return self._probes[device]

    def _rejoin(self):
        """Takes workers back that were started anew; returns whether it came to that.

        Joining waits for every process, so not while one of them hangs.
        """
        # A server started anew would be joined as well, empty as it is.
        self.check_servers()
        workers = self._cluster.devices(WORKER)
        answering = self._answering(workers)
        if any(self._probes[worker].hangs for worker in workers):
            return False
        if self._rejoining is not None and self._rejoining.hangs:
            return False
        absent = [one for one in workers if one not in answering]
        down = [one for one in absent if not _accepts(self._cluster, one)]
        if len(down) == len(absent):
            return False
        self._rejoining = _Probe(lambda: _join_without(down))
        return self._rejoining.wait(self._seconds)

    def _watch_servers(self, seconds):
        """Ends the process when a server hangs and the main thread with it.

        The engine finds a lost server by itself at a step's end or time limit; this is
        for when it waits for that server at another place.
        """
        answered = dict.fromkeys(self._marks, time.monotonic())
        turn = min(5.0, seconds / 4)
        while True:
            before = time.monotonic()
            time.sleep(turn)
            late = time.monotonic() - before - turn
            for device, mark in self._marks.items():
                # Time in which this process itself was stopped does not count.
                answered[device] += max(0.0, late)
                probe = self._watched(device, mark)
                if probe.answered:
                    answered[device] = time.monotonic()
                elif time.monotonic() - answered[device] > seconds:
                    gone = [self._cluster.describe(device)]
                    print(f"error: {_server_gone(gone)}", file=sys.stderr, flush=True)
                    os._exit(1)

    def _watched(self, device, mark):
        key = ("watched", device)
        probe = self._probes.get(key)
        if probe is None or not probe.hangs:
            probe = self._probes[key] = _Probe(lambda: _read(mark))
            probe.wait(self._seconds)
        return probe


def _server_gone(names):
    return (
        f"parameter server gone: {', '.join(names)}; with it went the variables. Start "
        "again to resume from the last checkpoint"
    )


def _mark(device):
    """A variable by which a server is known: one started anew does not have it."""
    with tf.device(device):
        return tf.Variable(0, trainable=False)


def _read(mark):
    mark.read_value().numpy()


def _touch(device):
    with tf.device(device):
        one = tf.constant(1)
        tf.add(one, one).numpy()


def _join_without(down):
    """Gives every process that is up the chief's view of the cluster again.

    The one place that uses TensorFlow's internals: there is no public way to take a
    single restarted worker back, as connecting anew would drop all variables. Joining
    waits for processes that are down, so these are left out until they are back.
    """
    known = context.get_server_def()
    whole = type(known)()
    whole.CopyFrom(_WHOLE.setdefault("server_def", known))
    for device in down:
        job, index = task_of(device)
        for one in whole.cluster.job:
            if one.name == job:
                del one.tasks[index]
    context.context().update_server_def(whole)


# The cluster as it was connected to: the context's own notion lacks who was left out.
_WHOLE = {}
