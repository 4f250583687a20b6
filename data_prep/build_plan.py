"""What a build will do, fixed before it begins, and the folder's claim to it."""

import contextlib
import hashlib
import json
import os

from data_prep.shards import STATE_FOLDER, ShardJob
from selfsup.data import files
from selfsup.data import manifest as manifests
from selfsup.errors import UserError

_PLAN_FILE = "build.json"
_LOCK_FILE = "lock"
_FEW_SHARDS = 16
_INPUTS_PER_SHARD = 1024


def plan_shards(output, keys, num_shards, validation_fraction):
    """Jobs for all shards; depends on nothing but its arguments."""
    shuffled = sorted(keys, key=_hash)
    held_out = 0
    if validation_fraction > 0 and len(keys) > 1:
        held_out = max(1, round(validation_fraction * len(keys)))
        held_out = min(held_out, len(keys) - 1)
    validation = set(shuffled[:held_out])
    train = [key for key in keys if key not in validation]
    train_shards = min(num_shards or _choose_shards(len(train)), len(train))
    share = train_shards * held_out / len(train)
    return [
        *_split_jobs(output, "train", train, train_shards),
        *_split_jobs(output, "validation", sorted(validation), round(share)),
    ]


def _choose_shards(count):
    return max(min(_FEW_SHARDS, count), -(-count // _INPUTS_PER_SHARD))


def _split_jobs(output, split, keys, shards):
    """Deals `keys` out to `shards` jobs in turn; each then shuffles its hand.

    Neighbours in a folder tree resemble each other, so readers profit from both.
    """
    if not keys:
        return []
    shards = max(1, shards)
    return [
        ShardJob(
            directory=output,
            file=f"{split}-{index:05d}-of-{shards:05d}.tfrecord",
            split=split,
            keys=tuple(sorted(keys[index::shards], key=_hash)),
        )
        for index in range(shards)
    ]


def digest(keys):
    return _hash("\n".join(keys)).hex()


def _hash(key):
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def as_stored(plan):
    """`plan` as it is read back: JSON knows no tuples."""
    return json.loads(json.dumps(plan))


@contextlib.contextmanager
def locked(output):
    """Holds the output folder; the system lets go of it when the process ends."""
    os.makedirs(os.path.join(output, STATE_FOLDER), exist_ok=True)
    path = os.path.join(output, STATE_FOLDER, _LOCK_FILE)
    with files.locked(path, f"{output}: another builder is writing there"):
        yield


def adopt(output, plan):
    """Stores the plan of a new build, or checks that it is the one begun there."""
    path = os.path.join(output, STATE_FOLDER, _PLAN_FILE)
    if not os.path.exists(path):
        if os.path.exists(os.path.join(output, manifests.FILE_NAME)):
            raise UserError(f"{output}: holds a built set already; give another folder")
        foreign = sorted(set(os.listdir(output)) - {STATE_FOLDER})
        if foreign:
            raise UserError(
                f"{output}: has other files ({foreign[0]}, ...); give a folder of its own"
            )
        files.write_atomically(path, json.dumps(plan, indent=1))
        return
    try:
        with open(path, encoding="utf-8") as file:
            begun = json.load(file)
    except ValueError as error:
        raise UserError(f"{path}: not a build's state: {error}") from error
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
