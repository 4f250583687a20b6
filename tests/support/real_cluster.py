"""A cluster of real processes on this machine: servers and a chief with mock tasks."""

from __future__ import annotations

import json
import pathlib
import re
import socket
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cluster_chief
import separate_network

from selfsup.hybrid.cluster import tf_config

if TYPE_CHECKING:
    from fork_server import Child, ForkServer
    from separate_network import SeparateNetwork

# Seconds for a cluster to start, trace and take steps on a busy machine.
STARTED = 240.0


class RealCluster:
    """Servers that can be killed, and started again at the same addresses.

    Attributes:
      addresses: "host:port" of each process, by job.
      servers: the processes by (job, index).
    """

    def __init__(
        self,
        fork_server: ForkServer,
        folder: pathlib.Path,
        servers: int = 1,
        workers: int = 3,
        network: SeparateNetwork | None = None,
        own_disks: bool = False,
    ) -> None:
        """
        Args:
          fork_server: starts all processes, in its network.
          folder: folder for logs and checkpoints.
          servers: number of parameter servers.
          workers: number of workers.
          network: a separate network for one of the processes, or None.
          own_disks: whether the servers cannot see the chief's files.
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
        self.servers: dict[tuple[str, int], Child] = {}
        self._chiefs = 0
        for job in ("ps", "worker"):
            for index in range(counts[job]):
                self.start(job, index)

    def _host(self, job: str, index: int) -> str:
        if self._network is None:
            return "127.0.0.1"
        return self._network.host(job, index)

    @property
    def _listen(self) -> str:
        return "network" if self._network else "loopback"

    def start(self, job: str, index: int) -> None:
        """Starts a server."""
        namespace = self._network.namespace(job, index) if self._network else None
        hidden = str(self._checkpoints) if self._own_disks else None
        self.servers[job, index] = self._fork_server.start(
            "real_cluster:serve",
            self._folder / f"{job}-{index}.log",
            [self._listen, namespace, hidden],
            self._environment(job, index),
        )

    def chief(self, groups: Mapping[str, Sequence[int]], **options: Any) -> Child:
        """Starts a chief.

        Args:
          groups: numbers of the workers, by task.
          **options: more arguments of `cluster_chief.main`.
        """
        self._chiefs += 1
        log = self._folder / f"chief-{self._chiefs}.log"
        arguments = [str(self._checkpoints), groups]
        return self._fork_server.start(
            "real_cluster:lead",
            log,
            [*arguments, {"listen": self._listen, **options}],
            self._environment("chief", 0),
        )

    def close(self) -> None:
        """Kills all servers."""
        for child in self.servers.values():
            if child.poll() is None:
                child.kill()

    def _environment(self, job: str, index: int) -> dict[str, str]:
        return {tf_config.VARIABLE: tf_config.to_json(self.addresses, job, index)}


def serve(listen: str, namespace: str | None, hidden: str | None) -> None:
    """Entry of a server process, like `python -m launch.server`.

    Args:
      listen: value of its flag --listen.
      namespace: path of a network namespace to enter, or None.
      hidden: folder that the process must not see, or None.
    """
    import sys

    from launch import server

    if namespace:
        separate_network.enter_namespace(namespace)
    if hidden:
        separate_network.hide(hidden)
    sys.argv[1:] = [f"--listen={listen}"]
    server.run()


def lead(directory: str, groups: dict[str, list[int]], options: dict[str, Any]) -> None:
    """Entry of a chief process."""
    cluster_chief.main(directory, groups, **options)


def steps(chief: Child) -> dict[str, int]:
    """Returns the steps by task that the chief has printed last."""
    pattern = r"^(?:steps|resumed \S+) (.*)$"
    printed = re.findall(pattern, chief.text(), re.MULTILINE)
    return json.loads(printed[-1]) if printed else {}


def wait_for_steps(chief: Child, seconds: float = 120, **more: int) -> None:
    """Waits until tasks have taken more steps, by the given numbers."""
    before = steps(chief)
    targets = {name: before.get(name, 0) + count for name, count in more.items()}
    end = time.monotonic() + seconds
    while any(steps(chief).get(name, 0) < target for name, target in targets.items()):
        assert chief.poll() is None and time.monotonic() < end, chief.text()
        time.sleep(0.02)


def summary(chief: Child, seconds: float = 120) -> dict[str, Any]:
    """Waits for the end of a chief; returns its summary."""
    assert chief.wait(seconds) == 0, chief.text()
    (text,) = re.findall(f"^{cluster_chief.SUMMARY}(.*)$", chief.text(), re.MULTILINE)
    return json.loads(text)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
