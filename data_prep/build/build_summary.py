"""Finishes a build: lists the inputs set aside and repaired, writes the manifest."""

from __future__ import annotations

import collections
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator

from data_prep.build.build_plan import Plan
from data_prep.build.input_database import ShardAssignment
from data_prep.build.shards import read_result
from selfsup.common import files, versions
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests
from selfsup.data.manifest import Manifest

SET_ASIDE_FILE = "set_aside.tsv"
REPAIRED_FILE = "repaired.tsv"
_PACKAGES = ("tensorflow", "numpy", "Pillow", "pillow-heif", "opencv-python-headless")
_HELD_OUT_ADVICE = (
    " (to hold nothing out, use validation_fraction=0 and a new output folder)"
)


def finish(output: str, plan: Plan, assignment: ShardAssignment) -> Manifest:
    """Writes the lists and the manifest of a build whose shards are all finished.

    Raises:
      UserError: no record can be used, or no record can be used for training.
    """
    shards: list[manifests.Shard] = []
    counts: collections.Counter[str] = collections.Counter()
    set_aside, repaired = _InputList(), _InputList()
    for job in assignment.jobs:
        result = read_result(job)
        if result is None:
            raise UserError(
                f"{job.path}: has changed since it was written; run the same command "
                "again to rebuild it"
            )
        shards.append(
            manifests.Shard(
                result.file, result.split, result.records, result.bytes, result.sha256
            )
        )
        set_aside.add(result.set_aside)
        repaired.add(result.repaired)
        counts.update(result.counts)
    set_aside.write(os.path.join(output, SET_ASIDE_FILE))
    repaired.write(os.path.join(output, REPAIRED_FILE))
    num_inputs = assignment.num_inputs
    manifest = Manifest(
        kind=plan["kind"],
        features=tuple(plan["features"]),
        labels=tuple(plan["labels"]),
        shards=tuple(shards),
        inputs={
            "found": num_inputs,
            "used": num_inputs - set_aside.count,
            "set_aside": set_aside.count,
            "repaired": repaired.count,
            "counts": dict(sorted(counts.items())),
        },
        options=plan["options"],
        versions=versions.installed(_PACKAGES),
        directory=output,
    )
    _check_usable(manifest, set_aside, assignment.is_validation_drawn)
    manifests.write(manifest, output)
    _print_summary(manifest)
    return manifest


class _InputList:
    """Inputs with a text for each, sorted on disk, as they may be many.

    Attributes:
      count: number of inputs.
    """

    def __init__(self) -> None:
        self.count = 0
        # SQLite takes the empty name for a temporary file.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE lines (key TEXT, line TEXT)")

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Adds pairs of key and text."""
        rows = [(files.printable(key), files.printable(text)) for key, text in pairs]
        self._database.executemany("INSERT INTO lines VALUES (?, ?)", rows)
        self.count += len(rows)

    def lines(self, limit: int = -1) -> Iterator[tuple[str, str]]:
        """Yields (key, text) in order, without line breaks or control characters."""
        yield from self._database.execute(
            "SELECT key, line FROM lines ORDER BY key LIMIT ?", (limit,)
        )

    def write(self, path: str) -> None:
        """Writes tab-separated lines to a file, atomically."""
        temporary = files.temporary_name(path)
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(f"{key}\t{text}\n" for key, text in self.lines())
        files.publish(temporary, path)


def _check_usable(
    manifest: Manifest, set_aside: _InputList, is_validation_drawn: bool
) -> None:
    """Refuses a set without a record, or without a record in its training split."""
    # Test sets have no training split at all.
    needed = manifest.split("train") or manifest.shards
    if sum(shard.records for shard in needed):
        return
    examples = "; ".join(f"{key}: {reason}" for key, reason in set_aside.lines(3))
    path = os.path.join(manifest.directory, SET_ASIDE_FILE)
    unusable = f"({examples}); {path} lists all"
    num_inputs, used = manifest.inputs["found"], manifest.inputs["used"]
    if not used:
        raise UserError(f"none of {num_inputs} inputs can be used {unusable}")
    advice = _HELD_OUT_ADVICE if is_validation_drawn else ""
    raise UserError(
        f"nothing to train on: {used} of {num_inputs} inputs can be used, but these are "
        f"held out{advice}; the others cannot be used {unusable}"
    )


def _print_summary(manifest: Manifest) -> None:
    output, inputs = manifest.directory, manifest.inputs
    splits = dict.fromkeys(shard.split for shard in manifest.shards)
    records = ", ".join(f"{manifest.records(split)} {split}" for split in splits)
    lines = [
        f"{output}: {records} records from {inputs['used']} of {inputs['found']} inputs"
    ]
    lines += [
        f"{split}: no records, as all its inputs were set aside"
        for split in splits
        if not manifest.records(split)
    ]
    lines += [f"{name}: {number}" for name, number in inputs["counts"].items()]
    if inputs["set_aside"]:
        path = os.path.join(output, SET_ASIDE_FILE)
        lines.append(f"{inputs['set_aside']} set aside: see {path}")
    if inputs["repaired"]:
        path = os.path.join(output, REPAIRED_FILE)
        lines.append(f"{inputs['repaired']} repaired: see {path}")
    print("\n".join(lines), file=sys.stderr)
