"""Figures 3 to 5 of a study: curves over cost, and the weights alpha."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from launch.reports import alpha_figure, cells, curves_figure, svg, wording
from launch.reports.curves_figure import Curve
from launch.reports.document import (
    Block,
    Cell,
    Details,
    Figure,
    Heading,
    Table,
    Text,
)
from launch.reports.metrics import Metric
from launch.reports.samples import Numbers
from launch.studies import rows
from launch.studies.results import PretrainingResult, Provenance

_FIGURE_3 = ("RP", "Col", "Ex", "MS")
_FIGURE_4 = ("RP", "RP+Col", "RP+Ex", "RP+MS", "RP+Col+Ex", rows.ALL_TASKS)
_BAND = (
    "Markers and lines are means over seeds, bands reach from the lowest to the highest "
    "seed. Dashed: trunks without pretraining, and a chance level that is near."
)


def curves(numbers: Numbers) -> tuple[Block, ...]:
    """Returns figures 3 and 4, and the same for the study's further rows."""
    pretrained = [name for name in numbers.rows if not numbers.is_random(name)]
    further = [name for name in pretrained if name not in (*_FIGURE_3, *_FIGURE_4)]
    groups = [
        ("Figure 3", "single tasks", [n for n in _FIGURE_3 if n in pretrained]),
        ("Figure 4", "combinations", [n for n in _FIGURE_4 if n in pretrained]),
    ]
    # A panel has as many rows as there are colours and markers.
    for start in range(0, len(further), svg.SERIES):
        part = further[start : start + svg.SERIES]
        groups.append(("Further rows", f"part {start // svg.SERIES + 1}", part))
    blocks: list[Block] = []
    for number, (title, subject, names) in enumerate(groups):
        # RP by itself is a part of figure 3.
        if len(names) > (1 if title == "Figure 4" else 0):
            blocks.extend(
                _group(numbers, title, subject, names, f"curves-{number + 1}")
            )
    return tuple(blocks) or (Text("Nothing has been measured over cost yet."),)


def _group(
    numbers: Numbers, title: str, subject: str, names: Sequence[str], stem: str
) -> list[Block]:
    panels: list[Block] = []
    tables: list[Block] = []
    for metric in numbers.headlines:
        drawn = [
            curve for name in names if (curve := _curve(numbers, name, metric)).points
        ]
        if not drawn:
            continue
        content = curves_figure.draw(
            metric.heading,
            drawn,
            _levels(numbers, metric, drawn),
            f"cost of pretraining, {numbers.cost_unit}",
        )
        caption = f"{title}, {subject}: {metric.heading} over the cost of pretraining."
        chance = numbers.chance(metric)
        if chance is not None:
            caption += f" The chance level is {chance:.{metric.digits}f}."
        panels.append(
            Figure(
                caption,
                f"{caption} {_in_words(drawn, metric)} The table below has all numbers.",
                f"{stem}-{metric.evaluation}",
                content,
                is_svg=True,
            )
        )
        tables.append(_table(numbers, names, metric, title))
    if not panels:
        return []
    return [
        Heading(f"{title}: {subject}"),
        Text(_BAND),
        *panels,
        Details(f"The numbers of the panels ({subject})", tuple(tables)),
    ]


def _curve(numbers: Numbers, name: str, metric: Metric) -> Curve:
    points = []
    for snapshot in numbers.results.study.snapshots:
        sample = numbers.sample(name, metric, snapshot)
        if sample.count:
            measured = numbers.measurements(name, metric.evaluation, snapshot)
            cost = float(np.mean([each.cost for each in measured]))
            points.append((cost, tuple(sample.values.values())))
    return Curve(name, tuple(points))


def _levels(
    numbers: Numbers, metric: Metric, drawn: Sequence[Curve]
) -> list[tuple[str, float]]:
    """Random trunks, and chance where it does not squeeze the curves together."""
    levels = [
        (name, sample.mean)
        for name in numbers.rows
        if numbers.is_random(name)
        if (sample := numbers.sample(name, metric, 0)).count
    ]
    chance = numbers.chance(metric)
    if chance is None:
        return levels
    shown = [mean for curve in drawn for mean in curve.means]
    shown += [level for _, level in levels]
    near = abs(min(shown) - chance) <= 0.5 * (max(shown) - min(shown))
    return [*levels, ("chance", chance)] if near else levels


def _in_words(drawn: Sequence[Curve], metric: Metric) -> str:
    def number(mean: float) -> str:
        return f"{mean:.{metric.digits}f}"

    ends = ", ".join(
        f"{curve.label} from {number(curve.means[0])} to {number(curve.means[-1])}"
        if len(curve.points) > 1
        else f"{curve.label} {number(curve.means[0])} at one snapshot"
        for curve in drawn
    )
    return f"Means from the first to the last snapshot: {ends}."


def _table(numbers: Numbers, names: Sequence[str], metric: Metric, title: str) -> Table:
    snapshots = numbers.results.study.snapshots
    randoms = [name for name in numbers.rows if numbers.is_random(name)]
    body = tuple(
        (
            name,
            tuple(
                cells.number(numbers.sample(name, metric, snapshot), metric)
                for snapshot in snapshots
            ),
        )
        for name in (*names, *randoms)
    )
    headings = ("Row", *(_snapshot_heading(numbers, number) for number in snapshots))
    return Table(f"{title}: {metric.heading} by snapshot.", headings, body)


def _snapshot_heading(numbers: Numbers, snapshot: int) -> str:
    cost = snapshot * numbers.results.study.snapshot_cost
    return f"{snapshot}, at {cost:,.4g} {numbers.cost_unit}"


def alphas(numbers: Numbers) -> tuple[Block, ...]:
    """Returns figure 5 for each pretraining with a lasso, the first seed first."""
    runs = sorted(
        (run for run in numbers.results.pretrainings if run.alpha),
        key=lambda run: (rows.BOTH_LASSO not in run.rows, run.seed),
    )
    if not runs:
        return (
            Text(
                "Figure 5 is left out: no pretraining with a lasso has any weights yet, or "
                "this study has none."
            ),
        )
    first, *others = (
        _alpha_blocks(numbers, run, f"alpha-{i}") for i, run in enumerate(runs)
    )
    if not others:
        return first
    hidden = tuple(block for blocks in others for block in blocks)
    summary = f"{wording.counted(len(others), 'further pretraining')} with a lasso"
    return (*first, Details(summary, hidden))


def _alpha_blocks(
    numbers: Numbers, run: PretrainingResult, name: str
) -> tuple[Block, ...]:
    tasks = {task.replace("_", " "): weights for task, weights in run.alpha.items()}
    evaluations = {}
    sources: dict[str, tuple[Provenance, ...]] = dict.fromkeys(
        tasks, (numbers.pretraining_source(run),)
    )
    for row in run.rows:
        for plan in numbers.results.study.evaluations:
            for each in numbers.measurements(row, plan.name, numbers.last):
                if each.seed == run.seed and each.alpha is not None:
                    label = plan.name.replace("_", " ")
                    evaluations[label] = each.alpha
                    sources[label] = numbers.sources(each)
    both = {**tasks, **evaluations}
    content = alpha_figure.draw(tasks, evaluations)
    peaks = ", ".join(
        f"{label} unit {int(np.argmax(np.abs(weights))) + 1}"
        for label, weights in both.items()
    )
    subject = f"{', '.join(run.rows)}, seed {run.seed}"
    caption = (
        f"Figure 5, {subject}: |alpha| by task and unit, the shallowest unit left, "
        "self-supervised tasks above evaluations. Lighter is greater; the grey scale is "
        "nonlinear, with 0.1 in its middle."
    )
    units = max(map(len, both.values()))
    body = tuple(
        (
            label,
            tuple(
                Cell(f"{abs(weight):.3f}", sources=sources[label]) for weight in weights
            ),
        )
        for label, weights in both.items()
    )
    table = Table(
        f"|alpha|, {subject}.",
        ("Task", *(f"unit {number}" for number in range(1, units + 1))),
        body,
    )
    alternative = (
        f"{caption} Greatest weights: {peaks}. The table below has all numbers."
    )
    return (
        Figure(caption, alternative, name, content, is_svg=True),
        Details(f"The numbers of figure 5 ({subject})", (table,)),
    )
