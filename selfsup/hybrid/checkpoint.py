"""Atomic checkpoints: a checkpoint is a folder that appears complete or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any, Union

import tensorflow as tf

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.hybrid.placement import local_cpu

STATE = "state.json"
VARIABLES = "variables"
# An object whose variables TensorFlow finds by the names of its attributes.
Trackable = Union[tf.Module, tf.train.Checkpoint]
# A JSON object.
State = dict[str, Any]
# What TensorFlow's reader raises on a damaged file; IndexError if the file is too short.
_UNREADABLE = (OSError, ValueError, AssertionError, IndexError, tf.errors.OpError)
_NAME = re.compile(r"^(checkpoint|snapshot)-(\d+)$")


@dataclasses.dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run, in one folder.

    Folders `checkpoint-STEPS` are for resuming; only the last `keep` of them are kept.
    Folders `snapshot-NUMBER` are requested by the cost clock; all of them are kept.

    Attributes:
      directory: folder that holds them; made when missing.
      keep: number of checkpoints to keep.
    """

    directory: str
    keep: int = 2

    def names(self, kind: str = "checkpoint") -> list[str]:
        """Returns the names of the complete checkpoints of a kind, oldest first."""
        if not os.path.isdir(self.directory):
            return []
        matches = map(_NAME.match, os.listdir(self.directory))
        present = [match for match in matches if match and match[1] == kind]
        return [match[0] for match in sorted(present, key=lambda match: int(match[2]))]

    def latest(self) -> str | None:
        """Returns the name of the newest checkpoint, or None."""
        names = self.names()
        return names[-1] if names else None

    def path(self, name: str) -> str:
        """Returns the folder of checkpoint `name`.

        Raises:
          UserError: if it does not exist; lists the existing checkpoints.
        """
        path = os.path.join(self.directory, name)
        if not os.path.isfile(os.path.join(path, STATE)):
            existing = ", ".join(self.names() + self.names("snapshot")) or "none"
            raise UserError(
                f"{self.directory}: no checkpoint {name!r}; existing checkpoints: "
                f"{existing}"
            )
        return path

    def save(self, name: str, trackable: Trackable, state: Mapping[str, Any]) -> None:
        """Writes checkpoint `name`.

        Args:
          name: name of the checkpoint.
          trackable: has the variables to store.
          state: a JSON object to store beside them.

        Raises:
          UserError: if it cannot be written; earlier checkpoints are unchanged.
        """
        target = os.path.join(self.directory, name)
        try:
            os.makedirs(self.directory, exist_ok=True)
            with files.replace_folder(target) as partial:
                _write_variables(os.path.join(partial, VARIABLES), trackable)
                with open(os.path.join(partial, STATE), "w", encoding="utf-8") as file:
                    json.dump(state, file, indent=1)
        except (OSError, tf.errors.OpError) as error:
            raise UserError(
                f"{target}: checkpoint not written ({error}); the last complete "
                f"checkpoint is {self.latest() or 'none'}"
            ) from error
        self._prune()

    def restore(self, name: str, trackable: Trackable, partial: bool = False) -> State:
        """Reads checkpoint `name` into the variables of `trackable`.

        Args:
          name: name of the checkpoint.
          trackable: has the variables, all of which must be in the checkpoint.
          partial: whether the checkpoint may contain more variables.

        Returns:
          the state, see `save`.

        Raises:
          UserError: if it does not exist, is damaged, or does not fit the variables.
        """
        state = self.read_state(name)
        path = self.path(name)
        with _damage_explained(path):
            reader = tf.train.Checkpoint(root=trackable)
            status = reader.read(os.path.join(path, VARIABLES), _local_files())
            status.assert_existing_objects_matched()
            if partial:
                status.expect_partial()
            else:
                status.assert_consumed()
        return state

    def read_state(self, name: str) -> State:
        """Returns the state of checkpoint `name` without reading its variables.

        Raises:
          UserError: if it does not exist or is damaged.
        """
        path = self.path(name)
        stored = os.path.join(path, STATE)
        with _damage_explained(path), open(stored, encoding="utf-8") as file:
            state: State = json.load(file)
        return state

    def remove_partial(self) -> None:
        """Removes incomplete checkpoints that killed processes have left."""
        for path in glob.glob(os.path.join(self.directory, ".*.partial")):
            shutil.rmtree(path)

    def _prune(self) -> None:
        for name in self.names()[: -self.keep]:
            shutil.rmtree(os.path.join(self.directory, name))


@contextlib.contextmanager
def _damage_explained(path: str) -> Iterator[None]:
    """Turns the errors of reading a damaged checkpoint into a `UserError`."""
    try:
        yield
    except _UNREADABLE as error:
        raise UserError(
            f"{path}: cannot be restored ({error}). Remove this folder to resume from "
            "the previous checkpoint"
        ) from error


def _write_variables(prefix: str, trackable: Trackable) -> None:
    """Like `tf.train.Checkpoint.write`, but does not wait for other machines.

    `write` ends by waiting for all operations on all machines of a cluster, which fails
    while a restarted worker has not joined again. There is no public name for the rest.
    """
    writer = tf.train.Checkpoint(root=trackable)
    writer._saver.save(file_prefix=prefix, options=_local_files())


def _local_files() -> tf.train.CheckpointOptions:
    """Returns options by which this process reads and writes all files.

    The variables may be on machines that do not share a disk with this process.
    """
    return tf.train.CheckpointOptions(experimental_io_device=local_cpu())
