"""Reads the members of tar files in place, by offset; nothing is ever extracted.

A tar inside a tar is opened in place too, so `ILSVRC2012_img_train.tar`, which holds a
thousand of them, needs neither disk space nor time for unpacking. The headers are read
one at a time, so memory does not grow with the number of members.
"""

import os
import tarfile
import typing

from selfsup.common.errors import UserError

# How the `Entry.problem` of a member begins that a truncated archive ends in.
CUT_OFF = "is cut off"
_BLOCK = 512
# Far deeper than any archive that is no trap.
_MAX_DEPTH = 8
# Long names are stored as small members of their own; a larger one is no name.
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


class Entry(typing.NamedTuple):
    """One regular file in an archive, or what is wrong at that place of it.

    Attributes:
      name: its path, folders separated by "/"; a tar inside the archive counts as a
        folder named without ".tar".
      offset: where its data begins in the outermost file.
      size: bytes of data.
      problem: why it must not be used; "" for a good one. One entry, named after the
        archive, says where an archive is cut off or broken.
    """

    name: str
    offset: int
    size: int
    problem: str = ""


class _Broken(Exception):
    """The archive cannot be followed any further; the message says why and where."""


def entries(path, descend=True):
    """Lists the regular files in a tar file; links, devices and folders are skipped.

    Args:
      path: a plain, uncompressed tar file: v7, ustar, GNU or pax.
      descend: whether tars inside it are opened; as they are listed otherwise.

    Yields:
      `Entry`s in the order of the archive.

    Raises:
      UserError: it cannot be read, or is no plain tar file.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            _check_is_tar(path, file.fileno())
            name = os.path.basename(path)
            tar = _Tar(file.fileno(), name, "", 0, size, _MAX_DEPTH if descend else 0)
            yield from tar.entries()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def read(path, offset, size):
    """Returns the `size` bytes of a member, as `entries` gave its place.

    Raises:
      OSError: the file cannot be read, or ends before.
    """
    with open(path, "rb", buffering=0) as file:
        data = _read(file.fileno(), offset, size)
    if len(data) < size:
        raise OSError(
            f"{path}: ends before byte {offset + size}; changed since listed?"
        )
    return data


def _read(file, offset, size):
    """Up to `size` bytes; a single read stops at 2 GiB, and where a signal came."""
    parts = []
    while size > 0:
        part = os.pread(file, size, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        size -= len(part)
    return b"".join(parts)


def _check_is_tar(path, file):
    """Raises `UserError` unless the file begins like a plain tar."""
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
        raise UserError(f"{path}: is no tar file")


def _is_header(block):
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        # All zeros: the end of an archive of nothing.
        return len(block) == _BLOCK and not any(block)
    return True


class _Tar:
    """A tar file, or one inside another: the bytes from `start` to `end` of a file.

    Attributes:
      file: descriptor.
      name: of this archive, for its own problems.
      folder: prefix of its members' names, "" or ending in "/".
      depth: how many levels of tars inside it are opened.
    """

    def __init__(self, file, name, folder, start, end, depth):
        self.file = file
        self.name = name
        self.folder = folder
        self.depth = depth
        self._at = start
        self._end = end

    def entries(self):
        """Yields the `Entry`s below it."""
        try:
            while True:
                member = self._next()
                if member is None:
                    return
                yield from self._entries_of(member)
                if member.type in _REGULAR and self._lack(member) > 0:
                    return  # Said of the member.
        except _Broken as broken:
            problem = f"archive {broken}; what follows is not read"
            yield Entry(self.name, self._at, 0, problem)

    def _entries_of(self, member):
        if member.type == tarfile.GNUTYPE_SPARSE or _is_sparse(member):
            yield self._entry(member, "is stored as a sparse file")
            return
        if member.type not in _REGULAR:
            return
        problem = _name_problem(member.name)
        is_tar = member.name.lower().endswith(".tar")
        if not problem and is_tar and self.depth:
            yield from self._inner_entries(member)
            return
        if not problem and self._lack(member) > 0:
            lack = self._lack(member)
            problem = f"{CUT_OFF}: the archive ends {lack} bytes before its end"
        if not problem and is_tar and self.folder:
            problem = "tars in tars in tars: not opened"
        yield self._entry(member, problem)

    def _lack(self, member):
        """How many bytes of the member's data lie beyond the archive's end."""
        return member.offset_data + member.size - self._end

    def _inner_entries(self, member):
        """What is whole in a tar inside this one."""
        entry = self._entry(member, "")
        end = min(entry.offset + entry.size, self._end)
        block = _read(self.file, entry.offset, min(_BLOCK, end - entry.offset))
        if not _is_header(block):
            yield entry._replace(problem="is no tar file" if block else "is empty")
            return
        folder = entry.name[: -len(".tar")] + "/"
        inner = _Tar(self.file, entry.name, folder, entry.offset, end, self.depth - 1)
        yield from inner.entries()

    def _entry(self, member, problem):
        name = member.name
        if not _name_problem(name):
            name = "/".join(part for part in name.split("/") if part not in ("", "."))
        return Entry(self.folder + name, member.offset_data, member.size, problem)

    def _next(self):
        """The next member with its real name and size, or None at the end."""
        name, pax = None, {}
        while True:
            member = self._header()
            if member is None:
                if name is not None or pax:
                    raise _Broken(f"ends after a member's name, at byte {self._at}")
                return None
            if member.type not in _EXTENSIONS:
                break
            data = self._extension(member)
            if member.type in _LONG_NAME:
                name = _text(data.split(b"\0")[0])
            elif member.type in _PAX:
                pax = _pax_records(data, self._at)
        member.name = pax.get("path", name if name is not None else member.name)
        member.pax_headers = pax
        if "size" in pax:
            member.size = _decimal(pax["size"], self._at)
        if _has_data(member):
            self._skip(member.size)
        return member

    def _header(self):
        """The member whose header is next, `offset_data` set; None at the end mark."""
        block = _read(self.file, self._at, max(0, min(_BLOCK, self._end - self._at)))
        if not block:
            raise _Broken(f"has no end mark: cut off at byte {self._at}?")
        if len(block) < _BLOCK:
            raise _Broken(f"is cut off at byte {self._at}, in a header")
        if not any(block):
            return None
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise _Broken(f"is broken at byte {self._at}: {error}") from error
        if member.size < 0:
            raise _Broken(f"is broken at byte {self._at}: negative size")
        self._at += _BLOCK
        member.offset_data = self._at
        return member

    def _extension(self, member):
        """The data of a header that describes the member after it."""
        if member.type in _PAX_GLOBAL or member.type in _LONG_LINK:
            self._skip(member.size)
            return b""
        if member.size > _MAX_NAME_BYTES:
            raise _Broken(f"is broken at byte {self._at}: {member.size} bytes of name")
        data = _read(self.file, self._at, min(member.size, self._end - self._at))
        if len(data) < member.size:
            raise _Broken(f"is cut off at byte {self._at}, in a member's name")
        self._skip(member.size)
        return data

    def _skip(self, size):
        self._at += -(-size // _BLOCK) * _BLOCK


def _has_data(member):
    """Whether data follow the header; links and folders may state a size for nothing."""
    return member.isreg() or member.type not in tarfile.SUPPORTED_TYPES


def _is_sparse(member):
    return any(key.startswith("GNU.sparse.") for key in member.pax_headers)


def _name_problem(name):
    """Why a name is not accepted, or ""."""
    if not name.strip("/."):
        return "has no name"
    if name.startswith("/"):
        return "has an absolute name"
    if ".." in name.split("/"):
        return "has a name that leaves its folder"
    return ""


def _text(data):
    return data.decode("utf-8", "surrogateescape")


def _pax_records(data, place):
    """{keyword: value} of a pax header: lines of "length keyword=value"."""
    found = {}
    while data.strip(b"\0"):
        length, _, _ = data.partition(b" ")
        end = _decimal(_text(length), place)
        keyword, equals, value = data[len(length) + 1 : end - 1].partition(b"=")
        if not equals or data[end - 1 : end] != b"\n":
            raise _Broken(f"is broken at byte {place}: bad pax header")
        found[_text(keyword)] = _text(value)
        data = data[end:]
    return found


def _decimal(text, place):
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _Broken(f"is broken at byte {place}: bad number in a pax header")
    return int(text)
