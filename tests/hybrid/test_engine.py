import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from mock_tasks import Network, engine, groups

from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid.checkpoint import CheckpointStore


def _losses(run, checkpoint_seconds=1e9):
    taken = []

    def after_step(name, logs, _):
        taken.append((name, logs["loss"]))

    run.run(StopSignals(), checkpoint_seconds, after_step)
    return taken


def test_counters_add_up_and_the_loss_falls(tmp_path):
    _, run = engine(tmp_path, {"a": 60, "bb": 30}, {"a": 2.0, "bb": 1.0})
    losses = _losses(run)
    assert run.steps() == {"a": 60, "bb": 30}
    assert run.total_steps() == len(losses) == 90
    losses_of_task = [loss for name, loss in losses if name == "a"]
    assert np.mean(losses_of_task[-10:]) < 0.7 * np.mean(losses_of_task[:10])


def test_a_finished_task_leaves_its_turns_to_the_others(tmp_path):
    _, run = engine(tmp_path, {"a": 20, "bb": 10})

    def finish_a(name, _logs, _seconds):
        if run.steps()["a"] == 5:
            run.finish_task("a")

    run.run(StopSignals(), 1e9, finish_a)
    assert run.steps() == {"a": 5, "bb": 10}


def test_a_step_does_not_change_the_other_task():
    network = Network(("a", "bb"))
    made = groups(network)
    made["bb"].step()
    head = network.heads["bb"].numpy()
    slots = [slot.numpy() for slot in made["bb"].optimizer.mean_squares]
    shared = network.shared.numpy()
    made["a"].step()
    assert np.any(network.shared.numpy() != shared)
    np.testing.assert_array_equal(network.heads["bb"].numpy(), head)
    for slot, before in zip(made["bb"].optimizer.mean_squares, slots):
        np.testing.assert_array_equal(slot.numpy(), before)


def test_a_resumed_run_has_the_losses_of_an_uninterrupted_run(tmp_path):
    limits = {"a": 20, "bb": 10}
    _, straight = engine(tmp_path / "straight", limits)
    expected = _losses(straight)
    _, first = engine(tmp_path / "cut", {"a": 7, "bb": 7})
    losses = _losses(first)
    _, second = engine(tmp_path / "cut", limits)
    assert second.resume() == "checkpoint-000000014"
    assert losses + _losses(second) == expected


def test_non_finite_steps_change_nothing_and_are_counted(tmp_path):
    network, run = engine(tmp_path, {"a": 3}, poisoned_steps=(3, 4))
    _losses(run)
    group = run.groups["a"]
    watched = [network.shared, network.heads["a"], network.moving_mean]
    watched += group.optimizer.mean_squares + group.optimizer.momenta
    before = [variable.numpy() for variable in watched]
    group.step()
    group.step()
    assert (group.steps, group.skipped) == (5, 2)
    for variable, value in zip(watched, before):
        np.testing.assert_array_equal(variable.numpy(), value)
    group.step()
    assert group.skipped == 2
    assert np.any(network.shared.numpy() != before[0])


def test_replacements_are_counted_and_stored_in_checkpoints(tmp_path):
    def run(limit):
        tags = tf.constant([-1, 2, 0, 2])
        _, made = engine(tmp_path, {"a": limit}, replaced_shards=lambda inputs: tags)
        made.resume()
        _losses(made)
        return made.groups["a"]

    group = run(2)
    assert (group.num_replacements, group.damaged_shards) == (6, {0, 2})
    assert group.counters()["stand_ins"] == 6
    assert run(3).num_replacements == 9


def test_persistent_non_finite_steps_stop_the_run(tmp_path):
    network, run = engine(tmp_path, {"a": 1000}, nan_inputs=True)
    before = network.shared.numpy()
    with pytest.raises(
        UserError, match="a: gradients were not finite in 20 steps in a row"
    ):
        _losses(run)
    np.testing.assert_array_equal(network.shared.numpy(), before)
    assert np.all(np.isfinite(network.moving_mean.numpy()))


def test_checkpoints_of_a_resumed_run_need_the_same_tasks(tmp_path):
    _, run = engine(tmp_path, {"a": 1})
    _losses(run)
    _, other = engine(tmp_path, {"a": 1, "bb": 1})
    with pytest.raises(UserError, match="are a, those of this run are a, bb"):
        other.resume()


@pytest.mark.parametrize("left", ["", '{"groups": {"a"'])
def test_a_damaged_checkpoint_is_refused_with_a_remedy(tmp_path, left):
    _, run = engine(tmp_path, {"a": 1})
    _losses(run)
    (tmp_path / "checkpoint-000000001" / "state.json").write_text(left)
    _, again = engine(tmp_path, {"a": 2})
    message = "checkpoint-000000001: cannot be restored .* resume from the previous"
    with pytest.raises(UserError, match=message):
        again.resume()


def test_snapshots_at_multiples_of_the_cost(tmp_path):
    _, run = engine(tmp_path, {"a": 10}, threshold=8.0, step_costs={"a": 2.0})
    _losses(run)
    store = CheckpointStore(str(tmp_path))
    assert store.names("snapshot") == ["snapshot-001", "snapshot-002"]
    assert store.read_state("snapshot-001")["groups"]["a"]["steps"] == 4
    assert store.read_state("snapshot-002")["cost"] == 16.0
    # A resumed run does not take the snapshots again.
    _, more = engine(tmp_path, {"a": 11}, threshold=8.0, step_costs={"a": 2.0})
    more.resume()
    _losses(more)
    assert store.names("snapshot") == ["snapshot-001", "snapshot-002"]


def test_each_replicas_batch_costs(tmp_path):
    devices = {"a": ["/CPU:1", "/CPU:2"]}
    options = {"devices": devices, "own_batches": True}
    _, run = engine(tmp_path, {"a": 3}, step_costs={"a": 2.0}, **options)
    _losses(run)
    store = CheckpointStore(str(tmp_path))
    assert store.read_state(store.latest())["cost"] == 3 * 2 * 2.0


def test_only_the_last_checkpoints_are_kept(tmp_path):
    _, run = engine(tmp_path, {"a": 6})
    _losses(run, checkpoint_seconds=0.0)
    names = ["checkpoint-000000005", "checkpoint-000000006"]
    assert CheckpointStore(str(tmp_path)).names() == names
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


_SCRIPT = """
    import sys, time
    sys.path[:0] = sys.argv[2:]
    from mock_tasks import engine
    from selfsup.common.stop_signals import StopSignals
    _, run = engine(sys.argv[1], {"a": 10**6, "bb": 10**6})
    resumed = run.resume()
    def after_step(name, logs, seconds):
        print(run.total_steps(), flush=True)
        time.sleep(0.01)
    with StopSignals() as stop:
        run.run(stop, 0.1, after_step)
    print("stopped by", stop.received, "at", run.total_steps(), flush=True)
"""


def _start(directory):
    paths = [os.path.join(os.getcwd(), "tests", "support"), os.getcwd()]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(directory), *paths],
        stdout=subprocess.PIPE,
        text=True,
    )


def _read_until(process, steps):
    for line in process.stdout:
        if int(line) >= steps:
            return int(line)
    raise AssertionError("the run ended early")


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_a_signal_writes_a_checkpoint_and_ends_the_run(tmp_path, number):
    process = _start(tmp_path)
    _read_until(process, 30)
    process.send_signal(number)
    *_, last = process.stdout.read().splitlines()
    assert process.wait() == 0
    assert last.startswith(f"stopped by {number.name} at ")
    store = CheckpointStore(str(tmp_path))
    assert store.read_state(store.latest())["total_steps"] == int(last.split()[-1])


def test_a_killed_run_loses_at_most_the_checkpoint_interval(tmp_path):
    process = _start(tmp_path)
    seen = _read_until(process, 60)
    process.kill()
    process.wait()
    store = CheckpointStore(str(tmp_path))
    # 0.1 s between checkpoints and at least 0.01 s per step, and time for a slow write.
    assert store.read_state(store.latest())["total_steps"] >= seen - 30
    _, run = engine(tmp_path, {"a": 10**6, "bb": 10**6})
    assert run.resume() == store.latest()
