"""Whole runs of the synchronous and the asynchronous mode.

`test_parallel_engine.py` has those of the hybrid mode.
"""

import numpy as np
import pytest
from failing_devices import DEVICES, DeviceFaults, parallel_engine, run

from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock

LIMITS = {"sync": {"a": 41, "bb": 41}, "async": {"a": 61, "bb": 30}}
MODES = sorted(LIMITS)


@pytest.mark.parametrize("mode", MODES)
def test_limits_are_met_exactly_and_a_run_resumes_from_its_checkpoint(tmp_path, mode):
    """The limit is odd, so the last step is left to one of two asynchronous workers."""
    limits = LIMITS[mode]
    network, engine, _ = parallel_engine(tmp_path, limits, mode=mode)
    taken = run(engine)
    assert engine.steps() == limits
    assert {name: [n for n, _ in taken].count(name) for name in limits} == limits
    losses_of_task = [loss for name, loss in taken if name == "a"]
    assert np.mean(losses_of_task[-10:]) < 0.8 * np.mean(losses_of_task[:10])

    more = {name: limit + 10 for name, limit in limits.items()}
    again, second, _ = parallel_engine(tmp_path, more, mode=mode)
    assert second.resume() == f"checkpoint-{sum(limits.values()):09d}"
    assert second.steps() == limits
    np.testing.assert_array_equal(again.shared.numpy(), network.shared.numpy())
    before = engine.groups["a"].counters()
    assert second.groups["a"].counters() == before
    assert len(run(second)) == 20 and second.steps() == more


def test_a_slow_worker_slows_all_tasks_in_sync(tmp_path):
    """The other task never gets ahead, although only a worker of the first is slow."""
    trouble = DeviceFaults()
    trouble.seconds["/CPU:2"] = 0.1
    limits = {"a": 8, "bb": 8}
    _, engine, _ = parallel_engine(tmp_path, limits, trouble, mode="sync")
    taken = run(engine)
    assert [task for task, _ in taken] == ["a", "bb"] * 8
    (joint,) = engine._steppers.values()
    assert int(joint._accepted_steps) == 8


def test_a_slow_worker_slows_no_other_worker_in_async(tmp_path):
    """While it takes 8 steps, the other worker and the other task take more.

    Counted from the moment when all have taken a step, because tracing may take long.
    """
    trouble = DeviceFaults()
    trouble.seconds["/CPU:2"] = 0.3
    limits = {"a": 100_000, "bb": 100_000}
    _, engine, _ = parallel_engine(tmp_path, limits, trouble, mode="async")
    quick, slow = engine.groups["a"].workers
    start: list[tuple[int, int, int]] = []

    def counts() -> tuple[int, int, int]:
        return quick.steps, slow.steps, engine.steps()["bb"]

    def ended(_) -> bool:
        if not start and min(counts()):
            start.append(counts())
        return bool(start) and slow.steps >= start[0][1] + 8

    engine.clock.ended = ended
    run(engine)
    taken = np.subtract(counts(), start[0])
    assert taken[0] > 2 * taken[1] and taken[2] > 2 * taken[1]


@pytest.mark.parametrize("mode", MODES)
def test_costs_count_whole_batches_in_every_mode(tmp_path, mode):
    """A snapshot at a cost of 8: a batch costs 1, and task a's workers take half each."""
    clock = CostClock({"a": 1.0, "bb": 1.0}, threshold=8.0)
    limits = {"sync": {"a": 6, "bb": 6}, "async": {"a": 12, "bb": 6}}[mode]
    _, engine, _ = parallel_engine(tmp_path, limits, mode=mode, clock=clock)
    run(engine)
    store = CheckpointStore(str(tmp_path))
    assert store.names("snapshot") == ["snapshot-001"]
    assert store.read_state(store.latest())["cost"] == 12.0


def test_the_other_worker_takes_the_steps_of_a_lost_async_worker(tmp_path):
    trouble = DeviceFaults()

    def break_worker(name):
        if engine.steps()["a"] >= 10:
            trouble.broken.add("/CPU:2")

    limits = {"a": 60, "bb": 30}
    _, engine, lines = parallel_engine(tmp_path, limits, trouble, mode="async")
    taken = run(engine, after_step=break_worker)
    assert engine.steps() == limits and len(taken) == 90
    left, lost = engine.groups["a"].workers
    assert engine.device_failures == 1 and left.steps > lost.steps
    expected = "a, worker 2 of 2: none of its devices answers; waiting for a device"
    assert expected in lines


def test_sync_continues_without_a_replica_and_waits_for_a_task(tmp_path):
    trouble = DeviceFaults()
    # Each happens once, at this count or later, because steps may be reported late.
    troubles = [(10, ("/CPU:2",)), (20, DEVICES["bb"])]

    def after_step(name):
        if troubles and engine.steps()["a"] >= troubles[0][0]:
            trouble.broken.update(troubles.pop(0)[1])

    def repair_when_waiting(text):
        lines.append(text)
        if "waiting for a device" in text:
            trouble.broken.clear()

    limits = {"a": 40, "bb": 40}
    _, engine, lines = parallel_engine(tmp_path, limits, trouble, mode="sync")
    engine._say = repair_when_waiting
    taken = run(engine, after_step=after_step)
    assert engine.steps() == limits and len(taken) == 80
    assert any("continues on /CPU:1, /CPU:3; 1 of" in line for line in lines)
    expected = "all tasks: none of its devices for bb answers; waiting for a device"
    assert expected in lines
    (joint,) = engine._steppers.values()
    assert set(joint.devices) == {"/CPU:1", "/CPU:2", "/CPU:3"}
    assert int(joint._accepted_steps) == 40
