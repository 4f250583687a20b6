"""The loop on several devices: groups step side by side and never wait for each other.

Synchronous inside a group, asynchronous across groups (paper section 4); what makes a
group is the mode of `aggregation`. One thread a group calls its step for ever; this one
takes note, writes checkpoints and deals with machines that are lost.
"""

import queue
import time

from selfsup.hybrid import executors, lost_device_log
from selfsup.hybrid.engine import Engine
from selfsup.hybrid.host_copy import HostCopy
from selfsup.hybrid.quota import Quota
from selfsup.hybrid.runner import Failed, Runner

_TURN = 0.1
_EVENTS_A_TURN = 100
# Seconds that groups have for the step under way when an error ends the run.
_GRACE = 5.0
_COPY_TRIALS = 5
# How often a group without devices looks whether one is back.
_RETRY_SECONDS = 2.0
# How much longer a generation's first step may take: it builds and traces.
_FIRST_STEP = 10


class ParallelEngine(Engine):
    """Runs each group in a thread of its own, at its own pace.

    A group whose machine dies, or hangs for longer than `step_seconds`, goes on with
    the devices that are left, and takes the others back when they answer again; the
    other groups do not notice. Without any device it waits and says so.

    Attributes:
      device_failures: how many times a group lost a device.
    """

    takes_turns = False

    def __init__(self, *args, pool, step_seconds=600.0, say=print, **kwargs):
        """
        Args:
          pool: a `device_pool` object, with `alive(devices)`, `check_servers()` and
            `is_device_failure(error)`.
          step_seconds: a step that takes longer hangs; ten times that for the first of
            a generation, which is traced.
          say: callable that takes a line for the user.
        """
        super().__init__(*args, **kwargs)
        self._host_copy = HostCopy(self._trackable)
        self.device_failures = 0
        self._pool = pool
        self._step_seconds = step_seconds
        self._say = say
        self._assigned = {name: one.devices for name, one in self._steppers.items()}
        self._quotas = {
            task: Quota(group, self._limits[task])
            for task, group in self.groups.items()
        }
        self._events = queue.Queue()
        self._runners = {}
        self._holding = False
        # When to look again for devices that a group is short of, by its name.
        self._look_again = {}

    def run(self, stop, checkpoint_seconds, after_step, before_checkpoint=lambda: None):
        """As `Engine.run`."""

        def save(name):
            before_checkpoint()
            self._save(name)

        # It is traced now, when nobody waits for it.
        self._copy_to_host()
        for name in self._steppers:
            self._start(name)
        saved_at, saved_steps = time.monotonic(), self.total_steps()
        try:
            while stop.received is None and not self._is_done():
                self._take_events(after_step)
                self._snapshot(save)
                self._watch()
                if time.monotonic() - saved_at >= checkpoint_seconds:
                    save(self._checkpoint_name())
                    saved_at, saved_steps = time.monotonic(), self.total_steps()
        finally:
            for runner in self._runners.values():
                runner.end()
            for runner in self._runners.values():
                runner.wait_until_held(_GRACE)
        self._hold()
        while not self._events.empty():
            self._take_events(after_step)
        # Steps that landed since the loop's last look may have crossed a threshold.
        self._snapshot(save)
        if self.total_steps() != saved_steps or self._store.latest() is None:
            save(self._checkpoint_name())

    def _is_done(self):
        finished = all(quota.used_up for quota in self._quotas.values())
        return finished or self.clock.ended(self._batches())

    def _start(self, name, devices=None):
        stepper = self._steppers[name]
        # Tasks that step together have taken the same steps.
        quota = self._quotas[stepper.tasks[0]]
        runner = Runner(stepper, quota, self._events, devices)
        self._runners[name] = runner
        if self._holding:
            runner.hold()
        runner.start()

    def _take_events(self, after_step):
        """Deals with what the groups tell; waits a moment for the first of it."""
        wait = _TURN
        # Not for ever: groups may tell faster than can be taken note of.
        for _ in range(_EVENTS_A_TURN):
            try:
                event = self._events.get(timeout=wait)
            except queue.Empty:
                return
            wait = 0.0
            if isinstance(event, Failed):
                self._deal_with(event)
                continue
            for task, logs in event.logs.items():
                self._observe(task, event.seconds)
                after_step(task, logs, event.seconds)

    def _deal_with(self, failure):
        if failure.runner is not self._runners.get(failure.runner.group.name):
            return  # Of a runner that was given up meanwhile.
        if not self._pool.is_device_failure(failure.error):
            raise failure.error
        lost_device_log.write(f"{failure.runner.group.name}: {failure.error}")
        self._lose(failure.runner, _cause(failure.error))

    def _watch(self):
        """Finds steps that hang, and groups whose devices are back."""
        for runner in list(self._runners.values()):
            if runner.stepping_seconds() > self._allowed(runner):
                seconds = f"{runner.stepping_seconds():.0f} s"
                self._lose(runner, f"its step has not come back for {seconds}")
        for name, again in list(self._look_again.items()):
            if time.monotonic() >= again:
                self._take_back(name)

    def _allowed(self, runner):
        return self._step_seconds * (1 if runner.has_stepped else _FIRST_STEP)

    def _lose(self, runner, reason):
        """Gives a group's replicas up, and makes new ones on what is left."""
        runner.abandon()
        name = runner.group.name
        del self._runners[name]
        self.device_failures += 1
        log = lost_device_log.path()
        more = f" (details: {log})" if log else ""
        self._say(f"{name}: lost a device: {reason}{more}")
        self._pool.check_servers()
        with executors.isolated():
            runner.group.pass_generation()
        runner.leave_step()
        devices = self._pool.alive(self._assigned[name])
        without = runner.group.without(devices)
        if not without:
            self._go_on(name, devices)
            return
        of = f" for {', '.join(without)}" if len(runner.group.tasks) > 1 else ""
        self._say(f"{name}: none of its devices{of} answers; waiting for one")
        self._look_again[name] = time.monotonic() + _RETRY_SECONDS

    def _take_back(self, name):
        """Gives a group the devices that answer again."""
        self._look_again[name] = time.monotonic() + _RETRY_SECONDS
        devices = self._pool.alive(self._assigned[name])
        runner = self._runners.get(name)
        stepper = self._steppers[name]
        if stepper.without(devices):
            return
        if runner is not None and len(devices) <= len(stepper.devices):
            return
        if runner is not None:
            runner.end()
            if not runner.wait_until_held(self._left(runner)):
                return  # It hangs: that is found, and dealt with, by the next turn.
            with executors.isolated():
                stepper.pass_generation()
        self._go_on(name, devices)

    def _go_on(self, name, devices):
        missing = len(self._assigned[name]) - len(devices)
        short = f"; {missing} do not answer" if missing else ""
        self._say(f"{name}: goes on with {', '.join(devices)}{short}")
        self._look_again.pop(name, None)
        if missing:
            self._look_again[name] = time.monotonic() + _RETRY_SECONDS
        self._start(name, devices)

    def _left(self, runner):
        """Seconds that the step under way may still take."""
        return self._allowed(runner) - runner.stepping_seconds()

    def _save(self, name):
        """Writes a checkpoint of one moment between steps, while the groups go on."""
        start = time.monotonic()
        self._hold()
        try:
            self._copy_to_host()
            state = self._state()
        finally:
            self._holding = False
            for runner in self._runners.values():
                runner.go_on()
            self.pause_seconds += time.monotonic() - start
        self._write(name, state)

    def _write(self, name, state):
        with executors.isolated():
            self._store.save(name, self._host_copy.trackable, state)

    def _copy_to_host(self):
        """Fetches the variables, again where a worker that died just then disturbs it."""
        for left in reversed(range(_COPY_TRIALS)):
            try:
                # One's own: what was begun on a machine that died must not fail this.
                with executors.isolated():
                    self._host_copy.update()
                return
            except Exception as error:
                if not left or not self._pool.is_device_failure(error):
                    raise
            self._pool.check_servers()
            for devices in self._assigned.values():
                self._pool.alive(devices)

    def _hold(self):
        """Waits until every live group is between two steps, and keeps it there."""
        self._holding = True
        for runner in self._runners.values():
            runner.hold()
        for runner in list(self._runners.values()):
            if not runner.wait_until_held(self._left(runner)):
                self._lose(runner, "its step does not come back")


def _cause(error):
    """The line of an error that says what happened, past TensorFlow's trace of a graph."""
    trace = (" ", "\t", "Graph execution error", "Detected at node")
    lines = (line for line in str(error).splitlines() if line.strip())
    return next((one for one in lines if not one.startswith(trace)), repr(error))
