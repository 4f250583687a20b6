"""A replica group: it trains one task, synchronously inside (paper section 4).

The group knows nothing of models: a `Workload` says what to minimise over which
variables. This is its form on one device, where the replica is the master.
"""

import dataclasses
from typing import Callable, Optional

import numpy as np
import tensorflow as tf

from selfsup.errors import UserError
from selfsup.hybrid.rmsprop import RMSProp


@dataclasses.dataclass(frozen=True)
class Workload:
    """What a group trains.

    Attributes:
      name: of the task.
      objective: (examples, seed int32 [2]) -> (scalar to minimise, dict of scalars).
      variables: those that a step updates.
      statistics: those that the forward pass itself assigns.
      batches: position in examples -> tf.data.Dataset of batches.
      batch_size: examples a step.
      learning_rate: of the group's RMSProp.
      seed: of the step's random numbers.
      stand_ins: examples -> int32 [batch_size]: the index of the damaged shard whose
        record each stands in for, or -1; None where that cannot be.
    """

    name: str
    objective: Callable
    variables: list
    statistics: list
    batches: Callable
    batch_size: int
    learning_rate: float
    seed: int
    stand_ins: Optional[Callable] = None


class Group:
    """One task with its own optimizer, stepping on its own iterator.

    Attributes:
      steps: steps taken, skipped ones included; it is the input position as well.
      skipped: steps whose gradients were not finite; they left no trace.
      stand_ins: examples so far that stood in for lost records.
      damaged: indices of the shards that had lost them, as far as met since the start
        of the process.
    """

    # So many non-finite steps in a row are no accident of one batch.
    MAX_SKIPPED_IN_A_ROW = 20

    def __init__(self, workload, rmsprop_config=None):
        self.workload = workload
        self.optimizer = RMSProp(workload.variables, rmsprop_config)
        self.steps = 0
        self.skipped = 0
        self.stand_ins = 0
        self.damaged = set()
        self._skipped_in_a_row = 0
        self._iterator = None
        self._step = tf.function(self._traced_step)

    @property
    def name(self):
        return self.workload.name

    def counters(self):
        """What has to be stored beside the variables to go on from here."""
        return {
            "steps": self.steps,
            "skipped": self.skipped,
            "stand_ins": self.stand_ins,
        }

    def restore(self, counters):
        """Goes back to `counters`; the input follows."""
        self.steps = counters["steps"]
        self.skipped = counters["skipped"]
        # Runs of version 0.1.0 did not count them.
        self.stand_ins = counters.get("stand_ins", 0)
        self._iterator = None

    def step(self):
        """Takes one step.

        Returns:
          dict of floats: the objective's scalars and "gradient_norm".

        Raises:
          UserError: when gradients stay non-finite.
        """
        if self._iterator is None:
            position = self.steps * self.workload.batch_size
            self._iterator = iter(self.workload.batches(position))
        number = tf.constant(self.steps, tf.int32)
        finite, names_and_values, stand_ins = self._step(self._iterator, number)
        logs = {name: float(value) for name, value in names_and_values.items()}
        self.steps += 1
        self._count_stand_ins(stand_ins.numpy())
        self._count_skipped(bool(finite), logs)
        return logs

    def _count_stand_ins(self, shards):
        shards = shards[shards >= 0]
        self.stand_ins += len(shards)
        self.damaged.update(np.unique(shards).tolist())

    def _count_skipped(self, finite, logs):
        if finite:
            self._skipped_in_a_row = 0
            return
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self.MAX_SKIPPED_IN_A_ROW:
            raise UserError(
                f"{self.name}: gradients were not finite {self._skipped_in_a_row} steps "
                f"in a row, the last at step {self.steps} with loss "
                f"{logs.get('loss')}; no such step was applied. A lower "
                f"learning rate (now {self.workload.learning_rate:g}) is the usual cure"
            )

    def _traced_step(self, iterator, number):
        workload = self.workload
        before = [tf.identity(variable) for variable in workload.statistics]
        seed = tf.stack([tf.constant(workload.seed, tf.int32), number])
        examples = next(iterator)
        stand_ins = tf.fill([workload.batch_size], -1)
        if workload.stand_ins is not None:
            stand_ins = workload.stand_ins(examples)
        with tf.GradientTape() as tape:
            total, logs = workload.objective(examples, seed)
        gradients = tape.gradient(total, workload.variables)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(total)

        def apply():
            rate = workload.learning_rate
            self.optimizer.apply(workload.variables, gradients, rate)

        def put_back():
            # The forward pass has already moved them with what was not finite.
            for variable, value in zip(workload.statistics, before):
                variable.assign(value)

        tf.cond(finite, apply, put_back)
        return finite, {**logs, "gradient_norm": norm}, stand_ins
