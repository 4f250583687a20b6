from selfsup.common import history


def test_rows_come_back_in_order(tmp_path):
    rows = history.History(str(tmp_path), 0)
    rows.add("a", "train", 1, 2, {"loss": 0.5})
    rows.add("b", "validation", 1, 3, {"loss": 0.25})
    rows.flush()
    first, second = history.read(str(tmp_path))
    assert first == {
        "task": "a",
        "split": "train",
        "step": 1,
        "total_steps": 2,
        "loss": 0.5,
    }
    assert second["task"] == "b"


def test_rows_after_the_checkpoint_are_dropped_on_resume(tmp_path):
    rows = history.History(str(tmp_path), 0)
    for total in (1, 2, 3):
        rows.add("a", "train", total, total, {})
    rows.flush()
    history.History(str(tmp_path), 2)
    assert [row["total_steps"] for row in history.read(str(tmp_path))] == [1, 2]


def test_a_line_cut_by_a_kill_is_dropped(tmp_path):
    rows = history.History(str(tmp_path), 0)
    rows.add("a", "train", 1, 1, {})
    rows.flush()
    with open(tmp_path / history.FILE_NAME, "a") as file:
        file.write('{"task": "a", "spl')
    assert len(history.read(str(tmp_path))) == 1
    rows = history.History(str(tmp_path), 5)
    rows.add("a", "train", 2, 2, {})
    rows.flush()
    assert [row["step"] for row in history.read(str(tmp_path))] == [1, 2]


def test_no_history(tmp_path):
    assert history.read(str(tmp_path)) == []
