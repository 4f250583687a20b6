"""Writes files and folders that are either complete or absent, even after a crash."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator

from selfsup.common.errors import UserError

# Suffix of folders that `replace_folder` has not finished.
PARTIAL = ".partial"


def native_path(path: str) -> bytes:
    """Returns a path in the form that TensorFlow accepts for every file name.

    Linux allows names that are not UTF-8, which TensorFlow rejects as str.
    """
    return os.fsencode(path)


def as_utf8(name: str) -> str:
    """Returns a file name for records and reports: bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def printable(name: str) -> str:
    """Escapes all characters that cannot be printed, such as tabs and line breaks."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


def sync(path: str) -> None:
    """Waits until the file or folder `path` is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: str) -> str:
    """Returns a name beside `path` that no other process uses, on any machine."""
    return f"{path}.{uuid.uuid4().hex}.tmp"


def publish(temporary: str, path: str) -> None:
    """Renames the finished file `temporary` to `path` and waits until that is on disk."""
    sync(temporary)
    os.replace(temporary, path)
    sync(os.path.dirname(os.path.abspath(path)))


def write_atomically(path: str, data: str | bytes) -> None:
    """Writes `data` to the file `path`, which has its old or new content at any time.

    Args:
      path: of the file; an existing file is replaced.
      data: bytes, or text, which is stored as UTF-8.

    Raises:
      OSError: the file cannot be written.
    """
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
def replace_folder(path: str) -> Iterator[str]:
    """Yields an empty folder beside `path`, which replaces `path` when the block ends.

    If the block raises an error, `path` stays as it was. If the process is killed, a
    hidden folder with the suffix `PARTIAL` is left.

    Args:
      path: of the folder, whose parent exists; an existing folder is replaced.

    Raises:
      OSError: the folder cannot be written.
    """
    parent, name = os.path.split(os.path.abspath(path))
    number = uuid.uuid4().hex
    partial = os.path.join(parent, f".{name}.{number}{PARTIAL}")
    old = os.path.join(parent, f".{name}.{number}.old{PARTIAL}")
    os.mkdir(partial)
    try:
        yield partial
        _sync_tree(partial)
        if os.path.isdir(path):
            os.rename(path, old)
        try:
            os.rename(partial, path)
        except OSError:
            if os.path.isdir(old):
                os.rename(old, path)
            raise
        sync(parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync_tree(folder: str) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(os.path.join(parent, name))
        sync(parent)


@contextlib.contextmanager
def locked(path: str, busy: str) -> Iterator[None]:
    """Holds the lock file `path`; the system releases it when the process ends.

    Args:
      path: of the lock file, which is created.
      busy: text of the error when another process holds the lock.

    Raises:
      UserError: another process holds the lock.
    """
    with open(path, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(busy) from None
        yield


def sha256(path: str) -> str:
    """Returns the SHA-256 digest of the file `path` in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
