"""Puts a process of a cluster into a separate network, at a link that can be cut.

Everything happens in Linux namespaces of the fork server's processes. The network of the
machine is not touched, and no privilege is needed if unprivileged processes may create
user namespaces.
"""

from __future__ import annotations

import ctypes
import pathlib
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fork_server import ForkServer

_OWN_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
# Prefix of the fork server's command that gives it a network, with loopback switched on.
PREFIX = (*_OWN_NETWORK, "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_NEAR, _FAR = "10.77.0.1", "10.77.0.2"
# CLONE_NEWNET and CLONE_NEWNS of unshare(2).
_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000


def why_not() -> str | None:
    """Returns why this machine cannot create separate networks, or None if it can."""
    trial = "ip link add near0 type veth peer name far0"
    try:
        done = subprocess.run(
            [*PREFIX, "sh", "-c", trial], capture_output=True, text=True, timeout=30
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip() or "not permitted" if done.returncode else None


class SeparateNetwork:
    """The network of one process, connected to the fork server's by a veth pair."""

    def __init__(
        self, fork_server: ForkServer, folder: pathlib.Path, job: str, index: int
    ) -> None:
        """
        Args:
          fork_server: a fork server that was started with `PREFIX`.
          folder: folder for logs.
          job, index: role of the process that goes into the separate network.
        """
        self._fork_server, self._log = fork_server, folder / "network.log"
        self._apart = job, index
        self._holder = fork_server.start("separate_network:hold", self._log)
        self._holder.wait_for("held", 30)
        inside = f"nsenter --net=/proc/{self._holder.pid}/ns/net"
        self._run("ip link add near0 type veth peer name far0")
        self._run(f"ip link set far0 netns {self._holder.pid}")
        self._run(f"ip addr add {_NEAR}/24 dev near0")
        self._run("ip link set near0 up")
        self._run(f"{inside} ip addr add {_FAR}/24 dev far0")
        self._run(f"{inside} ip link set lo up")
        self._inside = inside
        self.heal()

    def host(self, job: str, index: int) -> str:
        """Returns the address of a process of the cluster."""
        return _FAR if (job, index) == self._apart else _NEAR

    def namespace(self, job: str, index: int) -> str | None:
        """Returns the namespace that a process of the cluster has to enter, or None."""
        if (job, index) != self._apart:
            return None
        return f"/proc/{self._holder.pid}/ns/net"

    def cut(self) -> None:
        """Cuts the link: packets are lost in both directions, without any error."""
        self._run(f"{self._inside} ip link set far0 down")

    def heal(self) -> None:
        """Restores the link."""
        self._run(f"{self._inside} ip link set far0 up")

    def close(self) -> None:
        """Ends the process that holds the network."""
        self._holder.kill()

    def _run(self, command: str) -> None:
        child = self._fork_server.start("separate_network:run", self._log, [command])
        assert child.wait(30) == 0, child.text()


def hold() -> None:
    """Entry of the process that holds the separate network."""
    _unshare(_NEW_NETWORK)
    print("held", flush=True)
    signal.pause()


def run(command: str) -> int:
    """Entry of a process that runs a command in the fork server's network."""
    return subprocess.run(command.split()).returncode


def enter_namespace(path: str) -> None:
    """Moves this process, which must have a single thread, to a network namespace."""
    with open(path) as file:
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(file.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"setns {path}")


def hide(folder: str) -> None:
    """Shows this process and its children an empty disk in place of `folder`."""
    _unshare(_NEW_MOUNTS)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)


def _unshare(flags: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
