"""The report on a pretraining run: what it learned, its health, and how it was made."""

from __future__ import annotations

import json
import os

import numpy as np

from launch.pipeline import state
from launch.reports import run_curves, run_folder, run_health, run_learning, wording
from launch.reports.document import (
    Block,
    Cell,
    Code,
    Details,
    Document,
    Figure,
    Items,
    Remark,
    Section,
    Table,
    Text,
    Tone,
)
from launch.reports.run_folder import RunRecord
from launch.reports.run_learning import Learned, Verdict, title
from selfsup import tasks
from selfsup.common import history
from selfsup.pretraining import reporter

_TONES: dict[Verdict, Tone] = {
    "learned": "good",
    "learned a little": "open",
    "at chance": "bad",
    "worse than chance": "bad",
}
_STATES: dict[run_health.State, Tone] = {
    "well": "good",
    "trouble": "bad",
    "unknown": "open",
}
_SPLITS = (("train", "training"), ("validation", "held out"))


def document(folder: str) -> Document:
    """Makes the report on a pretraining run or a quickstart, finished or not.

    Args:
      folder: folder of the run, or of the results of `launch.quickstart`.

    Raises:
      UserError: the folder holds no run, or a file of it cannot be read.
    """
    current = state.read(folder)
    if current is not None:
        from launch.reports import pipeline_page

        return pipeline_page.document(folder, current)
    record = run_folder.read(folder)
    return Document(
        title=f"The pretraining in {os.path.basename(os.path.abspath(folder))}",
        summary=summary(record),
        sections=sections(record),
    )


def summary(record: RunRecord) -> str:
    """Says in two sentences how far the run is and which tasks have learned."""
    steps = max((counts["steps"] for counts in record.counts.values()), default=0)
    state = "The run is finished" if record.is_finished else "The run is not finished"
    first = (
        f"{state}: it took up to {steps:,} steps of each of {len(record.tasks)} tasks."
    )
    results = run_learning.learned(record)
    if not results:
        return f"{first} No task has been measured on held-out records yet."
    by_verdict: dict[Verdict, list[str]] = {}
    for each in results:
        by_verdict.setdefault(each.verdict, []).append(each.task.replace("_", " "))
    second = "; ".join(
        f"{verdict}: {', '.join(by_verdict[verdict])}"
        for verdict in _TONES
        if verdict in by_verdict
    )
    return f"{first} On held-out records, {second}."


def sections(record: RunRecord) -> tuple[Section, ...]:
    """Returns the sections of the report."""
    return (
        Section("What each task learned", _learning(record)),
        Section("Curves", _curves(record)),
        Section("What the tasks see", _pictures(record)),
        Section("Health", _health(record)),
        Section("Configuration", _configuration(record)),
        Section("Where the numbers come from", _provenance(record)),
    )


def _learning(record: RunRecord) -> tuple[Block, ...]:
    results = run_learning.learned(record)
    if not results:
        return (Text("No task has been measured on held-out records yet."),)
    remarks = [
        Remark(
            f"{title(each.task)}: {each.verdict}",
            f"{each.sentence()} {each.advice()}".strip(),
            _TONES[each.verdict],
        )
        for each in results
    ]
    rule = (
        "Skill is 0 at chance and 1 for a perfect score. A task has learned with a skill "
        f"of {run_learning.CLEAR_SKILL:g} or more, and learned a little from "
        f"{run_learning.LITTLE_SKILL:g} on, on records that training never saw."
    )
    return (
        *remarks,
        _headlines(record, results),
        Text(rule),
        Details("All metrics", (_all_metrics(record),)),
    )


def _headlines(record: RunRecord, results: tuple[Learned, ...]) -> Table:
    source = (record.provenance(),)
    rows = []
    for each in results:
        value = run_learning.skill(each.metric, each.value, each.chance)
        training = each.training
        rows.append(
            (
                title(each.task),
                (
                    Cell(each.metric.name.replace("_", " "), each.metric.description),
                    Cell(f"{each.value:.3f}", sources=source),
                    Cell(f"{each.chance:.3f}", sources=source),
                    _missing() if training is None else Cell(f"{training:.3f}"),
                    Cell(f"{value:.2f}"),
                ),
            )
        )
    return Table(
        "The headline metric of each task. The column for training has the mean of the "
        "last training rows.",
        ("task", "metric", "held out", "chance", "training", "skill"),
        tuple(rows),
    )


def _missing() -> Cell:
    return Cell(wording.MISSING, missing=True)


def _all_metrics(record: RunRecord) -> Table:
    source = (record.provenance(),)
    rows = []
    for task in record.tasks:
        scalars = record.held_out.get(task, {})
        for metric in tasks.task_class(task).metric_specs:
            if metric.name not in scalars:
                continue
            chance = scalars.get(f"chance/{metric.name}")
            cells = (
                Cell(f"{scalars[metric.name]:.4f}", sources=source),
                _missing() if chance is None else Cell(f"{chance:.4f}"),
                Cell("more" if metric.higher_is_better else "less"),
                Cell(metric.description),
            )
            name = f"{title(task)}, {metric.name.replace('_', ' ')}"
            rows.append((name, cells))
    return Table(
        "All metrics on held-out records.",
        ("metric", "held out", "chance", "better is", "meaning"),
        tuple(rows),
    )


def _curves(record: RunRecord) -> tuple[Block, ...]:
    figures = []
    for task in record.tasks:
        for scalar in dict.fromkeys((record.headline(task).name, "loss")):
            figure = _curve_figure(record, task, scalar)
            # The loss of some tasks is the headline metric itself.
            if figure and not (scalar == "loss" and _loss_is_headline(record, task)):
                figures.append(figure)
    return tuple(figures) or (Text("There are no rows in the history yet."),)


def _loss_is_headline(record: RunRecord, task: str) -> bool:
    name = record.headline(task).name
    rows = record.rows_of(task, "train", name)
    return bool(rows) and all(row.get("loss") == row[name] for row in rows)


def _curve_figure(record: RunRecord, task: str, scalar: str) -> Figure | None:
    curves = []
    for split, name in _SPLITS:
        rows = record.rows_of(task, split, scalar)
        if not rows:
            continue
        levels = [row[f"chance/{scalar}"] for row in rows if f"chance/{scalar}" in row]
        curves.append(
            run_curves.Curve(
                name,
                [(row["step"], row[scalar]) for row in rows],
                float(np.mean(levels)) if levels else None,
                split == "validation",
            )
        )
    if not curves:
        return None
    words = "; ".join(
        f"{curve.name}: {curve.points[0][1]:.3f} at step {curve.points[0][0]:g}, "
        f"{curve.points[-1][1]:.3f} at step {curve.points[-1][0]:g}"
        + ("" if curve.chance is None else f", chance {curve.chance:.3f}")
        for curve in curves
    )
    readable = scalar.replace("_", " ")
    return Figure(
        caption=f"{title(task)}: {readable} over the task's steps.",
        alternative=f"{title(task)}, {readable}. {words}.",
        name=f"curve-{task}-{scalar}",
        content=run_curves.draw(readable, curves),
        is_svg=True,
    )


def _pictures(record: RunRecord) -> tuple[Block, ...]:
    folder = os.path.join(record.folder, reporter.PICTURES_FOLDER)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    figures = []
    for file in names:
        stem, extension = os.path.splitext(file)
        if extension != ".png":
            continue
        task, _, columns = stem.partition("-")
        what = ", ".join(columns.split("_")) or "weights of the units"
        with open(os.path.join(folder, file), "rb") as picture:
            content = picture.read()
        caption = f"{title(task)} on held-out records: {what}."
        figures.append(Figure(caption, caption, f"picture-{stem}", content, False))
    return tuple(figures) or (Text("The run draws its pictures when it finishes."),)


def _health(record: RunRecord) -> tuple[Block, ...]:
    findings = run_health.findings(record)
    order: tuple[run_health.State, ...] = ("trouble", "unknown", "well")
    return tuple(
        Remark(each.subject, f"{each.text} {each.advice}".strip(), _STATES[each.state])
        for state in order
        for each in findings
        if each.state == state
    )


def _configuration(record: RunRecord) -> tuple[Block, ...]:
    config = record.config
    trunk = config["trunk"]
    facts = [
        f"Preset: {config['preset']}",
        f"Trunk: {trunk.get('kind', 'resnet_v2')}, depth {trunk['depth']}",
        f"Tasks: {', '.join(record.tasks)}",
        f"Seed: {config['seed']}",
    ]
    text = json.dumps(config, indent=1)
    return (Items(tuple(facts)), Details("All settings", (Code(text),)))


def _provenance(record: RunRecord) -> tuple[Block, ...]:
    source = record.provenance()
    facts = [f"{name}: {value}" for name, value in wording.facts(source).items()]
    sets = [
        f"{each['directory']}: {each['kind']}, {each['records']['train']:,} records for "
        f"training, {each['records']['validation']:,} held out"
        for each in record.data
    ]
    blocks: list[Block] = [
        Code(source.command)
        if record.starts
        else Text(
            "The command was not recorded: the run was made by an earlier version or "
            "without launch.pretrain."
        )
    ]
    if len(record.starts) > 1:
        lines = "\n".join(
            f"{start['started']}  {start['commit'] or 'unknown commit'}  {start['command']}"
            for start in record.starts[1:]
        )
        blocks.append(Details("Later starts of the same run", (Code(lines),)))
    blocks += [Items(tuple(sets)), Items(tuple(facts)), *_speed(record)]
    files = Text(
        f"The numbers are in {history.FILE_NAME} and {reporter.VALIDATION_FILE}."
    )
    return (*blocks, files)


def _speed(record: RunRecord) -> tuple[Block, ...]:
    """Returns how long a step of each task takes; older runs did not record it."""
    rows = []
    for task in record.tasks:
        seconds = record.training_mean(task, "step_seconds")
        counts = record.counts.get(task)
        if seconds and counts and counts["steps"]:
            images = counts["examples"] / counts["steps"]
            cells = (
                Cell(f"{counts['steps']:,}"),
                Cell(f"{seconds:.3f}"),
                Cell(f"{images / seconds:.1f}"),
            )
            rows.append((title(task), cells))
    if not rows:
        return ()
    columns = ("task", "steps", "seconds a step", "images a second")
    return (Table("The steps of each task, and their speed.", columns, tuple(rows)),)
