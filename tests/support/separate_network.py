"""A process of a cluster that is in a network of its own, behind a link that can be cut.

All is in namespaces of Linux that the fork_server's processes own: nothing of the machine's
own network is touched, and no privilege is needed where unprivileged ones may make
user namespaces.
"""

import ctypes
import signal
import subprocess

_OWN_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
# What a fork_server is started with, to own its network; its loopback is down at first.
PREFIX = (*_OWN_NETWORK, "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_NEAR, _FAR = "10.77.0.1", "10.77.0.2"
# CLONE_NEWNET and CLONE_NEWNS of unshare(2).
_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000


def why_not():
    """Why this machine cannot do it, or None."""
    trial = "ip link add near0 type veth peer name far0"
    try:
        done = subprocess.run(
            [*PREFIX, "sh", "-c", trial], capture_output=True, text=True, timeout=30
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip() or "not permitted" if done.returncode else None


class SeparateNetwork:
    """The network of one process, joined to the fork_server's by a veth pair."""

    def __init__(self, fork_server, folder, job, index):
        """
        Args:
          fork_server: a `ForkServer` that was started with `PREFIX`.
          folder: for logs.
          job, index: of the process that is to be there.
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

    def host(self, job, index):
        """The address that a process of the cluster has."""
        return _FAR if (job, index) == self._apart else _NEAR

    def enter(self, job, index):
        """The namespace that a process of the cluster enters, or None."""
        if (job, index) != self._apart:
            return None
        return f"/proc/{self._holder.pid}/ns/net"

    def cut(self):
        """Packets are lost from now on, both ways, and nobody is told."""
        self._run(f"{self._inside} ip link set far0 down")

    def heal(self):
        """Packets arrive again."""
        self._run(f"{self._inside} ip link set far0 up")

    def close(self):
        self._holder.kill()

    def _run(self, command):
        child = self._fork_server.start("separate_network:run", self._log, [command])
        assert child.wait(30) == 0, child.text()


def hold():
    """The entry of the process that the other network belongs to."""
    _unshare(_NEW_NETWORK)
    print("held", flush=True)
    signal.pause()


def run(command):
    """The entry of a command in the fork_server's network; its exit status."""
    return subprocess.run(command.split()).returncode


def enter_namespace(path):
    """Moves this process, which has one thread yet, to a network namespace."""
    with open(path) as file:
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(file.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"setns {path}")


def hide(folder):
    """Gives this process and its children an empty disk of their own at `folder`."""
    _unshare(_NEW_MOUNTS)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)


def _unshare(what):
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(what):
        raise OSError(ctypes.get_errno(), "unshare")
