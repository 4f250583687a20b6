"""The built data sets of a run: which task reads which, and how much damage is allowed."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

import tensorflow as tf

from selfsup import tasks as task_registry
from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline, records
from selfsup.data.damage_limit import DamageLimit
from selfsup.data.manifest import Manifest
from selfsup.data.pipeline import DatasetSplit

FILE_NAME = "data.json"


def find_sets(data_dir: str, task_names: Iterable[str]) -> dict[str, list[Manifest]]:
    """Finds the built data sets that each task trains on.

    Args:
      data_dir: folder that contains the sets, at any depth.
      task_names: registered task names.

    Returns:
      the manifests of the sets by task.

    Raises:
      UserError: if the folder contains no set, or no set with the features that a task
        reads.
    """
    all_sets = manifest.find(data_dir)
    return {name: _sets_for(name, all_sets) for name in task_names}


def _sets_for(name: str, all_sets: list[Manifest]) -> list[Manifest]:
    try:
        return pipeline.select_sets(task_registry.task_class(name).features, all_sets)
    except UserError as error:
        raise UserError(f"{name}: {error}; or remove this task") from error


class SetDescription(TypedDict):
    """What `FILE_NAME` in a run's folder says about a built data set.

    Attributes:
      directory: folder of the set.
      kind, features: see `Manifest`; runs of earlier versions have no features.
      records: number of records by split, "train" and "validation".
      shards: SHA-256 digest by file name.
    """

    directory: str
    kind: str
    features: list[str]
    records: dict[str, int]
    shards: dict[str, str]


class TrainingData:
    """The records of each task of a run.

    Attributes:
      train: the training records by task.
      damage_limits: by task, what ends the run when too many records are missing.
    """

    def __init__(
        self, sets: Mapping[str, list[Manifest]], max_lost_fraction: float
    ) -> None:
        """Opens the training split of each task's sets.

        Args:
          sets: the manifests of the sets by task, see `find_sets`.
          max_lost_fraction: see `RunConfig`.

        Raises:
          UserError: if a split is empty or unreadable, or if the file sizes already
            show that more records are missing than allowed.
        """
        self._sets = sets
        self.train = {
            name: DatasetSplit(manifests, "train") for name, manifests in sets.items()
        }
        self.damage_limits = {
            name: DamageLimit(name, source, max_lost_fraction)
            for name, source in self.train.items()
        }
        for limit in self.damage_limits.values():
            limit.check_before_training()

    def held_out(self) -> dict[str, DatasetSplit]:
        """Opens the validation splits; tasks without held-out records are left out."""
        return {
            name: DatasetSplit(manifests, "validation")
            for name, manifests in self._sets.items()
            if sum(built.records("validation") for built in manifests)
        }

    def save(self, model_dir: str, compare: bool) -> None:
        """Writes to a run's folder which sets the run reads.

        Args:
          model_dir: the folder of the run.
          compare: whether to compare the sets with those in an existing file first. A
            checkpoint stores positions in the records, and on other data a position
            means other examples.

        Raises:
          UserError: if the shards differ from those in the existing file.
        """
        sets = {
            built.directory: built
            for manifests in self._sets.values()
            for built in manifests
        }
        descriptions = [_describe(built) for _, built in sorted(sets.items())]
        path = os.path.join(model_dir, FILE_NAME)
        if compare and os.path.exists(path):
            _refuse_other_data(path, descriptions)
        files.write_atomically(path, json.dumps(descriptions, indent=1))


def _describe(built: Manifest) -> SetDescription:
    splits = ("train", "validation")
    return {
        "directory": built.directory,
        "kind": built.kind,
        "features": list(built.features),
        "records": {split: built.records(split) for split in splits},
        "shards": {shard.file: shard.sha256 for shard in built.shards},
    }


def _refuse_other_data(path: str, sets: Sequence[SetDescription]) -> None:
    with open(path, encoding="utf-8") as file:
        stored = json.load(file)
    if _digests(stored) != _digests(sets):
        raise UserError(
            f"{path}: {_difference(stored, sets)}. Restore the data, or give another "
            "model_dir"
        )


def _digests(sets: Sequence[SetDescription]) -> list[list[str]]:
    """The checksums of the shards, set by set: the same for sets that were moved."""
    return sorted(sorted(described["shards"].values()) for described in sets)


def _difference(
    stored: Sequence[SetDescription], sets: Sequence[SetDescription]
) -> str:
    before, now = _directories(stored), _directories(sets)
    if before == now:
        return f"the shards of {now} have changed since this run started"
    return f"this run was started on {before}; now it would read other data, {now}"


def _directories(sets: Sequence[SetDescription]) -> str:
    return ", ".join(described["directory"] for described in sets)


@contextlib.contextmanager
def translate_data_errors() -> Iterator[None]:
    """Turns TensorFlow's errors about unusable data in the block into `UserError`s.

    These are errors about files that have disappeared since the start, and about
    records that a task cannot use.

    Raises:
      UserError: in place of such an error of TensorFlow.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        bad_record = re.search(rf"\[({records.BAD_RECORD} .*)\]", error.message)
        if not bad_record:
            raise
        raise UserError(f"{bad_record[1]}; build the data set again") from error
    except (tf.errors.NotFoundError, tf.errors.PermissionDeniedError) as error:
        reason = re.sub(r"{{.*?}} *|\[Op:.*", "", error.message).strip()
        raise UserError(
            f"a file can no longer be read or written: {reason}. Restore the file or its "
            "permissions, then run the same command again to resume from the last "
            "checkpoint"
        ) from error
