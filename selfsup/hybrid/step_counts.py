"""What has come of a task's steps so far."""

import numpy as np

from selfsup.common.errors import UserError


class StepCounts:
    """Counts the steps of one task, whoever takes them.

    Attributes:
      workload: the task's `Workload`.
      steps: steps taken, skipped ones included; it is the input position as well.
      examples: examples that the steps have taken, over all replicas.
      skipped: steps whose gradients were not finite; they left no trace.
      replacements: examples so far that stood in for lost records.
      damaged_shards: indices of the shards that had lost them, as far as met since the start
        of the process.
    """

    # So many non-finite steps in a row are no accident of one batch.
    MAX_SKIPPED_IN_A_ROW = 20

    def __init__(self, workload):
        self.workload = workload
        self.steps = 0
        self.examples = 0
        self.skipped = 0
        self.replacements = 0
        self.damaged_shards = set()
        self._skipped_in_a_row = 0

    @property
    def replicas(self) -> int:
        """Replicas that take a step together at present."""
        raise NotImplementedError

    @property
    def examples_per_step(self) -> int:
        """Examples of a step of the present replicas together."""
        raise NotImplementedError

    def counters(self):
        """What has to be stored beside the variables to go on from here."""
        return {
            "steps": self.steps,
            "examples": self.examples,
            "skipped": self.skipped,
            "stand_ins": self.replacements,
        }

    def restore(self, counters):
        """Goes back to `counters`; the input follows."""
        self.steps = counters["steps"]
        # Earlier runs did not count them: their replicas shared one batch.
        before = self.steps * self.workload.batch_size
        self.examples = counters.get("examples", before)
        self.skipped = counters["skipped"]
        # Runs of version 0.1.0 did not count them.
        self.replacements = counters.get("stand_ins", 0)

    def count(self, result):
        """Takes in the `Result` of a step that landed.

        Raises:
          UserError: when gradients stay non-finite.
        """
        self.steps += 1
        self.examples += len(result.replacements)
        shards = result.replacements[result.replacements >= 0]
        self.replacements += len(shards)
        self.damaged_shards.update(np.unique(shards).tolist())
        self._count_skipped(result)

    def count_landed(self, steps: int) -> None:
        """Counts the steps up to `steps`, which landed without an answer."""
        self.examples += (steps - self.steps) * self.examples_per_step
        self.steps = steps

    def _count_skipped(self, result):
        if result.finite:
            self._skipped_in_a_row = 0
            return
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self.MAX_SKIPPED_IN_A_ROW:
            before = self.examples - len(result.replacements)
            rate = float(self.workload.rate(before))
            raise UserError(
                f"{self.workload.name}: gradients were not finite "
                f"{self._skipped_in_a_row} steps in a row, the last at step "
                f"{self.steps} with loss {result.logs.get('loss')}; no such step was "
                f"applied. A lower learning rate (now {rate:g}) "
                "is the usual cure"
            )
