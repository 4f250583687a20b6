"""Keeps a listening TCP port to this machine.

TensorFlow's servers listen on all interfaces, whatever host their address names, and
have no option for it.
"""

import contextlib
import os
import socket
import stat

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster.tf_config import split_address

LISTEN = ("loopback", "network")
_HOSTS = ("localhost", "::1")


def is_loopback(host):
    """Whether a host of an address can only be this machine."""
    return host in _HOSTS or host.startswith("127.")


def check(cluster, listen):
    """Refuses to keep a port to this machine that others have to reach.

    Raises:
      UserError: when an address of the cluster is not a loopback one and `listen` is
        "loopback".
    """
    for job, addresses in cluster.addresses.items():
        for address in addresses:
            if listen == "loopback" and not is_loopback(split_address(address)[0]):
                raise UserError(
                    f"{job} is at {address}, another machine or one that others "
                    "reach, but --listen=loopback. TensorFlow's servers have no "
                    "authentication: give --listen=network in a private network alone"
                )


def keep_to_loopback(port):
    """Makes this process's listening sockets on `port` deaf to the network.

    Linux then takes only connections that come over its loopback interface: those of
    this machine, to whichever of its addresses.

    Raises:
      UserError: where the system cannot, as macOS or Linux before 5.7.
    """
    found = [one for one in _listening() if one.getsockname()[1] == port]
    try:
        for one in found:
            option = socket.SO_BINDTODEVICE
            one.setsockopt(socket.SOL_SOCKET, option, b"lo\0")
        if not found:
            raise OSError("its socket was not found")
    except (OSError, AttributeError) as error:
        raise UserError(
            f"port {port}: cannot be kept to this machine ({error}); --listen=network "
            "lets the whole network reach it, which has to be a private one"
        ) from error
    finally:
        for one in found:
            one.close()


def _listening():
    """This process's listening TCP sockets, as duplicates."""
    found = []
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        # Files come and go meanwhile.
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            one = socket.socket(fileno=os.dup(int(name)))
            if _listens(one):
                found.append(one)
            else:
                one.close()
    return found


def _listens(one):
    inet = one.family in (socket.AF_INET, socket.AF_INET6)
    return inet and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
