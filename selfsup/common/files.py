"""Files that are either whole or absent, whenever the power goes."""

import contextlib
import fcntl
import hashlib
import os
import uuid

from selfsup.common.errors import UserError


def native_path(path: str) -> bytes:
    """`path` as TensorFlow's readers and writers take it, whatever bytes its name has.

    As str they refuse a name that is not UTF-8, which Linux allows.
    """
    return os.fsencode(path)


def as_utf8(name: str) -> str:
    """`name` as records and reports hold it: bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def printable(name: str) -> str:
    """`name` with escapes for all that is not printable: tabs, breaks, other bytes."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name)


def sync(path):
    """Waits until the file or folder `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path):
    """A name beside `path` that no other process takes, on any machine."""
    return f"{path}.{uuid.uuid4().hex}.tmp"


def publish(temporary, path):
    """Renames the finished file `temporary` to `path`, durably."""
    sync(temporary)
    os.replace(temporary, path)
    sync(os.path.dirname(os.path.abspath(path)))


def write_atomically(path, data):
    """Writes `data` (str or bytes) to `path`, replacing what was there at once."""
    temporary = temporary_name(path)
    if isinstance(data, str):
        data = data.encode("utf-8", errors="backslashreplace")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        publish(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


@contextlib.contextmanager
def locked(path, busy):
    """Holds the lock file `path`; the system lets go of it when the process ends.

    Raises:
      UserError: with the text `busy` when another process holds it.
    """
    with open(path, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(busy) from None
        yield


def sha256(path):
    """Hexadecimal SHA-256 of the file `path`."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
