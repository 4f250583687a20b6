"""Restricts a listening TCP port to connections from this machine.

TensorFlow's servers listen on all network interfaces, even if their address names a
loopback host, and have no option to change that.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster.tf_config import Cluster, split_address

LISTEN = ("loopback", "network")
_HOSTS = ("localhost", "::1")


def is_loopback(host: str) -> bool:
    """Returns whether the host of an address can only be this machine."""
    return host in _HOSTS or host.startswith("127.")


def check(cluster: Cluster, listen: str) -> None:
    """Checks that other machines do not have to reach a port restricted to this machine.

    Args:
      cluster: the `Cluster`.
      listen: of `LISTEN`.

    Raises:
      UserError: if `listen` is "loopback" and an address is not a loopback address.
    """
    for job, addresses in cluster.addresses.items():
        for address in addresses:
            if listen == "loopback" and not is_loopback(split_address(address)[0]):
                raise UserError(
                    f"{job} has the address {address}, which other machines can reach, "
                    "but listen=loopback restricts it to this machine. Use "
                    "listen=network, in a private network only: TensorFlow's servers "
                    "have no authentication"
                )


def keep_to_loopback(port: int) -> None:
    """Makes this process's listening sockets on `port` ignore the network.

    Linux then accepts only connections over its loopback interface, which are those of
    this machine, to any of its addresses.

    Raises:
      UserError: if no socket listens on the port, or the system cannot restrict it, such
        as macOS, or Linux before 5.7.
    """
    listening = _listening()
    matching = [each for each in listening if each.getsockname()[1] == port]
    try:
        for each in matching:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        if not matching:
            raise OSError("no socket of this process listens there")
    except (OSError, AttributeError) as error:
        raise UserError(
            f"port {port}: cannot be restricted to this machine ({error}). Use "
            "listen=network, in a private network only: all machines of the network "
            "can then reach it"
        ) from error
    finally:
        for each in listening:
            each.close()


def _listening() -> list[socket.socket]:
    """Returns duplicates of this process's listening TCP sockets."""
    listening = []
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        # Other threads may close files meanwhile.
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            duplicate = socket.socket(fileno=os.dup(int(name)))
            if _listens(duplicate):
                listening.append(duplicate)
            else:
                duplicate.close()
    return listening


def _listens(candidate: socket.socket) -> bool:
    inet = candidate.family in (socket.AF_INET, socket.AF_INET6)
    accepts = inet and candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return accepts == 1
