"""The loop on one device: groups take turns, checkpoints fall between steps."""

import time

from selfsup.common.errors import UserError
from selfsup.hybrid import turns


class Engine:
    """Runs groups in proportion to their weights, reproducibly.

    Attributes:
      groups: dict of `Group` by name.
      clock: the `CostClock`.
      pause_seconds: how long checkpoints have kept the groups from stepping.
      takes_turns: whether one group steps at a time.
    """

    takes_turns = True

    def __init__(self, groups, weights, limits, clock, store, trackable, *, steppers):
        """
        Args:
          groups: dict of `Group` by name.
          weights: dict of positive turn weights by name.
          limits: dict of steps at which a group is finished.
          clock: a `CostClock`.
          store: a `checkpoint.CheckpointStore`.
          trackable: everything with variables that a checkpoint has to hold.
          steppers: the `Stepper`s that take the groups' steps.
        """
        self.groups = groups
        self.clock = clock
        self.pause_seconds = 0.0
        self._weights = weights
        self._limits = limits
        self._store = store
        self._trackable = trackable
        self._steppers = {stepper.name: stepper for stepper in steppers}
        self._snapshots = 0

    def steps(self):
        """Steps taken by task."""
        return {name: group.steps for name, group in self.groups.items()}

    def _batches(self):
        """Batches taken by task, each replica's counted, which is what costs are of."""
        return {
            name: group.examples / group.workload.batch_size
            for name, group in self.groups.items()
        }

    def total_steps(self):
        """Steps of all tasks together; names the checkpoints."""
        return sum(self.steps().values())

    def resume(self):
        """Goes back to the newest checkpoint.

        Returns:
          its name, or None where there is none.
        """
        self._store.remove_partial()
        name = self._store.latest()
        if name is None:
            return None
        tasks = list(self._store.read_state(name)["groups"])
        if set(tasks) != set(self.groups):
            raise UserError(
                f"{self._store.path(name)}: is of tasks {', '.join(tasks)}; "
                f"this run is of {', '.join(self.groups)}"
            )
        state = self._store.restore(name, self._trackable)
        for group_name, counters in state["groups"].items():
            self.groups[group_name].restore(counters)
        self.clock.step_costs.update(state["step_costs"])
        self._snapshots = self.clock.snapshots(self._batches())
        return name

    def run(self, stop, checkpoint_seconds, after_step, before_checkpoint=lambda: None):
        """Takes steps until all groups are at their limits, the cost clock's end is
        reached, or a signal asks to stop.

        Checkpoints every `checkpoint_seconds`, at each multiple of the cost clock's
        threshold, and at the end, whatever ends it.

        Args:
          stop: a `StopSignals` that has been entered.
          checkpoint_seconds: most seconds of work that a crash may lose.
          after_step: called with (group name, scalars, seconds of the step).
          before_checkpoint: called when a checkpoint is about to be written.
        """

        def save(name):
            before_checkpoint()
            start = time.monotonic()
            self._store.save(name, self._trackable, self._state())
            self.pause_seconds += time.monotonic() - start

        saved_at, saved_steps = time.monotonic(), self.total_steps()
        while stop.received is None:
            name = turns.next_group(self.steps(), self._weights, self._limits)
            if name is None or self.clock.ended(self._batches()):
                break
            self._step(name, after_step)
            self._snapshot(save)
            if time.monotonic() - saved_at >= checkpoint_seconds:
                save(self._checkpoint_name())
                saved_at, saved_steps = time.monotonic(), self.total_steps()
        if self.total_steps() != saved_steps or self._store.latest() is None:
            save(self._checkpoint_name())

    def _step(self, name, after_step):
        start = time.monotonic()
        logs = self._steppers[name].advance()
        seconds = time.monotonic() - start
        self._observe(name, seconds)
        after_step(name, logs[name], seconds)

    def _observe(self, name, seconds):
        """Tells the clock what a batch cost: all replicas' time over their batches."""
        group = self.groups[name]
        batches = group.examples_per_step / group.workload.batch_size
        self.clock.observe(name, seconds * group.replicas / batches)

    def _snapshot(self, save):
        crossed = self.clock.snapshots(self._batches())
        if crossed > self._snapshots:
            self._snapshots = crossed
            save(f"snapshot-{crossed:03d}")

    def _checkpoint_name(self):
        return f"checkpoint-{self.total_steps():09d}"

    def _state(self):
        groups = {name: group.counters() for name, group in self.groups.items()}
        return {
            "groups": groups,
            "total_steps": self.total_steps(),
            "cost": self.clock.cost(self._batches()),
            "step_costs": self.clock.step_costs,
        }
