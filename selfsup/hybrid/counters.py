"""What has come of a task's steps so far."""

import numpy as np

from selfsup.errors import UserError


class Counters:
    """Counts the steps of one task, whoever takes them.

    Attributes:
      workload: the task's `Workload`.
      steps: steps taken, skipped ones included; it is the input position as well.
      skipped: steps whose gradients were not finite; they left no trace.
      stand_ins: examples so far that stood in for lost records.
      damaged: indices of the shards that had lost them, as far as met since the start
        of the process.
    """

    # So many non-finite steps in a row are no accident of one batch.
    MAX_SKIPPED_IN_A_ROW = 20

    def __init__(self, workload):
        self.workload = workload
        self.steps = 0
        self.skipped = 0
        self.stand_ins = 0
        self.damaged = set()
        self._skipped_in_a_row = 0

    @property
    def examples(self):
        """Examples that the steps have taken."""
        return self.steps * self.workload.batch_size

    @property
    def examples_per_step(self):
        return self.workload.batch_size

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

    def count(self, result):
        """Takes in the `Result` of a step that landed.

        Raises:
          UserError: when gradients stay non-finite.
        """
        self.steps += 1
        shards = result.stand_ins[result.stand_ins >= 0]
        self.stand_ins += len(shards)
        self.damaged.update(np.unique(shards).tolist())
        self._count_skipped(result)

    def _count_skipped(self, result):
        if result.finite:
            self._skipped_in_a_row = 0
            return
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self.MAX_SKIPPED_IN_A_ROW:
            rate = float(self.workload.rate(self.steps - 1))
            raise UserError(
                f"{self.workload.name}: gradients were not finite "
                f"{self._skipped_in_a_row} steps in a row, the last at step "
                f"{self.steps} with loss {result.logs.get('loss')}; no such step was "
                f"applied. A lower learning rate (now {rate:g}) "
                "is the usual cure"
            )
