"""Reads the members of tar files at their byte offsets, without extracting them.

A tar inside a tar is read in the same way. So `ILSVRC2012_img_train.tar`, which contains a
thousand tars, needs neither disk space nor time for unpacking. Headers are read one at a
time, so memory does not grow with the number of members. `tarfile` of the standard library
keeps all members in memory and does not report where a damaged archive ends.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from selfsup.common.errors import UserError, error_reason

# First words of the `Entry.problem` of a member in which a truncated archive ends.
CUT_OFF = "is cut off"
_BLOCK = 512
# Regular archives are nested far less; deeper ones are made to exhaust a reader.
_MAX_DEPTH = 8
# Long names are stored as small members of their own; names are never larger than this.
_MAX_NAME_BYTES = 65536
_LONG_NAME = (tarfile.GNUTYPE_LONGNAME,)
_LONG_LINK = (tarfile.GNUTYPE_LONGLINK,)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_PAX_GLOBAL = (tarfile.XGLTYPE,)
_EXTENSIONS = _LONG_NAME + _LONG_LINK + _PAX + _PAX_GLOBAL
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"PK\x03\x04": ("zip", "unzip"),
}


class Entry(NamedTuple):
    """A regular file in an archive, or a problem at that place in the archive.

    Attributes:
      name: path of the file, with "/" between folders. A tar inside the archive is a
        folder, named without ".tar".
      offset: position of the first byte of data in the outermost file.
      size: number of bytes of data.
      problem: why the file must not be used; "" for a usable file. Where an archive is
        cut off or broken, an entry with the archive's name says so.
    """

    name: str
    offset: int
    size: int
    problem: str = ""


class _Broken(Exception):
    """The rest of an archive cannot be read; the message says why and where."""


def entries(path: str, descend: bool = True) -> Iterator[Entry]:
    """Lists the regular files in a tar file; skips links, devices and folders.

    Args:
      path: of an uncompressed tar file in v7, ustar, GNU or pax format.
      descend: whether to list the content of tars inside the file; otherwise they are
        listed as files.

    Yields:
      `Entry`s in the order of the archive.

    Raises:
      UserError: the file cannot be read, or is not an uncompressed tar file.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            _check_is_tar(path, file.fileno())
            name = os.path.basename(path)
            tar = _Tar(file.fileno(), name, "", 0, size, _MAX_DEPTH if descend else 0)
            yield from tar.entries()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error


def read(path: str, offset: int, size: int) -> bytes:
    """Returns the data of a member.

    Args:
      path: of the tar file.
      offset: see `Entry`.
      size: see `Entry`.

    Raises:
      OSError: the file cannot be read, or ends before the data.
    """
    with open(path, "rb", buffering=0) as file:
        data = _read(file.fileno(), offset, size)
    if len(data) < size:
        raise OSError(
            f"{path}: ends before byte {offset + size}; has it changed since it was "
            "listed?"
        )
    return data


def _read(file: int, offset: int, size: int) -> bytes:
    """Reads up to `size` bytes; a single `pread` ends at 2 GiB or at a signal."""
    parts = []
    while size > 0:
        part = os.pread(file, size, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        size -= len(part)
    return b"".join(parts)


def _check_is_tar(path: str, file: int) -> None:
    """Raises `UserError` unless the file begins like an uncompressed tar file."""
    block = _read(file, 0, _BLOCK)
    if not block:
        raise UserError(f"{path}: is empty; expected a tar file")
    for magic, (method, command) in _COMPRESSED.items():
        if block.startswith(magic):
            raise UserError(
                f"{path}: is compressed ({method}); expected a plain tar file: "
                f"{command} it first"
            )
    if not _is_header(block):
        raise UserError(f"{path}: is not a tar file")


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        # A block of zeros is the end mark, here of an archive without members.
        return len(block) == _BLOCK and not any(block)
    return True


class _Tar:
    """A tar file, or a tar file inside another: a range of bytes of a file."""

    def __init__(
        self, file: int, name: str, folder: str, start: int, end: int, depth: int
    ) -> None:
        """Prepares to read.

        Args:
          file: descriptor of the outermost file.
          name: of this archive, for its problems.
          folder: prefix of its members' names, "" or ending in "/".
          start: offset of its first byte.
          end: offset after its last byte.
          depth: number of levels of tars inside it to open.
        """
        self._file = file
        self._name = name
        self._folder = folder
        self._offset = start
        self._end = end
        self._depth = depth

    def entries(self) -> Iterator[Entry]:
        """Yields the `Entry`s of the archive."""
        try:
            while True:
                member = self._next()
                if member is None:
                    return
                yield from self._entries_of_member(member)
                if member.type in _REGULAR and self._missing_bytes(member) > 0:
                    # The problem of the member says that the archive is cut off.
                    return
        except _Broken as broken:
            problem = f"archive {broken}; the rest is not read"
            yield Entry(self._name, self._offset, 0, problem)

    def _entries_of_member(self, member: tarfile.TarInfo) -> Iterator[Entry]:
        if member.type == tarfile.GNUTYPE_SPARSE or _is_sparse(member):
            yield self._entry(member, "is stored as a sparse file")
            return
        if member.type not in _REGULAR:
            return
        problem = _name_problem(member.name)
        is_tar = member.name.lower().endswith(".tar")
        if not problem and is_tar and self._depth:
            yield from self._inner_entries(member)
            return
        missing = self._missing_bytes(member)
        if not problem and missing > 0:
            problem = f"{CUT_OFF}: the archive ends {missing} bytes before its end"
        if not problem and is_tar and self._folder:
            problem = "is a tar nested too deeply: not opened"
        yield self._entry(member, problem)

    def _missing_bytes(self, member: tarfile.TarInfo) -> int:
        """Returns how many bytes of the member's data are beyond the archive's end."""
        return member.offset_data + member.size - self._end

    def _inner_entries(self, member: tarfile.TarInfo) -> Iterator[Entry]:
        """Yields the entries of a tar inside this archive, up to where it is cut off."""
        entry = self._entry(member, "")
        end = min(entry.offset + entry.size, self._end)
        block = _read(self._file, entry.offset, min(_BLOCK, end - entry.offset))
        if not _is_header(block):
            yield entry._replace(problem="is not a tar file" if block else "is empty")
            return
        folder = entry.name[: -len(".tar")] + "/"
        inner = _Tar(self._file, entry.name, folder, entry.offset, end, self._depth - 1)
        yield from inner.entries()

    def _entry(self, member: tarfile.TarInfo, problem: str) -> Entry:
        name = member.name
        if not _name_problem(name):
            name = "/".join(part for part in name.split("/") if part not in ("", "."))
        return Entry(self._folder + name, member.offset_data, member.size, problem)

    def _next(self) -> tarfile.TarInfo | None:
        """Returns the next member with its full name and size, or None at the end."""
        name: str | None = None
        pax: dict[str, str] = {}
        while True:
            member = self._header()
            if member is None:
                if name is not None or pax:
                    raise _Broken(f"ends after a member's name, at byte {self._offset}")
                return None
            if member.type not in _EXTENSIONS:
                break
            data = self._extension(member)
            if member.type in _LONG_NAME:
                name = _text(data.split(b"\0")[0])
            elif member.type in _PAX:
                pax = _pax_records(data, self._offset)
        member.name = pax.get("path", name if name is not None else member.name)
        member.pax_headers = pax
        if "size" in pax:
            member.size = _decimal(pax["size"], self._offset)
        if _has_data(member):
            self._skip(member.size)
        return member

    def _header(self) -> tarfile.TarInfo | None:
        """Reads the next header and sets `offset_data`; returns None at the end mark."""
        size = max(0, min(_BLOCK, self._end - self._offset))
        block = _read(self._file, self._offset, size)
        if not block:
            raise _Broken(f"has no end mark: cut off at byte {self._offset}?")
        if len(block) < _BLOCK:
            raise _Broken(f"is cut off at byte {self._offset}, in a header")
        if not any(block):
            return None
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise _Broken(f"is broken at byte {self._offset}: {error}") from error
        if member.size < 0:
            raise _Broken(f"is broken at byte {self._offset}: negative size")
        self._offset += _BLOCK
        member.offset_data = self._offset
        return member

    def _extension(self, member: tarfile.TarInfo) -> bytes:
        """Reads the data of a header that describes the next member."""
        if member.type in _PAX_GLOBAL or member.type in _LONG_LINK:
            self._skip(member.size)
            return b""
        if member.size > _MAX_NAME_BYTES:
            raise _Broken(
                f"is broken at byte {self._offset}: a name of {member.size} bytes"
            )
        data = _read(
            self._file, self._offset, min(member.size, self._end - self._offset)
        )
        if len(data) < member.size:
            raise _Broken(f"is cut off at byte {self._offset}, in a member's name")
        self._skip(member.size)
        return data

    def _skip(self, size: int) -> None:
        self._offset += -(-size // _BLOCK) * _BLOCK


def _has_data(member: tarfile.TarInfo) -> bool:
    """Whether data follow the header; links and folders may state a size without data."""
    return member.isreg() or member.type not in tarfile.SUPPORTED_TYPES


def _is_sparse(member: tarfile.TarInfo) -> bool:
    return any(key.startswith("GNU.sparse.") for key in member.pax_headers)


def _name_problem(name: str) -> str:
    """Returns why a name is not accepted, or ""."""
    if not name.strip("/."):
        return "has no name"
    if name.startswith("/"):
        return "has an absolute name"
    if ".." in name.split("/"):
        return "has a name that leaves its folder"
    return ""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _pax_records(data: bytes, offset: int) -> dict[str, str]:
    """Parses a pax header, which has lines "length keyword=value"."""
    values: dict[str, str] = {}
    while data.strip(b"\0"):
        length, _, _ = data.partition(b" ")
        end = _decimal(_text(length), offset)
        keyword, equals, value = data[len(length) + 1 : end - 1].partition(b"=")
        if not equals or data[end - 1 : end] != b"\n":
            raise _Broken(f"is broken at byte {offset}: bad pax header")
        values[_text(keyword)] = _text(value)
        data = data[end:]
    return values


def _decimal(text: str, offset: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _Broken(f"is broken at byte {offset}: bad number in a pax header")
    return int(text)
