"""The training loop of the evaluations: it can be resumed and writes curves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from eval.json_types import JsonObject
from selfsup.common.errors import UserError
from selfsup.common.history import History
from selfsup.common.progress import ProgressBar
from selfsup.common.stop_signals import StopSignals
from selfsup.data import pipeline
from selfsup.hybrid.checkpoint import CheckpointStore

CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

# (examples, int32 number of the step) -> scalars by name, "loss" among them.
Step = Callable[[dict[str, tf.Tensor], tf.Tensor], dict[str, tf.Tensor]]


class Training:
    """Takes the steps of an evaluation from its newest checkpoint, or from step 0.

    Attributes:
      number: number of steps taken.
      notes: JSON values that are stored in the checkpoints.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        *,
        step: Step,
        batches: Callable[[int], tf.data.Dataset],
        batch_size: int,
        steps: int,
        trackable: tf.Module,
        notes: JsonObject,
        checkpoint_seconds: float = 120.0,
        log_steps: int = 10,
    ) -> None:
        """
        Args:
          folder: output folder of the evaluation.
          name: name of the evaluation.
          step: takes one training step; best a `tf.function`.
          batches: maps a position, the number of examples consumed, to an endless
            dataset of the batches from there on, made by `data.pipeline`.
          batch_size: examples per batch.
          steps: number of steps in all.
          trackable: holds all variables that a resumed run needs, those of the optimizer
            included. All of them must exist already.
          notes: JSON values to store. `notes["data"]` describes the data and has a
            "checksum". A resumed run replaces the notes by the stored ones.
          checkpoint_seconds: longest time between two checkpoints.
          log_steps: number of steps whose mean makes one row of the history.
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
        self._pending: list[dict[str, tf.Tensor]] = []

    def resume(self) -> bool:
        """Restores the newest checkpoint and returns whether one existed.

        Raises:
          UserError: when the checkpoint is damaged, or was trained on other data.
        """
        self._store.remove_partial()
        name = self._store.latest()
        if name is None:
            return False
        self._check_same_data(self._store.read_state(name)["notes"]["data"])
        state = self._store.restore(name, self._trackable)
        self.number, self.notes = state["steps"], state["notes"]
        return True

    def _check_same_data(self, stored: JsonObject) -> None:
        if stored["checksum"] != self.notes["data"]["checksum"]:
            raise UserError(
                f"{self._folder}: this run was started on other data. Then: {stored}; "
                f"now: {self.notes['data']}. Use another output, or the same data"
            )

    def run(self, stop: StopSignals) -> bool:
        """Takes the remaining steps.

        Args:
          stop: the signals that stop training, already entered as a context.

        Returns:
          True after the last step; False after a signal, with a checkpoint written.

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
                if late or self._is_log_step():
                    self._log(history, writer)
                if late:
                    self._save()
                    saved_at = time.monotonic()
            self._log(history, writer)
            self._save()
        return self.number >= self._steps

    def _take(self, batch: dict[str, tf.Tensor]) -> None:
        examples, replaced = pipeline.split_replaced_shard(batch)
        logs = self._step(examples, tf.constant(self.number, tf.int32))
        self._pending.append({**logs, pipeline.REPLACED_SHARD: replaced})
        self.number += 1

    def _is_log_step(self) -> bool:
        return self.number % self._log_steps == 0 or self.number == self._steps

    def _log(self, history: History, writer: tf.summary.SummaryWriter) -> None:
        """Checks the steps since the last row of the history and logs their mean."""
        rows, self._pending = self._pending, []
        if not rows:
            return
        replaced = np.concatenate([row.pop(pipeline.REPLACED_SHARD) for row in rows])
        if np.any(replaced >= 0):
            raise UserError(
                f"{self._name}: a shard of the training set is damaged. Evaluations "
                "compare trunks on the same data, so run python -m data_prep.inspect DIR "
                "--verify to find the shard, delete it, and build the data set again"
            )
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        if not np.isfinite(means["loss"]):
            raise UserError(
                f"{self._name}: the loss was not finite at or before step "
                f"{self.number}; try a lower learning rate (option set)"
            )
        history.add(self._name, "train", self.number, self.number, means)
        history.flush()
        with writer.as_default(self.number):
            for key, value in means.items():
                tf.summary.scalar(f"{self._name}/{key}", value)
        writer.flush()

    def _save(self) -> None:
        state = {"steps": self.number, "notes": self.notes}
        self._store.save(f"checkpoint-{self.number:09d}", self._trackable, state)
