"""The training loop on several devices: steppers run side by side.

Synchronous inside a group, asynchronous across groups (paper section 4); the mode of
`aggregation` decides what steps together. Each stepper has a thread that takes its
steps. The main thread reports the steps, writes checkpoints and handles lost machines.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Callable

from selfsup.hybrid import executors, lost_device_log
from selfsup.hybrid.checkpoint import CheckpointStore, State, Trackable
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import DevicePool
from selfsup.hybrid.engine import AfterStep, Engine, StopRequest
from selfsup.hybrid.host_copy import HostCopy
from selfsup.hybrid.quota import Quota
from selfsup.hybrid.runner import Event, Failure, Runner
from selfsup.hybrid.step_counts import TaskProgress
from selfsup.hybrid.stepper import Stepper

_WAIT_SECONDS = 0.1
_MAX_EVENTS = 100
# Seconds that steps under way may still take when an error ends the run.
_GRACE_SECONDS = 5.0
_COPY_ATTEMPTS = 5
# Seconds between two checks whether the missing devices of a stepper answer again.
_RETRY_SECONDS = 2.0
# How much longer the first step of a generation may take: it builds and traces.
_FIRST_STEP_FACTOR = 10


class ParallelEngine(Engine):
    """Runs each stepper in a thread of its own, at its own pace.

    A stepper with a machine that fails, or hangs for longer than `step_seconds`,
    continues on its other devices, and uses the failed devices again when they answer
    again. The other steppers are not affected. A stepper without any device waits.

    Attributes:
      device_failures: how many times a stepper has lost a device.
    """

    takes_turns = False

    def __init__(
        self,
        groups: Mapping[str, TaskProgress],
        weights: Mapping[str, float],
        limits: Mapping[str, int],
        clock: CostClock,
        store: CheckpointStore,
        trackable: Trackable,
        *,
        steppers: Iterable[Stepper],
        pool: DevicePool,
        step_seconds: float = 600.0,
        say: Callable[[str], None] = print,
    ) -> None:
        """Makes the engine.

        Args:
          groups, limits, clock, store, trackable: see `Engine`.
          weights: ignored, because each stepper has its own pace.
          steppers: take the steps of the groups.
          pool: reports which devices answer.
          step_seconds: a step that takes longer counts as hanging. The first step of a
            generation may take `_FIRST_STEP_FACTOR` times as long.
          say: called with each line for the user.
        """
        super().__init__(
            groups, weights, limits, clock, store, trackable, steppers=steppers
        )
        self.device_failures = 0
        self._host_copy = HostCopy(trackable)
        self._pool = pool
        self._step_seconds = step_seconds
        self._say = say
        self._assigned = {
            name: stepper.devices for name, stepper in self._steppers.items()
        }
        self._quotas = {
            task: Quota(group, self._limits[task])
            for task, group in self.groups.items()
        }
        self._events: queue.Queue[Event] = queue.Queue()
        self._runners: dict[str, Runner] = {}
        self._pausing = False
        # When to check again for the missing devices of a stepper, by its name.
        self._check_at: dict[str, float] = {}

    def finish_task(self, name: str) -> None:
        """See `Engine`; the task must not share a stepper with others."""
        super().finish_task(name)
        self._quotas[name].end()

    def run(
        self,
        stop: StopRequest,
        checkpoint_seconds: float,
        after_step: AfterStep,
        before_checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        """See `Engine`; also raises `UserError` if a parameter server is lost."""

        def save(name: str) -> None:
            before_checkpoint()
            self._save(name)

        # Traces the copying now, before the runners would have to wait for it.
        self._copy_to_host()
        for name in self._steppers:
            self._start(name)
        saved_at, saved_steps = time.monotonic(), self.total_steps()
        try:
            while stop.received is None and not self._is_done():
                self._handle_events(after_step)
                self._snapshot(save)
                self._check_devices()
                if time.monotonic() - saved_at >= checkpoint_seconds:
                    save(self._checkpoint_name())
                    saved_at, saved_steps = time.monotonic(), self.total_steps()
        finally:
            for runner in self._runners.values():
                runner.end()
            for runner in self._runners.values():
                runner.wait_until_idle(_GRACE_SECONDS)
        self._pause()
        while not self._events.empty():
            self._handle_events(after_step)
        # The last steps may have crossed a threshold since the loop's last check.
        self._snapshot(save)
        self._save_end(save, saved_steps)

    def _is_done(self) -> bool:
        finished = all(quota.used_up for quota in self._quotas.values())
        return finished or self.clock.ended(self._batches())

    def _start(self, name: str, devices: Sequence[str] | None = None) -> None:
        stepper = self._steppers[name]
        # Tasks that step together have taken the same steps.
        quota = self._quotas[stepper.tasks[0]]
        runner = Runner(stepper, quota, self._events, devices)
        self._runners[name] = runner
        if self._pausing:
            runner.pause()
        runner.start()

    def _handle_events(self, after_step: AfterStep) -> None:
        """Handles the events of the runners; waits a moment for the first of them."""
        wait = _WAIT_SECONDS
        # Limited, because runners may produce events faster than they are handled.
        for _ in range(_MAX_EVENTS):
            try:
                event = self._events.get(timeout=wait)
            except queue.Empty:
                return
            wait = 0.0
            if isinstance(event, Failure):
                self._handle_failure(event)
            else:
                self._report(event, after_step)

    def _handle_failure(self, failure: Failure) -> None:
        name = failure.runner.stepper.name
        if failure.runner is not self._runners.get(name):
            return  # The runner was given up meanwhile.
        if not self._pool.is_device_failure(failure.error):
            raise failure.error
        self._give_up(failure.runner, _cause(failure.error), str(failure.error))

    def _check_devices(self) -> None:
        """Finds steps that hang, and missing devices that answer again."""
        for runner in list(self._runners.values()):
            if runner.busy_seconds() > self._allowed(runner):
                seconds = f"{runner.busy_seconds():.0f} s"
                self._give_up(runner, f"its step has not returned for {seconds}")
        for name, when in list(self._check_at.items()):
            if time.monotonic() >= when:
                self._use_returned_devices(name)

    def _allowed(self, runner: Runner) -> float:
        """Returns how many seconds a step of a runner may take."""
        return self._step_seconds * (1 if runner.has_stepped else _FIRST_STEP_FACTOR)

    def _remaining(self, runner: Runner) -> float:
        """Returns how many seconds the step under way may still take."""
        return self._allowed(runner) - runner.busy_seconds()

    def _give_up(self, runner: Runner, reason: str, details: str = "") -> None:
        """Gives up the replicas of a stepper, and continues on the remaining devices.

        Args:
          runner: the stepper's `Runner`.
          reason: a line for the user.
          details: text for `lost_device_log`; the reason if empty.
        """
        runner.abandon()
        stepper = runner.stepper
        del self._runners[stepper.name]
        lost_device_log.write(f"{stepper.name}: {details or reason}")
        self.device_failures += 1
        log = lost_device_log.path()
        more = f" (details: {log})" if log else ""
        self._say(f"{stepper.name}: lost a device: {reason}{more}")
        self._pool.check_servers()
        with executors.isolated():
            stepper.end_generation()
        runner.give_step_back()
        devices = self._pool.alive(self._assigned[stepper.name])
        missing = stepper.tasks_without(devices)
        if not missing:
            self._continue_on(stepper.name, devices)
            return
        tasks = f" for {', '.join(missing)}" if len(stepper.tasks) > 1 else ""
        self._say(
            f"{stepper.name}: none of its devices{tasks} answers; waiting for a device"
        )
        self._check_at[stepper.name] = time.monotonic() + _RETRY_SECONDS

    def _use_returned_devices(self, name: str) -> None:
        """Rebuilds the replicas of a stepper if more of its devices answer than before."""
        self._check_at[name] = time.monotonic() + _RETRY_SECONDS
        devices = self._pool.alive(self._assigned[name])
        runner = self._runners.get(name)
        stepper = self._steppers[name]
        if stepper.tasks_without(devices):
            return
        if runner is not None and len(devices) <= len(stepper.devices):
            return
        if runner is not None:
            runner.end()
            if not runner.wait_until_idle(self._remaining(runner)):
                return  # The step hangs, which `_check_devices` handles next time.
            with executors.isolated():
                stepper.end_generation()
        self._continue_on(name, devices)

    def _continue_on(self, name: str, devices: Sequence[str]) -> None:
        total = len(self._assigned[name])
        missing = total - len(devices)
        text = f"{name}: continues on {', '.join(devices)}"
        self._check_at.pop(name, None)
        if missing:
            verb = "does" if missing == 1 else "do"
            text += f"; {missing} of {total} devices {verb} not answer"
            self._check_at[name] = time.monotonic() + _RETRY_SECONDS
        self._say(text)
        self._start(name, devices)

    def _save(self, name: str) -> None:
        """Writes a checkpoint of a moment between steps.

        The runners wait while the variables are copied, not while they are written.
        """
        start = time.monotonic()
        self._pause()
        try:
            self._copy_to_host()
            state = self._state()
        finally:
            self._pausing = False
            for runner in self._runners.values():
                runner.resume()
            self.pause_seconds += time.monotonic() - start
        self._write(name, state)

    def _write(self, name: str, state: State) -> None:
        with executors.isolated():
            self._store.save(name, self._host_copy.trackable, state)

    def _copy_to_host(self) -> None:
        """Fetches the variables; tries again if a failing worker disturbs that."""
        for remaining in reversed(range(_COPY_ATTEMPTS)):
            try:
                # Isolated from operations that were started on a failed machine.
                with executors.isolated():
                    self._host_copy.update()
                return
            except Exception as error:
                if not remaining or not self._pool.is_device_failure(error):
                    raise
            self._pool.check_servers()
            for devices in self._assigned.values():
                self._pool.alive(devices)

    def _pause(self) -> None:
        """Waits until every runner is between two steps, and keeps it there."""
        self._pausing = True
        for runner in self._runners.values():
            runner.pause()
        for runner in list(self._runners.values()):
            if not runner.wait_until_idle(self._remaining(runner)):
                self._give_up(runner, "its step does not return")


def _cause(error: Exception) -> str:
    """Returns the first line of an error that is not part of TensorFlow's traceback."""
    trace = (" ", "\t", "Graph execution error", "Detected at node")
    lines = (line for line in str(error).splitlines() if line.strip())
    return next((line for line in lines if not line.startswith(trace)), repr(error))
