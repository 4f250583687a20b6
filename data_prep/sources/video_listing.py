"""Lists the videos of a build: those in a folder or in a list, or a subset of them.

No function here holds the names of all videos in memory. SQLite's temporary files store
what must be looked up or sorted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import sys
import urllib.parse
from collections.abc import Iterable, Iterator

from data_prep.build import inputs
from data_prep.build.inputs import Input
from selfsup.common.errors import UserError, error_reason

EXTENSIONS = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi",
    ".divx", ".mpg", ".mpeg", ".mpe", ".m2v", ".ts", ".mts", ".m2ts", ".vob",
    ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".ogm", ".y4m", ".mjpeg", ".gif",
)  # fmt: skip
MISSING = "in the list, but not on disk"
OUTSIDE = "in the list, but outside the input folder"
# SQLite's page cache in KiB; SQLite takes a negative number.
_CACHE = -16_000


def find_videos(directory: str, output: str, quiet: bool = False) -> Iterator[str]:
    """Yields the paths of all videos below a folder, relative to the folder.

    A file is a video if its extension says so.

    Args:
      directory: the input folder, searched recursively.
      output: the builder's output folder, which is skipped.
      quiet: whether to omit the report on skipped files.

    Raises:
      UserError: `directory` is not a folder, or holds no video.
    """
    return inputs.find_files(directory, output, _looks_like_video, "videos", quiet)


def find_listed(directory: str, output: str, list_file: str) -> Iterator[Input]:
    """Yields an `Input` for each line of a list of videos.

    A line is one of these:
      - a path relative to the input folder;
      - an id: the name, without extension, of a file anywhere below the input folder;
      - an address whose last part, or the value of `v=` in it, is an id or a file name.
    Empty lines and lines that begin with "#" are skipped.

    Args:
      directory, output: see `find_videos`.
      list_file: the text file.

    Yields:
      an `Input` per line; its detail is "", or the reason why the video cannot be used.

    Raises:
      UserError: the folder or the list does not exist, or the list is empty.
    """
    if not os.path.isdir(directory):
        raise UserError(f"{directory}: is not a folder")
    lines = missing = 0
    with contextlib.closing(_StemIndex(directory, output)) as index:
        for line in _lines(list_file):
            item = _resolve(line, directory, index)
            lines += 1
            missing += bool(item.detail)
            yield item
    if not lines:
        raise UserError(f"{list_file}: holds no line")
    print(
        f"{list_file}: {lines} videos, {missing} of them not on disk", file=sys.stderr
    )


def choose(items: Iterable[str] | Iterable[Input], limit: int) -> Iterator[Input]:
    """Yields the `limit` videos with the smallest hashes of their names.

    The choice depends on the names only, and most of it stays when videos are added.

    Args:
      items: `Input`s or keys. Inputs that cannot be used (their detail is the reason)
        are yielded too, and do not count.
      limit: number of videos; all are yielded if there are fewer.
    """
    with contextlib.closing(
        _table("chosen (hash BLOB, key BLOB PRIMARY KEY)")
    ) as table:
        for item in items:
            video = Input(item) if isinstance(item, str) else item
            if video.detail:
                yield video
                continue
            key = os.fsencode(video.key)
            # The prefix makes this hash independent of the one that holds inputs out.
            digest = hashlib.sha256(b"chosen\0" + key).digest()
            table.execute("INSERT OR IGNORE INTO chosen VALUES (?, ?)", (digest, key))
        for (key,) in table.execute(
            "SELECT key FROM chosen ORDER BY hash LIMIT ?", (limit,)
        ):
            yield Input(os.fsdecode(key))


def _looks_like_video(path: str) -> bool:
    return path.lower().endswith(EXTENSIONS)


def _lines(list_file: str) -> Iterator[str]:
    """Yields the lines of a list, stripped, without empty lines and comments."""
    try:
        with open(list_file, encoding="utf-8-sig", errors="surrogateescape") as file:
            for line in file:
                line = line.strip()
                if "\0" in line:
                    raise UserError(f"{list_file}: is not a text file in UTF-8")
                if line and not line.startswith("#"):
                    yield line
    except OSError as error:
        raise UserError(
            f"{list_file}: cannot be read: {error_reason(error)}"
        ) from error


def _resolve(line: str, directory: str, index: _StemIndex) -> Input:
    """Returns the `Input` that a line of the list names."""
    if "://" in line:
        return _look_up(_name_in_address(line), line, index)
    path = os.path.normpath(line)
    if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
        return Input(line, detail=OUTSIDE)
    if os.path.isfile(os.path.join(directory, path)):
        return Input(path)
    if os.sep in path:
        return Input(line, detail=MISSING)
    return _look_up(path, line, index)


def _look_up(name: str, line: str, index: _StemIndex) -> Input:
    """Returns the `Input` of a video, given its id or file name ("" for neither)."""
    path = index.path(_stem(name) if _looks_like_video(name) else name)
    return Input(line, detail=MISSING) if path is None else Input(path)


def _name_in_address(address: str) -> str:
    """Returns the id or file name in an address; "" if it has none."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        return ""
    ids = urllib.parse.parse_qs(parts.query).get("v")
    if ids:
        return ids[0]
    last = parts.path.rstrip("/").rpartition("/")[2]
    return urllib.parse.unquote(last, errors="surrogateescape")


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


class _StemIndex:
    """An index of a folder's videos by name without extension, built on first use."""

    def __init__(self, directory: str, output: str) -> None:
        self._directory = directory
        self._output = output
        self._table: sqlite3.Connection | None = None

    def path(self, stem: str) -> str | None:
        """Returns the first path, in sorted order, of a video with that name."""
        if self._table is None:
            self._table = self._build()
        row = self._table.execute(
            "SELECT path FROM videos WHERE stem = ?", (os.fsencode(stem),)
        ).fetchone()
        return os.fsdecode(row[0]) if row else None

    def _build(self) -> sqlite3.Connection:
        table = _table("videos (stem BLOB PRIMARY KEY, path BLOB)")
        for path in find_videos(self._directory, self._output, quiet=True):
            table.execute(
                "INSERT INTO videos VALUES (?, ?) "
                "ON CONFLICT (stem) DO UPDATE SET path = min(path, excluded.path)",
                (os.fsencode(_stem(path)), os.fsencode(path)),
            )
        return table

    def close(self) -> None:
        if self._table is not None:
            self._table.close()


def _table(columns: str) -> sqlite3.Connection:
    """Creates a database with one table, in a temporary file deleted when closed."""
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute(f"PRAGMA cache_size = {_CACHE}")
    database.execute(f"CREATE TABLE {columns} WITHOUT ROWID")
    return database
