"""What a page says about the run of a study: its cells, its settings and its data."""

from __future__ import annotations

from collections.abc import Mapping

from launch.pipeline.commands import option
from launch.reports import wording
from launch.reports.document import (
    Block,
    Cell,
    Code,
    Details,
    Items,
    Remark,
    Table,
    Text,
)
from launch.reports.samples import Numbers
from launch.studies.results import (
    COMMITS,
    CellState,
    CellStatus,
    Provenance,
    StudyResults,
)
from selfsup.common import durations

_RENDERS = " data_prep.synthetic "
_STATES: tuple[CellState, ...] = ("done", "running", "failed", "waiting")


def progress(results: StudyResults) -> str:
    """Returns how many cells are in which state, a sentence."""
    counts = dict.fromkeys(_STATES, 0)
    for cell in results.cells:
        counts[cell.state] += 1
    parts = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{wording.counted(len(results.cells), 'cell')}: {parts or 'none'}."


def cells_section(results: StudyResults) -> tuple[Block, ...]:
    """Returns the state of all cells, with the failed ones first and all commands."""
    failed = [cell for cell in results.cells if cell.state == "failed"]
    missing = [cell for cell in results.cells if cell.state in ("running", "waiting")]
    blocks: list[Block] = [Text(progress(results))]
    if failed:
        blocks.append(
            Remark(
                f"{wording.counted(len(failed), 'cell')} failed",
                "Their numbers are missing on this page. Repair the cause and run the "
                "study again: it repeats only cells that are not done.",
                "bad",
            )
        )
        blocks.append(_table("Cells that failed, and why.", failed))
    if missing:
        summary = f"{wording.counted(len(missing), 'cell')} that have not finished"
        blocks.append(
            Details(summary, (_table("Cells that are running or waiting.", missing),))
        )
    if results.cells:
        commands = "\n".join(
            f"# {cell.name}: {cell.state}\n{cell.command}\n" for cell in results.cells
        )
        blocks.append(
            Details("The commands of all cells, in order", (Code(commands.strip()),))
        )
    return tuple(blocks)


def setting(numbers: Numbers) -> tuple[Block, ...]:
    """Returns what was declared, and what the finished commands ran on."""
    study = numbers.results.study
    costs = [
        f"Snapshots: {', '.join(map(str, study.snapshots))}, each after a multiple of "
        f"{study.snapshot_cost:,.6g} {numbers.cost_unit}.",
        *_reached_costs(numbers),
        f"Seeds: {', '.join(map(str, study.seeds))}. A seed serves the pretraining, a "
        "random trunk and the evaluations.",
        f"Pretraining: {_flags(study.pretraining_flags)}.",
    ]
    costs += [
        f"Evaluation {plan.name}: {_flags(plan.flags)}." for plan in study.evaluations
    ]
    own = [
        row.name
        for row in study.rows
        if row.pretraining and row.pretraining.has_own_schedule
    ]
    if own:
        costs.append(
            f"Not at equal cost, with a schedule of their own: {', '.join(own)}."
        )
    # With --data, a study that can render a world reads the given sets instead.
    if any(_RENDERS in cell.command for cell in numbers.results.cells):
        costs.append(f"Data: a rendered synthetic world, {_flags(study.world)}.")
    if study.lasso:
        costs.append(f"Weight of the L1 penalty on alpha: {study.lasso:g}.")
    return (Items(tuple(costs)), *_run_on(numbers.results))


def _reached_costs(numbers: Numbers) -> list[str]:
    """A line for each measured snapshot: how equal the costs of the rows are."""
    lines = []
    for snapshot in numbers.results.study.snapshots:
        costs = numbers.costs(snapshot)
        if costs and costs[0] > 0:
            low, high = costs[0], costs[-1]
            lines.append(
                f"Snapshot {snapshot} was taken after {low:,.6g} to {high:,.6g} "
                f"{numbers.cost_unit}: its trunks differ by {high / low - 1:.1%} or less, "
                "because the first step that reaches the cost is the last."
            )
    return lines


def _run_on(results: StudyResults) -> list[Block]:
    sources = [
        *(each.provenance for each in results.measurements),
        *(each.provenance for each in results.pretrainings),
    ]
    if not sources:
        return []
    blocks: list[Block] = []
    blocks.extend(_disagreements(sources))
    commits = sorted(_commits(sources))
    versions = sorted(
        {
            f"{package} {version}"
            for source in sources
            for package, version in source.versions.items()
        }
    )
    seconds = sum(source.seconds for source in sources)
    blocks.append(
        Items(
            (
                f"Commit: {', '.join(commits)}. A + marks a changed source tree.",
                f"Packages: {', '.join(versions)}.",
                f"Time: {durations.text(seconds)}, added over all commands that the "
                "page shows.",
            )
        )
    )
    data = sorted({pair for source in sources for pair in source.data.items()})
    if data:
        body = tuple((folder, (Cell(checksum),)) for folder, checksum in data)
        blocks.append(Table("Data sets that were read.", ("Folder", "Checksum"), body))
    return blocks


def _commits(sources: list[Provenance]) -> set[str]:
    return {
        commit or "unknown"
        for source in sources
        for commit in source.commit.split(COMMITS)
    }


def _disagreements(sources: list[Provenance]) -> list[Block]:
    """Remarks where numbers of the page do not come from the same code or data."""
    blocks: list[Block] = []
    commits = _commits(sources)
    if len(commits) > 1:
        blocks.append(
            Remark(
                f"Numbers come from {len(commits)} commits",
                "Rows are comparable only if nothing between the commits changes results.",
            )
        )
    checksums: dict[str, set[str]] = {}
    for source in sources:
        for folder, checksum in source.data.items():
            checksums.setdefault(folder, set()).add(checksum)
    changed = sorted(folder for folder, sums in checksums.items() if len(sums) > 1)
    if changed:
        blocks.append(
            Remark(
                "Data changed during the study",
                f"Different checksums in: {', '.join(changed)}. These numbers are not "
                "comparable; run the study again in a new folder.",
                "bad",
            )
        )
    return blocks


def _table(caption: str, listed: list[CellStatus]) -> Table:
    body = tuple(
        (cell.name, (Cell(cell.state), Cell(cell.reason or ""))) for cell in listed
    )
    return Table(caption, ("Cell", "State", "Reason"), body)


def _flags(flags: Mapping[str, str]) -> str:
    given = " ".join(option(name, value) for name, value in flags.items())
    return given or "default flags"
