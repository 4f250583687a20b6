"""Which videos a build takes: those of a folder tree or of a list, or a subset.

Nothing here holds the videos' names in memory: what must be looked up or ordered is in
SQLite's temporary files.
"""

import contextlib
import hashlib
import os
import sqlite3
import sys
import urllib.parse

from data_prep.build import inputs
from data_prep.build.inputs import Input
from selfsup.common.errors import UserError

EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi"),
    *(".divx", ".mpg", ".mpeg", ".mpe", ".m2v", ".ts", ".mts", ".m2ts", ".vob"),
    *(".wmv", ".asf", ".flv", ".f4v", ".ogv", ".ogm", ".y4m", ".mjpeg", ".gif"),
)
MISSING = "in the list, but not on disk"
OUTSIDE = "in the list, but outside the input folder"
# SQLite's page cache, in KiB (negative, as it has it).
_CACHE = -16_000


def find_videos(directory, output, quiet=False):
    """Yields the paths of a folder's videos, by extension; reports what else is there.

    Args:
      directory: the input folder.
      output: the builder's output folder, which is passed over.
      quiet: reports nothing.
    """
    return inputs.find_files(directory, output, _looks_like_video, "videos", quiet)


def find_listed(directory, output, list_file):
    """Yields an `Input` for each line of a list of videos.

    A line is a path below the input folder, or an id: the name, without its extension,
    of a file anywhere below it. Of an address, the last part is the id, or the file's
    name (the part `v=` where there is one). Empty lines and those that begin with # do
    not count.

    Args:
      directory, output: as in `find_videos`.
      list_file: text file.

    Yields:
      `Input`s; of those that cannot be used, `detail` says why.

    Raises:
      UserError: no such folder or list.
    """
    if not os.path.isdir(directory):
        raise UserError(f"--input={directory}: is no folder")
    lines = missing = 0
    with contextlib.closing(_StemIndex(directory, output)) as index:
        for line in _lines(list_file):
            item = _resolve(line, directory, index)
            lines += 1
            missing += bool(item.detail)
            yield item
    if not lines:
        raise UserError(f"--list={list_file}: holds no line")
    print(
        f"{list_file}: {lines} videos, {missing} of them not on disk", file=sys.stderr
    )


def choose(items, limit):
    """Yields the `limit` videos with the smallest hashes of their names.

    The same are chosen in every build, and nearly the same when there are more videos.

    Args:
      items: iterable of `Input`s or str keys. Those that cannot be used (their `detail`
        says why) are yielded besides, and do not count.
      limit: how many; all when there are fewer.
    """
    with contextlib.closing(
        _table("chosen (hash BLOB, key BLOB PRIMARY KEY)")
    ) as table:
        for item in items:
            item = Input(item) if isinstance(item, str) else item
            if item.detail:
                yield item
                continue
            key = os.fsencode(item.key)
            # Not the hash by which the writer holds inputs out.
            digest = hashlib.sha256(b"chosen\0" + key).digest()
            table.execute("INSERT OR IGNORE INTO chosen VALUES (?, ?)", (digest, key))
        for (key,) in table.execute(
            "SELECT key FROM chosen ORDER BY hash LIMIT ?", (limit,)
        ):
            yield Input(os.fsdecode(key))


def _looks_like_video(path):
    return path.lower().endswith(EXTENSIONS)


def _lines(list_file):
    """Yields the lines of the list that say something."""
    try:
        with open(list_file, encoding="utf-8-sig", errors="surrogateescape") as file:
            for line in file:
                line = line.strip()
                if "\0" in line:
                    raise UserError(f"--list={list_file}: is no text in UTF-8")
                if line and not line.startswith("#"):
                    yield line
    except OSError as error:
        raise UserError(f"--list={list_file}: cannot be read: {error}") from error


def _resolve(line, directory, index):
    """The `Input` that a line of the list means."""
    if "://" in line:
        return _of_name(_name_of_address(line), line, index)
    path = os.path.normpath(line)
    if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
        return Input(line, detail=OUTSIDE)
    if os.path.isfile(os.path.join(directory, path)):
        return Input(path)
    if os.sep in path:
        return Input(line, detail=MISSING)
    return _of_name(path, line, index)


def _of_name(name, line, index):
    """The `Input` of a video by an id or a file's name; "" is none."""
    path = index.path(_stem(name) if _looks_like_video(name) else name)
    return Input(line, detail=MISSING) if path is None else Input(path)


def _name_of_address(address):
    """The id or file name that an address ends in; "" where it has none or is none."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        return ""
    given = urllib.parse.parse_qs(parts.query).get("v")
    if given:
        return given[0]
    last = parts.path.rstrip("/").rpartition("/")[2]
    return urllib.parse.unquote(last, errors="surrogateescape")


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


class _StemIndex:
    """The videos of a folder by name without extension; made when first asked."""

    def __init__(self, directory, output):
        self._place = directory, output
        self._table = None

    def path(self, stem):
        """The first path, in order, of a video of that name; None if there is none."""
        if self._table is None:
            self._table = _table("videos (stem BLOB PRIMARY KEY, path BLOB)")
            for path in find_videos(*self._place, quiet=True):
                self._add(path)
        found = self._table.execute(
            "SELECT path FROM videos WHERE stem = ?", (os.fsencode(stem),)
        ).fetchone()
        return os.fsdecode(found[0]) if found else None

    def _add(self, path):
        stem = _stem(path)
        self._table.execute(
            "INSERT INTO videos VALUES (?, ?) "
            "ON CONFLICT (stem) DO UPDATE SET path = min(path, excluded.path)",
            (os.fsencode(stem), os.fsencode(path)),
        )

    def close(self):
        if self._table is not None:
            self._table.close()


def _table(columns):
    """A database of one table, in a temporary file that goes when it is closed."""
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute(f"PRAGMA cache_size = {_CACHE}")
    database.execute(f"CREATE TABLE {columns} WITHOUT ROWID")
    return database
