"""The rules of the health of a run, and of what its tasks have learned."""

import pytest
import run_records
from run_records import healthy_rows, record, row

from launch.reports import run_health, run_learning
from selfsup.tasks import REGISTRY
from selfsup.tasks.task import Metric


def _troubles(made):
    return [each for each in run_health.findings(made) if each.state == "trouble"]


_SHARE, _LOSS = Metric("accuracy", True, ""), Metric("loss", False, "")


def _changed(task, split, **values):
    """Healthy rows in which the last row of a task and split has other values."""
    rows = healthy_rows()
    named = {name.replace("__", "/"): value for name, value in values.items()}
    last = max(
        (each for each in rows if (each["task"], each["split"]) == (task, split)),
        key=lambda each: each["step"],
    )
    last.update(named)
    return rows


def test_a_healthy_run_has_no_trouble():
    found = run_health.findings(record(healthy_rows()))
    assert {each.state for each in found} == {"well"}
    assert not any(each.advice for each in found)
    texts = {each.subject: each.text for each in found}
    assert "It has not collapsed" in texts["Collapse"]
    assert "At most 10% of a layer's units" in texts["Dead units"]


def test_a_run_without_history_is_unknown_not_well():
    found = run_health.findings(record([], counts={}, held_out={}))
    unknown = {each.subject for each in found if each.state == "unknown"}
    assert unknown == {
        "Overfitting", "Dead units", "Size of the updates", "Skipped steps",
        "Damaged records",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "distance", "collapsed"),
    [(0.5, 0.01, True), (0.5, 0.8, False), (0.3, 0.01, False)],
)
def test_collapse_needs_a_loss_at_the_margin_and_equal_features(
    loss, distance, collapsed
):
    rows = [
        row("exemplar", "train", step, triplet_loss=loss, chance__triplet_loss=0.5,
            mean_distance=distance)
        for step in (10, 20)
    ]  # fmt: skip
    states = {
        each.state
        for each in run_health.findings(record(rows))
        if each.subject == "Collapse"
    }
    assert states == {"trouble" if collapsed else "well"}


def test_a_risen_held_out_loss_is_overfitting():
    rows = _changed("relative_position", "validation", loss=2.2)
    (trouble,) = _troubles(record(rows))
    assert trouble.subject == "Overfitting"
    assert "since step 10 the held-out loss has risen by 15%, from 1.920 to 2.200" in (
        trouble.text
    )
    assert "--task_weights=relative_position=0.5" in trouble.advice


def test_a_loss_that_rises_in_training_too_is_no_overfitting():
    rows = _changed("relative_position", "validation", loss=2.2)
    for each in rows:
        if each["split"] == "train" and each["step"] == 20:
            each["loss"] = 2.5
    assert _troubles(record(rows)) == []


def test_a_gap_to_training_is_overfitting():
    rows = _changed("relative_position", "validation", accuracy=0.17)
    for each in rows:
        if each["task"] == "relative_position" and each["split"] == "train":
            each["accuracy"] = 0.6
    (trouble,) = _troubles(record(rows))
    assert "accuracy is 0.600 in training (chance 0.167), but 0.170" in trouble.text


@pytest.mark.parametrize(
    ("changes", "subject", "words"),
    [
        ({"dead_units__head__conv1": 0.25}, "Dead units", "25% of the units of head/c"),
        (
            {"update_ratio__trunk": 0.04},
            "Size of the updates",
            "Try a lower --task_set",
        ),
        (
            {"update_ratio__head": 1e-8},
            "Size of the updates",
            "Try a higher --task_set",
        ),
    ],
)
def test_layers_and_updates_out_of_bounds(changes, subject, words):
    (trouble,) = _troubles(record(_changed("exemplar", "health", **changes)))
    assert trouble.subject == subject
    assert words in f"{trouble.text} {trouble.advice}"


def test_an_early_end_is_explained():
    rows = healthy_rows()
    rows.append(row("exemplar", "stopped", 20, best_loss=0.25, best_step=10))
    made = record(rows)
    (ended,) = [
        each for each in run_health.findings(made) if each.subject == "Early end"
    ]
    assert (
        "after step 20: its lowest held-out loss, 0.250, was at step 10" in ended.text
    )
    assert _troubles(made) == []


def _counts(**changes):
    counts = {"steps": 1000, "examples": 32_000, "skipped": 0, "stand_ins": 0}
    return {task: {**counts, **changes} for task in ("exemplar",)}


@pytest.mark.parametrize(
    ("changes", "subject", "is_trouble"),
    [
        ({"skipped": 10}, "Skipped steps", False),
        ({"skipped": 11}, "Skipped steps", True),
        ({"stand_ins": 32}, "Damaged records", False),
        ({"stand_ins": 33}, "Damaged records", True),
    ],
)
def test_shares_of_skipped_steps_and_damaged_records(changes, subject, is_trouble):
    made = record(healthy_rows(), counts=_counts(**changes))
    (found,) = [each for each in run_health.findings(made) if each.subject == subject]
    assert (found.state == "trouble") == is_trouble
    assert bool(found.advice) == is_trouble
    assert str(next(iter(changes.values()))) in found.text


def test_lost_devices_few_records_and_pauses():
    rows = _changed("all", "run", pause_share=0.1)
    data = [{**record(rows).data[0], "records": {"train": 9, "validation": 2}}]
    troubles = _troubles(record(rows, lost_devices=2, data=data))
    assert [each.subject for each in troubles] == [
        "Lost devices", "Held-out records", "Checkpoints",
    ]  # fmt: skip
    assert "A device was lost 2 times" in troubles[0].text
    assert "Relative position 2, Exemplar 2" in troubles[1].text


def test_a_part_of_a_step_that_takes_long():
    parts = {"exemplar": {"step": (1.0, 1.2), "compute": (0.5,), "input": (0.4,)}}
    (trouble,) = _troubles(record(healthy_rows(), parts=parts))
    assert trouble.subject == "Time of a step"
    assert "a step takes 1.100 s: compute 45%, input 36%" in trouble.text
    assert "The input is too slow" in trouble.advice


def test_lost_devices_are_counted_in_the_log(tmp_path):
    run_records.write(tmp_path / "run", healthy_rows())
    log = (
        "2026-01-01 10:00:00,000 exemplar: exemplar: UnavailableError: gone\n"
        "  more of this error: with a colon\n"
        "2026-01-01 10:00:01,000 Thread-1: left undone on a lost device: gone\n"
        "2026-01-01 11:00:00,000 exemplar: exemplar: took too long\n"
    )
    assert run_records.lost_devices(tmp_path / "run", log) == 2


@pytest.mark.parametrize(
    ("metric", "value", "chance", "expected"),
    [
        (_SHARE, 1.0, 0.25, 1.0),
        (_SHARE, 0.25, 0.25, 0.0),
        (_LOSS, 1.0, 2.0, 0.5),
        (_LOSS, 3.0, 2.0, -0.5),
        (_SHARE, 1.0, 1.0, 0.0),
    ],
)
def test_skill_is_zero_at_chance_and_one_at_best(metric, value, chance, expected):
    assert run_learning.skill(metric, value, chance) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "verdict", "advice"),
    [
        (0.4, "learned", ""),
        (0.2, "learned a little", "train for more steps"),
        (0.17, "at chance", "does not carry over"),
        (0.1, "worse than chance", "does not carry over"),
    ],
)
def test_verdicts(value, verdict, advice):
    rows = _changed("relative_position", "validation", accuracy=value)
    learned = run_learning.learned(record(rows))[0]
    assert learned.verdict == verdict
    assert advice in learned.advice()
    assert (
        f"is {value:.3f} on held-out records, where chance is 0.167"
        in learned.sentence()
    )


@pytest.mark.parametrize(
    ("task", "inputs"), [("motion_segmentation", "videos"), ("rotation", "photos")]
)
def test_more_of_what_the_task_reads_is_advised(task, inputs):
    learned = run_learning.Learned(task, _SHARE, 0.2, 0.2, 0.9, 0.2)
    assert f"Add more and more varied {inputs};" in learned.advice()


def test_a_task_that_has_not_learned_its_training_records_gets_other_advice():
    rows = healthy_rows()
    for each in rows:
        if each["task"] == "relative_position":
            each["accuracy"] = 1 / 6
    learned = run_learning.learned(record(rows))[0]
    assert learned.verdict == learned.training_verdict == "at chance"
    assert "has not learned its training records either" in learned.advice()


def test_tasks_on_images_are_measured_on_photos_if_there_are_any(monkeypatch):
    frames = {
        "directory": "data/videos",
        "kind": "video_frames",
        "records": {"train": 100, "validation": 7},
        "shards": {},
    }
    photos = record([]).data[0]
    both = record([], data=(photos, frames))
    assert both.held_out_records("exemplar") == 128
    assert both.held_out_records("motion_segmentation") == 7
    assert record([], data=(frames,)).held_out_records("exemplar") == 7
    pairs = {
        **frames,
        "directory": "data/pairs",
        "features": ["image", "motion_mask", "second_frame"],
        "records": {"train": 100, "validation": 5},
    }
    every = record([], data=(photos, frames, pairs))
    assert every.held_out_records("motion_segmentation") == 12
    monkeypatch.setitem(REGISTRY, "frame_order", "frame_order:FrameOrder")
    assert every.held_out_records("frame_order") == 5
