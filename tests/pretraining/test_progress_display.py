import io

from selfsup.pretraining import progress_display
from selfsup.tasks.task import Metric


def _task(limit=10, steps=0):
    spec = Metric("accuracy", True, "share")
    return progress_display.TaskStatus(spec, limit, images_per_step=8, steps=steps)


_LOGS = {"loss": 2.0, "accuracy": 0.25, "chance/accuracy": 0.125}


def test_rate_and_time_left_leave_tracing_out():
    task = _task()
    task.update(1, 0, _LOGS, 60.0)
    assert task.images_per_second is None
    task.update(2, 0, _LOGS, 2.0)
    assert task.images_per_second == 4.0
    assert task.seconds_left == 16.0


def test_a_skipped_step_is_not_in_the_averages():
    task = _task()
    task.update(1, 0, _LOGS, 1.0)
    task.update(2, 1, {**_LOGS, "loss": float("nan")}, 1.0)
    assert task.loss == 2.0
    assert task.cells()[-1] == "1"


def test_plain_lines_without_a_terminal(monkeypatch):
    monkeypatch.setattr(progress_display, "PLAIN_SECONDS", 0.0)
    stream = io.StringIO()
    with progress_display.ProgressDisplay(
        {"rotation": _task()}, stream=stream
    ) as display:
        display.update("rotation", 1, 0, _LOGS, 2.0)
        display.update("rotation", 2, 1, _LOGS, 2.0)
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "loss 2.0000  accuracy 0.250 (chance 0.125)  4.0 images/s" in text
    assert "2/10" in text
    assert "skipped 1" in text
    assert "0:00:16" in text


def test_a_live_table_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with progress_display.ProgressDisplay(
        {"rotation": _task()}, stream=stream
    ) as display:
        display.update("rotation", 1, 0, _LOGS, 2.0)
        display.say("resumed from checkpoint-000000003")
    text = stream.getvalue()
    assert "Pretraining" in text
    assert "resumed from checkpoint-000000003" in text
    assert "1/10" in text


def _stepping(takes_turns, monkeypatch):
    """The time left of tasks with 8 and 3 steps left that take 5 and 20 s by the clock."""
    clock = iter([0.0, 0.0, 0.0, 5.0, 20.0])
    monkeypatch.setattr(progress_display.time, "monotonic", lambda: next(clock))
    tasks = {"slow": _task(limit=5), "quick": _task(limit=10)}
    display = progress_display.ProgressDisplay(tasks, takes_turns, io.StringIO())
    for name, steps in (("quick", 1), ("slow", 1), ("quick", 2), ("slow", 2)):
        display.update(name, steps, 0, _LOGS, 2.0)
    return display.time_left()


def test_time_left_is_the_sum_in_turns_and_the_longest_in_parallel(monkeypatch):
    with monkeypatch.context() as patch:
        assert _stepping(True, patch) == "0:00:22"
    with monkeypatch.context() as patch:
        assert _stepping(False, patch) == "0:01:00"


def test_time_left_is_a_bound_if_the_run_may_end_earlier():
    task = _task()
    task.update(1, 0, _LOGS, 60.0)
    task.update(2, 0, _LOGS, 2.0)
    display = progress_display.ProgressDisplay(
        {"rotation": task}, stream=io.StringIO(), at_most=True
    )
    assert display.time_left() == "at most 0:00:16"
