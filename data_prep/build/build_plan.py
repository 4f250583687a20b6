"""What a build will do, fixed before it begins, and the folder's claim to it.

Which input goes to which shard is kept in a small database in the output folder, not
in memory: a build of two million inputs needs no more memory than one of ten. Workers,
on other machines too, read their shard's inputs from there.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sqlite3
import urllib.parse

from data_prep.build.inputs import Input
from data_prep.build.shards import STATE_FOLDER, ShardJob
from selfsup.common import files
from selfsup.data import manifest as manifests
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar

DATABASE = "inputs.sqlite"
_PLAN_FILE = "build.json"
_LOCK_FILE = "lock"
_SPLITS = ("train", "validation", "test")
_FEW_SHARDS = 16
_INSERTED_AT_ONCE = 10_000
# The database's page cache, in KiB (negative, as SQLite has it).
_CACHE = -16_000

_SCHEMA = """
CREATE TABLE listed (
  key BLOB PRIMARY KEY, hash BLOB, split TEXT, detail BLOB
) WITHOUT ROWID;
CREATE TABLE dealt (
  split TEXT, shard INTEGER, hash BLOB, key BLOB, detail BLOB,
  PRIMARY KEY (split, shard, hash, key)
) WITHOUT ROWID;
"""
# Dealt out in turn by sorted key: neighbours in a folder tree resemble each other, so
# readers profit when a shard has a bit of every folder. Inside a shard, by hash.
_DEAL = """
INSERT INTO dealt
SELECT split, (row_number() OVER (ORDER BY key) - 1) % :shards AS shard, hash, key, detail
FROM listed WHERE split = :split ORDER BY shard, hash, key
"""


@dataclasses.dataclass(frozen=True)
class Division:
    """How inputs are divided.

    Attributes:
      num_shards: training shards; 0 for `inputs_per_shard` in each.
      inputs_per_shard: see above; small sets have 16 shards all the same.
      validation_fraction: share held out of inputs that name no split.
    """

    num_shards: int
    inputs_per_shard: int
    validation_fraction: float


@dataclasses.dataclass(frozen=True)
class Listing:
    """The inputs of a build, dealt out to shards.

    Attributes:
      jobs: the shards to write, in order.
      names: digest of the inputs' keys, splits and details.
      state: digest of the sizes and times of change of the files behind them.
      is_drawn: whether the held-out inputs were drawn, as no input names a split.
    """

    jobs: tuple
    names: str
    state: str
    is_drawn: bool

    @property
    def count(self):
        return sum(job.count for job in self.jobs)


@contextlib.contextmanager
def locked(output):
    """Holds the output folder; the system lets go of it when the process ends."""
    if os.path.isdir(output) and not os.path.isdir(os.path.join(output, STATE_FOLDER)):
        check_claim(output)  # Leaves nothing in a folder that is not for us.
    os.makedirs(os.path.join(output, STATE_FOLDER), exist_ok=True)
    path = os.path.join(output, STATE_FOLDER, _LOCK_FILE)
    with files.locked(path, f"{output}: another builder is writing there"):
        yield


def list_inputs(output, inputs, division, directory="", containers=(), check=None):
    """Lists a build's inputs in its database and deals them out to shards.

    Args:
      output: the output folder, which must be held (`locked`).
      inputs: iterable of `Input`s or str keys; of two with one key, the first counts.
      division: a `Division`.
      directory: folder that keys are relative to, or "".
      containers: files that hold the inputs, such as archives; folders do not count.
      check: called with the `Listing` before it replaces that of an earlier call, to
        raise where it is not to.

    Returns:
      a `Listing`; it depends on nothing but the arguments.

    Raises:
      UserError: when there is no input, or some have a split and others have not.
    """
    path = os.path.join(output, STATE_FOLDER, DATABASE)
    temporary = files.temporary_name(path)
    try:
        with contextlib.closing(_open(temporary, "nolock=1")) as database:
            _set_up(database)
            _insert(database, inputs)
            is_drawn = _has_no_splits(database)
            counts = _settle_splits(database, output, division.validation_fraction)
            names, state = _digests(database, directory, containers)
            shards = _choose_shards(counts, division)
            for split, number in shards.items():
                database.execute(_DEAL, {"split": split, "shards": number})
            database.execute("DROP TABLE listed")
            database.commit()
        jobs = tuple(_jobs(output, counts, shards))
        listing = Listing(jobs, names, state, is_drawn)
        if check is not None:
            check(listing)
        files.publish(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)
    return listing


def inputs_of(job):
    """Yields the `Input`s of a `ShardJob`, in the shard's order."""
    path = os.path.join(job.directory, STATE_FOLDER, DATABASE)
    with contextlib.closing(_open(path, "mode=ro&immutable=1")) as database:
        for key, detail in database.execute(
            "SELECT key, detail FROM dealt WHERE split = ? AND shard = ? "
            "ORDER BY hash, key",
            (job.split, job.index),
        ):
            yield Input(_text(key), job.split, _text(detail))


def _open(path, options):
    address = urllib.parse.quote(
        os.path.abspath(path).encode("utf-8", "surrogateescape")
    )
    return sqlite3.connect(f"file:{address}?{options}", uri=True)


def _set_up(database):
    # A half-made database is made anew: it needs no journal.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(f"PRAGMA cache_size = {_CACHE}")
    database.executescript(_SCHEMA)


def _insert(database, inputs):
    rows = []
    count = 0
    with ProgressBar("inputs listed", total=None) as progress:
        for item in inputs:
            key, split, detail = Input(item) if isinstance(item, str) else item
            rows.append((_bytes(key), _hash(key), split, _bytes(detail)))
            count += 1
            if len(rows) == _INSERTED_AT_ONCE:
                _insert_rows(database, rows)
                progress.update(count)
        _insert_rows(database, rows)


def _insert_rows(database, rows):
    database.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?, ?, ?)", rows)
    rows.clear()


def _has_no_splits(database):
    return not database.execute(
        "SELECT 1 FROM listed WHERE split != '' LIMIT 1"
    ).fetchone()


def _settle_splits(database, output, validation_fraction):
    """Draws the split where inputs name none; returns {split: number of inputs}."""
    counts = dict(database.execute("SELECT split, count(*) FROM listed GROUP BY split"))
    if not counts:
        raise UserError(f"{output}: nothing to build: no input was found")
    if set(counts) - {""} - set(_SPLITS) or ("" in counts and len(counts) > 1):
        raise UserError(f"inputs of the splits {sorted(counts)}, expected {_SPLITS}")
    if "" not in counts:
        return {split: counts[split] for split in _SPLITS if split in counts}
    held_out = _held_out(counts[""], validation_fraction)
    database.execute("UPDATE listed SET split = 'train'")
    database.execute(
        "UPDATE listed SET split = 'validation' WHERE key IN "
        "(SELECT key FROM listed ORDER BY hash LIMIT ?)",
        (held_out,),
    )
    drawn = {"train": counts[""] - held_out, "validation": held_out}
    return {split: count for split, count in drawn.items() if count}


def _held_out(count, validation_fraction):
    if validation_fraction <= 0 or count < 2:
        return 0
    return min(max(1, round(validation_fraction * count)), count - 1)


def _choose_shards(counts, division):
    """{split: number of shards}: the first split's, and the others in proportion."""
    first, count = next(iter(counts.items()))
    chosen = division.num_shards or max(
        _FEW_SHARDS, -(-count // division.inputs_per_shard)
    )
    chosen = min(chosen, count)
    return {
        split: chosen if split == first else _share(chosen, number, count)
        for split, number in counts.items()
    }


def _share(shards, number, count):
    return min(number, max(1, round(shards * number / count)))


def _jobs(output, counts, shards):
    for split, number in shards.items():
        for index in range(number):
            yield ShardJob(
                directory=output,
                file=f"{split}-{index:05d}-of-{number:05d}.tfrecord",
                split=split,
                index=index,
                count=len(range(index, counts[split], number)),
            )


def _digests(database, directory, containers):
    """(names, state) of a `Listing`."""
    names, state = hashlib.sha256(), hashlib.sha256()
    for path in containers:
        # A folder changes with every stray file in it.
        if not os.path.isdir(path):
            _add_state(state, path)
    for key, split, detail in database.execute(
        "SELECT key, split, detail FROM listed ORDER BY key"
    ):
        # Digests of fixed length, whatever the texts hold.
        for part in (key, split.encode(), detail):
            names.update(hashlib.sha256(part).digest())
        if directory:
            _add_state(state, os.path.join(directory, _text(key)))
    return names.hexdigest(), state.hexdigest() if directory or containers else ""


def _add_state(digest, path):
    """Adds what changes when the file is replaced."""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())


def _hash(key):
    return hashlib.sha256(_bytes(key)).digest()


def _bytes(key):
    return key.encode("utf-8", "surrogateescape")


def _text(key):
    return key.decode("utf-8", "surrogateescape")


def as_stored(plan):
    """`plan` as it is read back: JSON knows no tuples."""
    return json.loads(json.dumps(plan))


def check_claim(output):
    """Refuses a folder that holds a built set or another's files; returns its plan.

    Returns:
      the plan (a dict) of the build begun there; None if there is none yet.
    """
    path = os.path.join(output, STATE_FOLDER, _PLAN_FILE)
    if os.path.exists(path):
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except ValueError as error:
            raise UserError(f"{path}: not a build's state: {error}") from error
    if os.path.exists(os.path.join(output, manifests.FILE_NAME)):
        raise UserError(f"{output}: holds a built set already; give another folder")
    foreign = sorted(set(os.listdir(output)) - {STATE_FOLDER})
    if foreign:
        raise UserError(
            f"{output}: has other files ({foreign[0]}, ...); give a folder of its own"
        )
    return None


def adopt(output, begun, plan):
    """Stores the plan of a new build, or checks that it is the one begun there."""
    if begun is None:
        path = os.path.join(output, STATE_FOLDER, _PLAN_FILE)
        files.write_atomically(path, json.dumps(plan, indent=1))
        return
    changes = "; ".join(_changes(begun, plan))
    if changes:
        raise UserError(
            f"{output}: was begun from something else ({changes}); give another "
            "--output, or delete this one to build it anew"
        )


def _changes(begun, plan):
    """One phrase for each difference between two plans."""
    for name, value in plan.items():
        before = begun.get(name)
        if before == value:
            continue
        if name == "inputs" and before["count"] == value["count"]:
            yield "other input files, or changed since"
        elif name == "inputs":
            yield f"{before['count']} input files then, {value['count']} now"
        elif isinstance(value, dict):
            yield from _changes(before, value)
        else:
            yield f"{name}: {before} then, {value} now"
