"""Groups side by side on logical CPU devices; the input simulates lost devices."""

import threading
import time

import numpy as np
import pytest
from failing_devices import DEVICES, DeviceFaults, parallel_engine, run

from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool


def test_counters_add_up_and_the_loss_falls(tmp_path):
    _, engine, _ = parallel_engine(tmp_path, {"a": 60, "bb": 40})
    taken = run(engine)
    assert engine.steps() == {"a": 60, "bb": 40}
    assert [name for name, _ in taken].count("a") == 60 and len(taken) == 100
    losses_of_task = [loss for name, loss in taken if name == "a"]
    assert np.mean(losses_of_task[-10:]) < 0.7 * np.mean(losses_of_task[:10])


def test_a_finished_task_stops_while_the_other_continues(tmp_path):
    """Task a has two replicas; steps that were under way are still counted."""
    _, engine, _ = parallel_engine(tmp_path, {"a": 1_000_000, "bb": 60})
    reported = []

    def finish_a(name, _logs, _seconds):
        reported.append(name)
        if reported.count("a") == 5:
            engine.finish_task("a")

    engine.run(StopSignals(), 1e9, finish_a)
    steps = engine.steps()
    assert steps["bb"] == 60 and 5 <= steps["a"] == reported.count("a") < 1_000_000


def test_a_slow_group_does_not_slow_the_other(tmp_path):
    """In one run, task bb waits a tenth of a second for each batch."""
    trouble = DeviceFaults()
    trouble.seconds["/CPU:3"] = 0.1
    _, engine, _ = parallel_engine(tmp_path, {"a": 200, "bb": 10_000}, trouble)
    engine.clock.end, engine.clock.step_costs = 200.0, {"a": 1.0, "bb": 0.0}
    run(engine)
    assert engine.steps()["a"] >= 200 > 5 * engine.steps()["bb"]


def test_a_run_resumes_from_its_checkpoint(tmp_path):
    first = parallel_engine(tmp_path, {"a": 20, "bb": 10})[1]
    run(first)
    _, second, _ = parallel_engine(tmp_path, {"a": 30, "bb": 12})
    assert second.resume() == "checkpoint-000000030"
    assert second.steps() == {"a": 20, "bb": 10}
    assert len(run(second)) == 12
    assert second.steps() == {"a": 30, "bb": 12}


def test_a_threshold_that_the_last_steps_cross_gives_a_snapshot(tmp_path):
    """All steps are taken before the loop's first check, which ends it."""
    clock = CostClock({"a": 1.0, "bb": 1.0}, threshold=4.0)
    _, engine, _ = parallel_engine(tmp_path, {"a": 2, "bb": 2}, clock=clock)

    def all_have_ended():
        for runner in engine._runners.values():
            runner._thread.join()
        return True

    engine._is_done = all_have_ended
    assert len(run(engine)) == 4
    store = CheckpointStore(str(tmp_path))
    assert store.names("snapshot") == ["snapshot-001"]
    assert store.names() == ["checkpoint-000000004"]


def test_checkpoints_store_a_moment_between_steps(tmp_path):
    """No step is applied while variables are copied; steps are while they are written."""
    network, engine, _ = parallel_engine(tmp_path, {"a": 4000, "bb": 4000})
    store, copy, copying, written = engine._store, engine._host_copy, [], []

    class SlowCopy:
        trackable = copy.trackable

        def update(self):
            before = network.shared.numpy()
            time.sleep(0.2)
            copying.append(np.any(network.shared.numpy() != before))
            copy.update()

    class SlowStore:
        def save(self, name, trackable, state):
            before = copy.trackable.network.shared.numpy()
            time.sleep(0.3)
            now = copy.trackable.network.shared.numpy()
            steps = sum(group["steps"] for group in state["groups"].values())
            written.append((np.all(now == before), engine.total_steps() > steps))
            store.save(name, trackable, state)

        def latest(self):
            return store.latest()

    engine._host_copy, engine._store = SlowCopy(), SlowStore()
    engine.clock.end, engine.clock.step_costs = 150.0, {"a": 1.0, "bb": 0.0}
    run(engine, checkpoint_seconds=0.2)
    assert len(copying) > 2 and not any(copying)
    # No step is taken during the last write, at the end.
    assert len(written) > 1 and all(same and moved for same, moved in written[:-1])
    assert engine.pause_seconds >= 0.2 * len(written)


def test_a_group_continues_without_a_lost_replica(tmp_path):
    trouble = DeviceFaults()

    def break_replica(name):
        if engine.steps()["a"] >= 10:
            trouble.broken.add("/CPU:2")

    # Slow enough that the failure at the tenth step happens before the last step.
    trouble.seconds["/CPU:1"] = 0.02
    _, engine, lines = parallel_engine(tmp_path, {"a": 60, "bb": 60}, trouble)
    taken = run(engine, after_step=break_replica)
    assert engine.steps() == {"a": 60, "bb": 60} and len(taken) == 120
    assert engine.groups["a"].devices == ("/CPU:1",)
    assert engine.groups["bb"].generation == 0 and engine.device_failures == 1
    assert any("continues on /CPU:1; 1 of" in line for line in lines)


def test_a_group_without_devices_waits_for_a_device(tmp_path):
    trouble, steps_of_b = DeviceFaults(), []

    def break_all(name):
        if engine.steps()["a"] >= 10 and not steps_of_b:
            trouble.broken.update(DEVICES["a"])

    def alive(devices):
        """Is called regularly while task a waits."""
        if any("waiting for a device" in line for line in lines):
            steps_of_b.append(engine.steps()["bb"])
            if len(steps_of_b) == 2:
                trouble.broken.clear()
        return answering(devices)

    trouble.seconds = {"/CPU:1": 0.01, "/CPU:3": 0.02}
    _, engine, lines = parallel_engine(tmp_path, {"a": 100, "bb": 400}, trouble)
    answering, engine._pool.alive = engine._pool.alive, alive
    run(engine, after_step=break_all)
    assert engine.steps() == {"a": 100, "bb": 400}
    assert engine.groups["a"].devices == DEVICES["a"]
    first, second = steps_of_b[:2]
    assert second > first or first == 400


def test_a_hanging_step_is_given_up_and_is_not_applied(tmp_path):
    """A device hangs during a step; the step ends much later, without an effect."""
    trouble = DeviceFaults()
    released = threading.Event()

    def hang(name):
        if engine.steps()["a"] >= 10:
            trouble.hangs["/CPU:2"] = released

    trouble.seconds["/CPU:1"] = 0.02
    network, engine, lines = parallel_engine(
        tmp_path, {"a": 40, "bb": 40}, trouble, step_seconds=3.0
    )
    run(engine, after_step=hang)
    assert engine.steps() == {"a": 40, "bb": 40}
    assert any("has not returned" in line for line in lines)
    before = network.shared.numpy()
    accepted_steps = int(engine.groups["a"]._accepted_steps)
    released.set()
    time.sleep(1.0)
    np.testing.assert_array_equal(network.shared.numpy(), before)
    assert int(engine.groups["a"]._accepted_steps) == accepted_steps == 40


@pytest.mark.slow
def test_a_device_that_answers_again_is_used_again(tmp_path):
    trouble = DeviceFaults()
    trouble.seconds = {device: 0.02 for pair in DEVICES.values() for device in pair}

    def break_and_mend(name):
        steps = engine.steps()["a"]
        if 10 <= steps < 20:
            trouble.broken.add("/CPU:2")
        elif steps > 20:
            trouble.broken.clear()

    _, engine, _ = parallel_engine(tmp_path, {"a": 250, "bb": 20}, trouble)
    run(engine, after_step=break_and_mend)
    assert engine.groups["a"].devices == DEVICES["a"]
    assert engine.groups["a"].generation == 2


def test_an_error_that_is_no_device_failure_ends_the_run(tmp_path):
    _, engine, _ = parallel_engine(tmp_path, {"a": 60, "bb": 60})
    engine._pool = LocalPool()
    engine._pool.is_device_failure = lambda error: False
    engine.groups["a"].advance = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(engine)
