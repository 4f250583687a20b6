"""Groups side by side on logical CPU devices; lost devices are played by the input."""

import threading
import time

import numpy as np
import pytest
from failing_devices import DEVICES, DeviceFaults, parallel_engine, run

from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool


def test_counters_add_up_and_the_loss_falls(tmp_path):
    _, engine, _ = parallel_engine(tmp_path, {"a": 60, "bb": 40})
    taken = run(engine)
    assert engine.steps() == {"a": 60, "bb": 40}
    assert [name for name, _ in taken].count("a") == 60 and len(taken) == 100
    of_a = [loss for name, loss in taken if name == "a"]
    assert np.mean(of_a[-10:]) < 0.7 * np.mean(of_a[:10])


def test_a_slow_group_does_not_slow_the_other(tmp_path):
    """The ratio of steps, in one run: b waits a tenth of a second for its input."""
    trouble = DeviceFaults()
    trouble.seconds["/CPU:3"] = 0.1
    _, engine, _ = parallel_engine(tmp_path, {"a": 200, "bb": 10_000}, trouble)
    engine.clock.end, engine.clock.step_costs = 200.0, {"a": 1.0, "bb": 0.0}
    run(engine)
    assert engine.steps()["a"] >= 200 > 5 * engine.steps()["bb"]


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    first = parallel_engine(tmp_path, {"a": 20, "bb": 10})[1]
    run(first)
    _, second, _ = parallel_engine(tmp_path, {"a": 30, "bb": 12})
    assert second.resume() == "checkpoint-000000030"
    assert second.steps() == {"a": 20, "bb": 10}
    assert len(run(second)) == 12
    assert second.steps() == {"a": 30, "bb": 12}


def test_a_threshold_that_the_last_steps_cross_gives_a_snapshot(tmp_path):
    """All steps land before the loop looks for the first time, which ends it."""
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


def test_checkpoints_are_of_a_moment_between_steps(tmp_path):
    """No step lands while the variables are copied; they do while these are written."""
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
    # The last is of the end, when nothing moves.
    assert len(written) > 1 and all(same and moved for same, moved in written[:-1])
    assert engine.pause_seconds >= 0.2 * len(written)


def test_a_lost_replica_leaves_the_group_to_the_others(tmp_path):
    trouble = DeviceFaults()

    def break_one(name):
        if engine.steps()["a"] >= 10:
            trouble.broken.add("/CPU:2")

    # Slow enough for what is to happen at its tenth step to happen before the last.
    trouble.seconds["/CPU:1"] = 0.02
    _, engine, lines = parallel_engine(tmp_path, {"a": 60, "bb": 60}, trouble)
    taken = run(engine, after_step=break_one)
    assert engine.steps() == {"a": 60, "bb": 60} and len(taken) == 120
    assert engine.groups["a"].devices == ("/CPU:1",)
    assert engine.groups["bb"].generation == 0 and engine.device_failures == 1
    assert any("continues on /CPU:1; 1 of" in line for line in lines)


def test_a_group_without_devices_waits_for_one_and_says_so(tmp_path):
    trouble, steps_of_b = DeviceFaults(), []

    def break_all(name):
        if engine.steps()["a"] >= 10 and not steps_of_b:
            trouble.broken.update(DEVICES["a"])

    def alive(devices):
        """Asked now and then while a waits, whatever bb does."""
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


def test_a_hanging_step_is_given_up_and_does_not_land(tmp_path):
    """The device hangs with a step under way; that step goes on long after, in vain."""
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
    landed = int(engine.groups["a"]._landed)
    released.set()
    time.sleep(1.0)
    np.testing.assert_array_equal(network.shared.numpy(), before)
    assert int(engine.groups["a"]._landed) == landed == 40


@pytest.mark.slow
def test_a_device_that_answers_again_is_taken_back(tmp_path):
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


def test_an_error_that_is_no_loss_ends_therun(tmp_path):
    _, engine, _ = parallel_engine(tmp_path, {"a": 60, "bb": 60})
    engine._pool = LocalPool()
    engine._pool.is_device_failure = lambda error: False
    engine.groups["a"].advance = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(engine)
