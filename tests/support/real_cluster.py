"""A cluster of real processes on loopback, for tests: servers and a mock chief."""

import json
import re
import socket
import time

import cluster_chief
import separate_network

from selfsup.hybrid.cluster import tf_config

# Seconds for a cluster to start, trace and step on a machine that is busy with more.
STARTED = 240.0


class RealCluster:
    """Servers that can be killed and started again at their addresses.

    Attributes:
      addresses: tuple of "host:port" by job.
      servers: `Child` by (job, index).
    """

    def __init__(
        self, fork_server, folder, servers=1, workers=3, network=None, own_disks=False
    ):
        """
        Args:
          fork_server: a `ForkServer`, in whose network namespace all is.
          folder: of logs and checkpoints.
          servers: number of parameter servers.
          workers: number of workers.
          network: a `SeparateNetwork`; its process is apart from the others.
          own_disks: whether servers see no file that the chief writes.
        """
        self._fork_server, self._folder, self._network = fork_server, folder, network
        self._own_disks = own_disks
        self._checkpoints = folder / "checkpoints"
        self._checkpoints.mkdir()
        counts = {"chief": 1, "ps": servers, "worker": workers}
        ports = iter(_free_ports(sum(counts.values())))
        self.addresses = {
            job: tuple(f"{self._host(job, i)}:{next(ports)}" for i in range(count))
            for job, count in counts.items()
        }
        self.servers = {}
        self._chiefs = 0
        for job in ("ps", "worker"):
            for index in range(counts[job]):
                self.start(job, index)

    def _host(self, job, index):
        if self._network is None:
            return "127.0.0.1"
        return self._network.host(job, index)

    @property
    def _listen(self):
        return "network" if self._network else "loopback"

    def start(self, job, index):
        network = self._network.enter(job, index) if self._network else None
        hidden = str(self._checkpoints) if self._own_disks else None
        self.servers[job, index] = self._fork_server.start(
            "real_cluster:serve",
            self._folder / f"{job}-{index}.log",
            [self._listen, network, hidden],
            self._environment(job, index),
        )

    def chief(self, groups, **options):
        """Starts a chief that trains `groups`; returns its `Child`."""
        self._chiefs += 1
        log = self._folder / f"chief-{self._chiefs}.log"
        arguments = [str(self._checkpoints), groups]
        return self._fork_server.start(
            "real_cluster:lead",
            log,
            [*arguments, {"listen": self._listen, **options}],
            self._environment("chief", 0),
        )

    def close(self):
        for child in self.servers.values():
            if child.poll() is None:
                child.kill()

    def _environment(self, job, index):
        return {tf_config.VARIABLE: tf_config.to_json(self.addresses, job, index)}


def serve(listen, network, hidden):
    """The entry of a server: as `python -m launch.server` in a fresh process.

    Args:
      listen: its flag.
      network: path of the namespace to enter first, or None.
      hidden: folder in place of which it has one of its own, or None.
    """
    import sys

    from launch import server

    if network:
        separate_network.enter_namespace(network)
    if hidden:
        separate_network.hide(hidden)
    sys.argv[1:] = [f"--listen={listen}"]
    server.run()


def lead(directory, groups, options):
    """The entry of a chief."""
    cluster_chief.main(directory, groups, **options)


def steps(chief):
    """Steps by group, as the chief last told."""
    pattern = r"^(?:steps|resumed \S+) (.*)$"
    told = re.findall(pattern, chief.text(), re.MULTILINE)
    return json.loads(told[-1]) if told else {}


def wait_for_steps(chief, seconds=120, **more):
    """Waits until groups have taken so many more steps than now."""
    now = steps(chief)
    end = time.monotonic() + seconds
    while any(
        steps(chief).get(name, 0) < now.get(name, 0) + m for name, m in more.items()
    ):
        assert chief.poll() is None and time.monotonic() < end, chief.text()
        time.sleep(0.02)


def summary(chief, seconds=120):
    """The summary of a chief that ends by itself, or was asked to."""
    assert chief.wait(seconds) == 0, chief.text()
    (text,) = re.findall(f"^{cluster_chief.SUMMARY}(.*)$", chief.text(), re.MULTILINE)
    return json.loads(text)


def _free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
