"""A cluster of real processes on loopback, for tests: servers and a mock chief."""

import json
import re
import socket
import time

import cluster_chief

from selfsup.hybrid import cluster

_ENTRY = {"chief": "cluster_chief:main"}


class RealCluster:
    """Servers that can be killed and started again at their addresses.

    Attributes:
      servers: `Child` by (job, index).
    """

    def __init__(self, nursery, folder, servers=1, workers=3):
        self._nursery, self._folder = nursery, folder
        counts = {"chief": 1, "ps": servers, "worker": workers}
        ports = iter(_free_ports(sum(counts.values())))
        self.addresses = {
            job: tuple(f"127.0.0.1:{next(ports)}" for _ in range(count))
            for job, count in counts.items()
        }
        self.servers = {}
        self._chiefs = 0
        for job in ("ps", "worker"):
            for index in range(counts[job]):
                self.start(job, index)

    def start(self, job, index):
        self.servers[job, index] = self._nursery.start(
            "real_cluster:serve",
            self._folder / f"{job}-{index}.log",
            environment=self._environment(job, index),
        )

    def chief(self, groups, **options):
        """Starts a chief that trains `groups`; returns its `Child`."""
        self._chiefs += 1
        log = self._folder / f"chief-{self._chiefs}.log"
        arguments = [str(self._folder / "checkpoints"), groups]
        return self._nursery.start(
            "real_cluster:lead",
            log,
            [*arguments, options],
            self._environment("chief", 0),
        )

    def close(self):
        for child in self.servers.values():
            if child.poll() is None:
                child.kill()

    def _environment(self, job, index):
        return {cluster.VARIABLE: cluster.to_json(self.addresses, job, index)}


def serve():
    """The entry of a server: as `python -m launch.server` in a fresh process."""
    import sys

    from launch import server

    sys.argv[1:] = []
    server.run()


def lead(directory, groups, options):
    """The entry of a chief."""
    cluster_chief.main(directory, groups, **options)


def steps(chief):
    """Steps by group, as the chief last told."""
    pattern = r"^(?:steps|resumed \S+) (.*)$"
    told = re.findall(pattern, chief.text(), re.MULTILINE)
    return json.loads(told[-1]) if told else {}


def wait_for_steps(chief, seconds=30, **more):
    """Waits until groups have taken so many more steps than now."""
    now = steps(chief)
    end = time.monotonic() + seconds
    while any(
        steps(chief).get(name, 0) < now.get(name, 0) + m for name, m in more.items()
    ):
        assert chief.poll() is None and time.monotonic() < end, chief.text()
        time.sleep(0.02)


def summary(chief, seconds=30):
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
