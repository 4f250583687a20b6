"""Assigns the inputs of a build to splits and shards, in a database on disk.

Which input goes to which shard is kept in a small SQLite database in the output folder,
not in memory: a build of two million inputs needs no more memory than a build of ten.
Workers, on other machines too, read the inputs of their shard from it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence

from data_prep.build.inputs import Input, file_state
from data_prep.build.shards import STATE_FOLDER, ShardJob
from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar

_FILE = "inputs.sqlite"
_SPLITS = ("train", "validation", "test")
# Training shards of a set that has at least as many inputs.
_MIN_SHARDS = 16
_ROWS_PER_INSERT = 10_000
# The database's page cache, in KiB (SQLite takes a negative number for KiB).
_CACHE_KIB = -16_000

_SCHEMA = """
CREATE TABLE listed (
  key BLOB PRIMARY KEY, hash BLOB, split TEXT, detail BLOB
) WITHOUT ROWID;
CREATE TABLE assigned (
  split TEXT, shard INTEGER, hash BLOB, key BLOB, detail BLOB,
  PRIMARY KEY (split, shard, hash, key)
) WITHOUT ROWID;
"""
# Neighbours in a folder tree resemble each other. So inputs go to the shards in turn, by
# sorted key: each shard has some of every folder. Inside a shard, the order is by hash.
_ASSIGN = """
INSERT INTO assigned
SELECT split, (row_number() OVER (ORDER BY key) - 1) % :shards AS shard, hash, key, detail
FROM listed WHERE split = :split ORDER BY shard, hash, key
"""


@dataclasses.dataclass(frozen=True)
class DivisionOptions:
    """How inputs are divided into splits and shards.

    Attributes:
      num_shards: number of training shards; 0 chooses it by `inputs_per_shard`.
      inputs_per_shard: number of inputs of a shard in large sets; smaller sets have 16
        shards.
      validation_fraction: share of the inputs that is held out, if they name no split.
    """

    num_shards: int
    inputs_per_shard: int
    validation_fraction: float


@dataclasses.dataclass(frozen=True)
class ShardAssignment:
    """The shards of a build and what identifies their inputs.

    Attributes:
      jobs: the shards to write, in order.
      names_digest: digest of the inputs' keys, splits and details.
      files_digest: digest of the sizes and times of change of the input files; "" if
        the inputs are no files.
      is_validation_drawn: whether the held-out inputs were drawn, as no input names a
        split.
    """

    jobs: tuple[ShardJob, ...]
    names_digest: str
    files_digest: str
    is_validation_drawn: bool

    @property
    def num_inputs(self) -> int:
        return sum(job.count for job in self.jobs)


def assign_inputs(
    output: str,
    inputs: Iterable[Input | str],
    division: DivisionOptions,
    directory: str = "",
    containers: Sequence[str] = (),
    check: Callable[[ShardAssignment], None] | None = None,
) -> ShardAssignment:
    """Assigns the inputs of a build to shards and stores this in the output folder.

    Args:
      output: the output folder, whose lock must be held.
      inputs: the inputs, or their keys; the first of two with the same key counts.
      division: numbers of shards, and the held-out share.
      directory: folder that keys are relative to, or "".
      containers: files that hold the inputs, such as archives; folders are ignored.
      check: called before the assignment replaces that of an earlier call; raises an
        exception to prevent this.

    Returns:
      the assignment; it depends only on the arguments.

    Raises:
      UserError: there is no input, or some inputs name a split and others do not.
    """
    path = os.path.join(output, STATE_FOLDER, _FILE)
    temporary = files.temporary_name(path)
    try:
        with contextlib.closing(_open(temporary, "nolock=1")) as database:
            _create_tables(database)
            _insert(database, inputs)
            is_drawn = _has_no_splits(database)
            counts = _settle_splits(database, output, division.validation_fraction)
            names_digest, files_digest = _digests(database, directory, containers)
            shards = _choose_shards(counts, division)
            for split, number in shards.items():
                database.execute(_ASSIGN, {"split": split, "shards": number})
            database.execute("DROP TABLE listed")
            database.commit()
        jobs = tuple(_jobs(output, counts, shards))
        assignment = ShardAssignment(jobs, names_digest, files_digest, is_drawn)
        if check is not None:
            check(assignment)
        files.publish(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)
    return assignment


def read_inputs(job: ShardJob) -> Iterator[Input]:
    """Yields the inputs of a shard, in the shard's order."""
    path = os.path.join(job.directory, STATE_FOLDER, _FILE)
    with contextlib.closing(_open(path, "mode=ro&immutable=1")) as database:
        for key, detail in database.execute(
            "SELECT key, detail FROM assigned WHERE split = ? AND shard = ? "
            "ORDER BY hash, key",
            (job.split, job.index),
        ):
            yield Input(_text(key), job.split, _text(detail))


def _open(path: str, options: str) -> sqlite3.Connection:
    address = urllib.parse.quote(_bytes(os.path.abspath(path)))
    return sqlite3.connect(f"file:{address}?{options}", uri=True)


def _create_tables(database: sqlite3.Connection) -> None:
    # No journal: after a crash, the next call starts with a new database.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(f"PRAGMA cache_size = {_CACHE_KIB}")
    database.executescript(_SCHEMA)


def _insert(database: sqlite3.Connection, inputs: Iterable[Input | str]) -> None:
    rows: list[tuple[bytes, bytes, str, bytes]] = []
    count = 0
    with ProgressBar("inputs listed", total=None) as progress:
        for item in inputs:
            key, split, detail = Input(item) if isinstance(item, str) else item
            name = _bytes(key)
            rows.append((name, hashlib.sha256(name).digest(), split, _bytes(detail)))
            count += 1
            if len(rows) == _ROWS_PER_INSERT:
                _insert_rows(database, rows)
                progress.update(count)
        _insert_rows(database, rows)


def _insert_rows(
    database: sqlite3.Connection, rows: list[tuple[bytes, bytes, str, bytes]]
) -> None:
    database.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?, ?, ?)", rows)
    rows.clear()


def _has_no_splits(database: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM listed WHERE split != '' LIMIT 1"
    return database.execute(query).fetchone() is None


def _settle_splits(
    database: sqlite3.Connection, output: str, validation_fraction: float
) -> dict[str, int]:
    """Draws the validation split if the inputs name no split.

    Returns:
      number of inputs by split, train first.
    """
    counts: dict[str, int] = dict(
        database.execute("SELECT split, count(*) FROM listed GROUP BY split")
    )
    if not counts:
        raise UserError(f"{output}: nothing to build, as no input was found")
    if set(counts) - {"", *_SPLITS} or ("" in counts and len(counts) > 1):
        raise UserError(
            f"the inputs name the splits {sorted(counts)}; expected {_SPLITS}, or no "
            "split for all of them"
        )
    if "" not in counts:
        return {split: counts[split] for split in _SPLITS if split in counts}
    num_held_out = _num_held_out(counts[""], validation_fraction)
    database.execute("UPDATE listed SET split = 'train'")
    database.execute(
        "UPDATE listed SET split = 'validation' WHERE key IN "
        "(SELECT key FROM listed ORDER BY hash LIMIT ?)",
        (num_held_out,),
    )
    drawn = {"train": counts[""] - num_held_out, "validation": num_held_out}
    return {split: count for split, count in drawn.items() if count}


def _num_held_out(count: int, validation_fraction: float) -> int:
    if validation_fraction <= 0 or count < 2:
        return 0
    return min(max(1, round(validation_fraction * count)), count - 1)


def _choose_shards(counts: dict[str, int], division: DivisionOptions) -> dict[str, int]:
    """Number of shards by split: that of the first split, the others in proportion."""
    first, first_count = next(iter(counts.items()))
    shards = division.num_shards or max(
        _MIN_SHARDS, -(-first_count // division.inputs_per_shard)
    )
    shards = min(shards, first_count)
    return {
        split: shards
        if split == first
        else min(count, max(1, round(shards * count / first_count)))
        for split, count in counts.items()
    }


def _jobs(
    output: str, counts: dict[str, int], shards: dict[str, int]
) -> Iterator[ShardJob]:
    for split, number in shards.items():
        for index in range(number):
            yield ShardJob(
                directory=output,
                file=f"{split}-{index:05d}-of-{number:05d}.tfrecord",
                split=split,
                index=index,
                count=len(range(index, counts[split], number)),
            )


def _digests(
    database: sqlite3.Connection, directory: str, containers: Sequence[str]
) -> tuple[str, str]:
    """The two digests of a `ShardAssignment`."""
    names, states = hashlib.sha256(), hashlib.sha256()
    # A folder changes with every stray file in it, so only files count.
    for path in containers:
        if not os.path.isdir(path):
            states.update(_state_line(path))
    for key, split, detail in database.execute(
        "SELECT key, split, detail FROM listed ORDER BY key"
    ):
        # The fixed length of these digests keeps the texts apart.
        for part in (key, split.encode(), detail):
            names.update(hashlib.sha256(part).digest())
        if directory:
            states.update(_state_line(os.path.join(directory, _text(key))))
    has_files = bool(directory or containers)
    return names.hexdigest(), states.hexdigest() if has_files else ""


def _state_line(path: str) -> bytes:
    state = file_state(path)
    return f"{state}\n".encode() if state else b""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
