"""The tables of a study: all its rows, and tables 1 to 8 beside the paper's numbers."""

from __future__ import annotations

import dataclasses

from launch.reports import cells, metrics, paper_tables, wording
from launch.reports.document import (
    Block,
    Cell,
    Details,
    Heading,
    Items,
    Remark,
    Table,
    Text,
)
from launch.reports.metrics import Metric
from launch.reports.paper_tables import PaperTable
from launch.reports.samples import Comparison, Numbers
from launch.studies import rows

_READING = (
    "Each cell shows the mean over seeds; below it the standard deviation over n seeds, "
    "and where the paper has the number, its number and ours minus the paper's in "
    "brackets. A number opens its sources: commands, commits, data, seeds and costs. The "
    "best mean of a column among the self-supervised rows is bold, whether or not it "
    "clearly exceeds the others."
)
# In percent. On ImageNet it is 0.1: the share of the most frequent of 1,000 classes.
_FEW_CLASSES_CHANCE = 1.0
_HOW_SURE = (
    "Mean over seeds of the gain over {reference}, of the same seed; a gain is positive "
    "where the row is better. In brackets its 95% interval by a paired t test. Bold: the "
    "interval excludes zero. Below it the paper's gain."
)


def overview(numbers: Numbers) -> tuple[Block, ...]:
    """Returns the table of all rows in all evaluations, and their gains over Random."""
    if not numbers.headlines:
        return (Text("No evaluation has finished yet, so there are no numbers."),)
    shown = tuple(name for name in numbers.rows if _is_measured(numbers, name))
    absent = [name for name in numbers.rows if name not in shown]
    caption = (
        "Every row of this study, each evaluation by its headline, after snapshot "
        f"{numbers.last}: mean over seeds, standard deviation, number of seeds."
    )
    columns = ("Row", *(metric.heading for metric in numbers.headlines))
    best = _best(numbers, numbers.headlines)
    body = [
        (
            name,
            tuple(
                _marked(
                    cells.number(numbers.sample(name, metric, numbers.last), metric),
                    best.get(metric) == name,
                )
                for metric in numbers.headlines
            ),
        )
        for name in shown
    ]
    body.extend(_chance_row(numbers, numbers.headlines))
    blocks: list[Block] = [Text(_READING), Table(caption, columns, tuple(body))]
    if absent:
        names = ", ".join(absent)
        blocks.append(Text(f"Without any number so far at this snapshot: {names}."))
    if rows.RANDOM in shown and len(shown) > 1:
        others = [name for name in shown if name != rows.RANDOM]
        blocks.extend(_gains(numbers, numbers.headlines, others, rows.RANDOM))
    return tuple(blocks)


def of_the_paper(numbers: Numbers) -> tuple[Block, ...]:
    """Returns tables 1 to 8, as far as the study has rows of them."""
    blocks: list[Block] = _other_classes(numbers)
    left_out = []
    for table in paper_tables.TABLES:
        # The reference row by itself is not the question of a table.
        if any(name in numbers.rows for name in table.rows if name != table.reference):
            blocks.extend(_paper_table(numbers, table))
        else:
            left_out.append(
                f"Table {table.number} ({table.title}): this study has none of its rows"
                + (f" beside {table.reference}." if table.reference else ".")
            )
    if left_out:
        blocks += [Heading("Tables that are left out"), Items(tuple(left_out))]
    return tuple(blocks)


def _other_classes(numbers: Numbers) -> list[Block]:
    """A remark if the linear evaluation's photos cannot be those of ImageNet."""
    chance = numbers.chance(metrics.TOP1)
    if chance is None or chance < _FEW_CLASSES_CHANCE:
        return []
    return [
        Remark(
            "These are not the paper's data sets",
            f"The chance level of top-1 is {chance:.2f}% here and 0.1% on ImageNet. So "
            "differences from the paper's numbers say little. Compare the order of rows "
            "and the signs of gains.",
        )
    ]


def _paper_table(numbers: Numbers, table: PaperTable) -> list[Block]:
    columns = _columns(numbers, table)
    best = _best(numbers, columns, tuple(table.rows))
    body = [
        (
            _heading(numbers, table, name),
            tuple(
                _marked(
                    cells.number(
                        numbers.sample(name, metric, numbers.last),
                        metric,
                        table.printed_number(name, metric),
                        _previous(table, name, metric),
                    ),
                    best.get(metric) == name,
                )
                for metric in columns
            ),
        )
        for name in table.rows
    ]
    body.extend(_chance_row(numbers, columns))
    title = f"Table {table.number}: {table.title}"
    caption = (
        f"Table {table.number}. Ours after snapshot {numbers.last} of this study, the "
        "paper's after 16.8K GPU hours."
    )
    headings = ("Pre-training", *(metric.heading for metric in columns))
    blocks: list[Block] = [Heading(title), Table(caption, headings, tuple(body))]
    others = [name for name in table.rows if name != table.reference]
    blocks.extend(_gains(numbers, columns, others, table.reference))
    if table.notes:
        blocks.append(Details("Notes on the paper's numbers", (Items(table.notes),)))
    return blocks


def _columns(numbers: Numbers, table: PaperTable) -> tuple[Metric, ...]:
    """The paper's columns, with top-1 before a top-5 that says little."""
    if numbers.top5_is_useful() or metrics.TOP1 in table.metrics:
        return table.metrics
    return tuple(
        column
        for metric in table.metrics
        for column in ((metrics.TOP1, metric) if metric == metrics.TOP5 else (metric,))
    )


def _heading(numbers: Numbers, table: PaperTable, name: str) -> str:
    printed = table.printed.get(name)
    heading = f"{name} ({printed})" if printed else name
    return heading if name in numbers.rows else f"{heading}, not in this study"


def _previous(table: PaperTable, name: str, metric: Metric) -> str:
    cited = table.previous.get((name, metric))
    return f"earlier {cited}" if cited else ""


def _gains(
    numbers: Numbers, columns: tuple[Metric, ...], names: list[str], reference: str
) -> list[Details]:
    """The paired differences of rows from a reference, if there are any."""
    compared: list[Comparison] = []
    body = []
    for name in names:
        row = [
            numbers.compare(name, reference, metric, numbers.last) for metric in columns
        ]
        compared.extend(each for each in row if each.count)
        body.append(
            (
                name,
                tuple(
                    cells.difference(
                        each, paper_tables.gain(name, reference, each.metric)
                    )
                    for each in row
                ),
            )
        )
    if not compared:
        return []
    headings = ("Row", *(metric.heading for metric in columns))
    clear = sum(each.clearly_better or each.clearly_worse for each in compared)
    summary = (
        f"How sure: gains over {reference}, {clear} of "
        f"{wording.counted(len(compared), 'measured difference')} clear of zero"
    )
    caption = _HOW_SURE.format(reference=reference)
    return [Details(summary, (Table(caption, headings, tuple(body)),))]


def _chance_row(
    numbers: Numbers, columns: tuple[Metric, ...]
) -> list[tuple[str, tuple[Cell, ...]]]:
    """A row of chance levels, if any column has one."""
    levels = [numbers.chance(metric) for metric in columns]
    if all(level is None for level in levels):
        return []
    row = tuple(
        Cell(wording.MISSING, missing=True)
        if level is None
        else Cell(f"{level:.{metric.digits}f}")
        for level, metric in zip(levels, columns)
    )
    return [("Chance level", row)]


def _is_measured(numbers: Numbers, name: str) -> bool:
    return any(
        numbers.sample(name, metric, numbers.last).count for metric in numbers.headlines
    )


def _best(
    numbers: Numbers, columns: tuple[Metric, ...], names: tuple[str, ...] | None = None
) -> dict[Metric, str]:
    """The self-supervised row with the best mean of each column, of two or more."""
    best = {}
    for metric in columns:
        means = {
            name: sample.mean * (1 if metric.higher_is_better else -1)
            for name in names or numbers.rows
            if name != rows.LABELS and not numbers.is_random(name)
            if (sample := numbers.sample(name, metric, numbers.last)).count
        }
        if len(means) > 1:
            best[metric] = max(means, key=lambda name: means[name])
    return best


def _marked(cell: Cell, best: bool) -> Cell:
    return dataclasses.replace(cell, best=best)
