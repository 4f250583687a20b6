"""Runs a study, or one of its cells, and says at the end what has failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from launch.studies import data_check, machine, running_cell
from launch.studies.cell import Cell
from launch.studies.cell_state import CellFolder
from launch.studies.scheduler import Scheduler
from launch.studies.study import Study
from selfsup.common.errors import SettingError
from selfsup.common.stop_signals import StopSignals

_LOG_LINES = 8
# EX_TEMPFAIL of sysexits.h: a cluster may start the same command again.
STOPPED = 75


def run_all(study: Study, cells: Sequence[Cell], output: str, jobs: int | None) -> int:
    """Runs the cells that are missing, and prints a table of the results.

    Args:
      study: the study.
      cells: its cells.
      output: absolute path of its folder.
      jobs: number of cells at once; None for what suits the machine.

    Returns:
      the exit status: 0; 1 if a cell has failed; `STOPPED` if a signal stopped the study.
    """
    from launch.studies import comparison, read_results

    status = run_cells(cells, output, machine.environments(jobs))
    measurements = read_results.measurements(cells, output)
    if measurements:
        print(f"\n{comparison.table(study, measurements)}")
    return status


def run_cell(cells: Sequence[Cell], output: str, number: int) -> int:
    """Runs one cell, after waiting for those that it needs.

    Args:
      cells: of the study.
      output: absolute path of its folder.
      number: position of the cell in `cells`, from 0 on.

    Returns:
      the exit status, see `run_all`.

    Raises:
      UserError: if there is no cell of this number.
    """
    if number >= len(cells):
        raise SettingError(f"cell={number}", f"expected 0 to {len(cells) - 1}")
    chosen = cells[number]
    states = {each.name: CellFolder(output, each).state()[0] for each in cells}
    missing = [
        f"{position} ({each.name}): {states[each.name]}"
        for position, each in enumerate(cells)
        if each.name in chosen.needs and states[each.name] != "done"
    ]
    if missing:
        print(f"waiting for the cells {', '.join(missing)}", flush=True)
    return run_cells(cells, output, machine.environments(1)[:1], [chosen.name])


def run_cells(
    cells: Sequence[Cell],
    output: str,
    environments: Sequence[Mapping[str, str]],
    wanted: Sequence[str] | None = None,
) -> int:
    """Runs cells and prints the failures; see `Scheduler` for the arguments.

    Returns:
      the exit status, see `run_all`.

    Raises:
      UserError: if data sets have changed since cells read them.
    """
    data_check.require_same_data(cells, output)
    scheduler = Scheduler(cells, output, environments, _say)
    with StopSignals() as stop:
        finished = scheduler.run(stop, wanted)
    for each in cells:
        if each.name in scheduler.failed:
            _print_failure(CellFolder(output, each), scheduler.failed[each.name])
    names = [each.name for each in cells] if wanted is None else list(wanted)
    left = [name for name in names if name not in scheduler.done]
    if not finished:
        print("stopped; run the same command again to resume")
        return STOPPED
    if left:
        failed = len(scheduler.failed)
        print(
            f"{failed} cell{'' if failed == 1 else 's'} failed, {len(left)} not done; run "
            "the same command again to run these"
        )
    return int(bool(left))


def _print_failure(folder: CellFolder, reason: str) -> None:
    print(f"\nFAILED: {folder.cell.name}: {reason}\n  $ {folder.cell.command}")
    print(f"  the last lines of {folder.log}:")
    for line in running_cell.last_lines(folder.log, _LOG_LINES):
        print(f"    {line}")


def _say(text: str) -> None:
    print(text, flush=True)
