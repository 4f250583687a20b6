"""Atomic checkpoints: a directory appears whole or not at all."""

import contextlib
import dataclasses
import glob
import json
import os
import re
import shutil

import tensorflow as tf

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.hybrid.placement import own_cpu

STATE = "state.json"
VARIABLES = "variables"
# What TensorFlow's reader raises on a damaged file; IndexError when it ends early.
_UNREADABLE = (OSError, ValueError, AssertionError, IndexError, tf.errors.OpError)
_NAME = re.compile(r"^(checkpoint|snapshot)-(\d+)$")


@dataclasses.dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run, below its model directory.

    `checkpoint-STEPS` are for resuming, of which the last `keep` stay. `snapshot-NUMBER`
    are those that the cost clock asks for; they all stay.
    """

    directory: str
    keep: int = 2

    def names(self, kind="checkpoint"):
        """Names of the whole checkpoints of a kind, oldest first."""
        if not os.path.isdir(self.directory):
            return []
        found = [_NAME.match(name) for name in os.listdir(self.directory)]
        found = [match for match in found if match and match[1] == kind]
        return [match[0] for match in sorted(found, key=lambda match: int(match[2]))]

    def latest(self):
        """Name of the newest checkpoint, or None."""
        names = self.names()
        return names[-1] if names else None

    def path(self, name):
        """Directory of checkpoint `name`.

        Raises:
          UserError: when there is none of that name; lists those there are.
        """
        path = os.path.join(self.directory, name)
        if not os.path.isfile(os.path.join(path, STATE)):
            have = ", ".join(self.names() + self.names("snapshot")) or "none"
            raise UserError(
                f"{self.directory}: no checkpoint {name!r}; there are: {have}"
            )
        return path

    def save(self, name, trackable, state):
        """Writes checkpoint `name`: variables of `trackable` and the dict `state`.

        Raises:
          UserError: when it cannot be written; earlier ones are untouched.
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
                f"{target}: checkpoint not written ({error}); "
                f"the last whole one is {self.latest() or 'none'}"
            ) from error
        self._prune()

    def restore(self, name, trackable, partial=False):
        """Reads checkpoint `name` into `trackable`.

        Args:
          name: of the checkpoint.
          trackable: what has variables; each of them has to be in the checkpoint.
          partial: whether the checkpoint may hold more than that.

        Returns:
          the state dict.

        Raises:
          UserError: when it is damaged or does not fit the network.
        """
        state = self.read_state(name)
        path = self.path(name)
        with _damage_explained(path):
            reader = tf.train.Checkpoint(root=trackable)
            status = reader.read(os.path.join(path, VARIABLES), _from_here())
            status.assert_existing_objects_matched()
            if partial:
                status.expect_partial()
            else:
                status.assert_consumed()
        return state

    def read_state(self, name):
        """The state dict of checkpoint `name`, without its variables.

        Raises:
          UserError: when there is none of that name, or it is damaged.
        """
        path = self.path(name)
        stored = os.path.join(path, STATE)
        with _damage_explained(path), open(stored, encoding="utf-8") as file:
            return json.load(file)

    def remove_partial(self):
        """Removes what killed runs left half-written."""
        for path in glob.glob(os.path.join(self.directory, ".*.partial")):
            shutil.rmtree(path)

    def _prune(self):
        for name in self.names()[: -self.keep]:
            shutil.rmtree(os.path.join(self.directory, name))


@contextlib.contextmanager
def _damage_explained(path):
    """Turns what reading a damaged checkpoint raises into a `UserError`."""
    try:
        yield
    except _UNREADABLE as error:
        raise UserError(
            f"{path}: cannot be restored ({error}); remove it to go on from the one "
            "before"
        ) from error


def _write_variables(prefix, trackable):
    """As `tf.train.Checkpoint.write`, without waiting for other machines.

    That ends by waiting for all operations of all machines of a cluster, which fails
    while a worker that was restarted has not joined again. There is no public name.
    """
    writer = tf.train.Checkpoint(root=trackable)
    writer._saver.save(file_prefix=prefix, options=_from_here())


def _from_here():
    """Files are this process's, wherever variables are: a cluster shares no disk."""
    return tf.train.CheckpointOptions(experimental_io_device=own_cpu())
