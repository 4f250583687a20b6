"""The training loop of the evaluations: resumable, with progress and curves."""

import os
import time

import numpy as np
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.common.history import History
from selfsup.common.progress import ProgressBar
from selfsup.data import pipeline
from selfsup.hybrid.checkpoint import CheckpointStore

CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"


class Training:
    """Takes an evaluation's steps from 0, or from its newest checkpoint, to the last.

    Attributes:
      number: steps taken.
      notes: dict of JSON types, kept in the checkpoints.
    """

    def __init__(
        self,
        folder,
        name,
        *,
        step,
        batches,
        batch_size,
        steps,
        trackable,
        notes,
        checkpoint_seconds=120.0,
        log_steps=10,
    ):
        """
        Args:
          folder: the evaluation's output folder.
          name: of the evaluation.
          step: (examples, number) -> dict of scalar tensors with "loss": takes step
            `number`, an int32 scalar tensor; best a `tf.function`.
          batches: position -> tf.data.Dataset of batches from `pipeline`, from the
            example at `position` on, for ever.
          batch_size: examples a batch.
          steps: to take in all.
          trackable: a `tf.Module` of all variables that going on needs, the
            optimizer's included, all of them made already.
          notes: dict of JSON types to store, with "data", a description that has a
            "checksum"; what a resumed run has stored replaces them.
          checkpoint_seconds: most seconds of work that a crash may lose.
          log_steps: steps between rows of history, each their mean.
        """
        self.number = 0
        self.notes = notes
        self._folder = folder
        self._name = name
        self._step = step
        self._batches = batches
        self._batch_size = batch_size
        self._steps = steps
        self._trackable = trackable
        self._checkpoint_seconds = checkpoint_seconds
        self._log_steps = log_steps
        self._store = CheckpointStore(os.path.join(folder, CHECKPOINTS))
        self._pending = []

    def resume(self):
        """Goes back to the newest checkpoint; returns whether there was one.

        Raises:
          UserError: when it is damaged, or was trained on other data.
        """
        self._store.remove_partial()
        name = self._store.latest()
        if name is None:
            return False
        self._check_same_data(self._store.read_state(name)["notes"]["data"])
        state = self._store.restore(name, self._trackable)
        self.number, self.notes = state["steps"], state["notes"]
        return True

    def _check_same_data(self, old):
        if old["checksum"] != self.notes["data"]["checksum"]:
            raise UserError(
                f"{self._folder}: was begun on other data than --data has now: {old}; "
                f"now {self.notes['data']}. Give another --output, or the same data"
            )

    def run(self, stop):
        """Takes the steps that are left.

        Args:
          stop: a `hybrid.stop.StopSignals` that has been entered.

        Returns:
          whether it came to the end; else a checkpoint was written.

        Raises:
          UserError: when the loss is not finite, or a shard is damaged.
        """
        if self.number >= self._steps:
            return True
        history = History(self._folder, self.number)
        writer = tf.summary.create_file_writer(os.path.join(self._folder, TENSORBOARD))
        examples = iter(self._batches(self.number * self._batch_size))
        saved_at = time.monotonic()
        with ProgressBar(f"{self._name} steps", self._steps, self.number) as progress:
            while self.number < self._steps and stop.received is None:
                self._take(next(examples))
                progress.update(self.number)
                late = time.monotonic() - saved_at >= self._checkpoint_seconds
                if late or self._due():
                    self._log(history, writer)
                if late:
                    self._save()
                    saved_at = time.monotonic()
            self._log(history, writer)
            self._save()
        return self.number >= self._steps

    def _take(self, batch):
        examples, stand_ins = pipeline.split_replaced_shard(batch)
        logs = self._step(examples, tf.constant(self.number, tf.int32))
        self._pending.append({**logs, pipeline.REPLACED_SHARD: stand_ins})
        self.number += 1

    def _due(self):
        return self.number % self._log_steps == 0 or self.number == self._steps

    def _log(self, history, writer):
        """Writes the mean of the steps since the last row, looking at them first."""
        rows, self._pending = self._pending, []
        if not rows:
            return
        stand_ins = np.concatenate([row.pop(pipeline.REPLACED_SHARD) for row in rows])
        if np.any(stand_ins >= 0):
            raise UserError(
                f"{self._name}: a shard of the training set is damaged (python -m "
                "data_prep.inspect DIR --verify says which): evaluations compare trunks "
                "on the same data, so build it anew"
            )
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        if not np.isfinite(means["loss"]):
            raise UserError(
                f"{self._name}: the loss was not finite at or before step "
                f"{self.number}; a lower learning rate (--set) is the usual cure"
            )
        history.add(self._name, "train", self.number, self.number, means)
        history.flush()
        with writer.as_default(self.number):
            for key, value in means.items():
                tf.summary.scalar(f"{self._name}/{key}", value)
        writer.flush()

    def _save(self):
        state = {"steps": self.number, "notes": self.notes}
        self._store.save(f"checkpoint-{self.number:09d}", self._trackable, state)
