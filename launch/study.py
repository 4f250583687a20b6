"""Runs a study: pretrainings that are compared at equal cost, in all evaluations.

  python -m launch.study --study=small --output=DIR
  python -m launch.study --study=table1 --data=DIR --output=DIR

A study is a grid of rows, seeds, snapshots and evaluations. Each cell of the grid is one
command. The study runs the cells that are missing; run it again to resume. --list prints
the cells and their states. On a cluster, start any number of these commands on a shared
--output, or one --cell=NUMBER for each cell: each cell is run by one process only.
"""

from __future__ import annotations

import os

from absl import flags

from selfsup.command_line import command, path_flags

_STUDY = flags.DEFINE_string(
    "study",
    None,
    "Name of a study, or a JSON file that declares one (docs/studies.md). Names: table1 "
    "to table8, figure3 to figure5, and paper for all of these; small, small_further "
    "and small_extensions, the same questions for a machine without a GPU; demo, for "
    "minutes.",
    required=True,
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder of all results. Studies that share a folder share their cells.",
    required=True,
)
_DATA = path_flags.define_path(
    "data",
    None,
    "Folder of the built data sets: imagenet, voc07 and nyuv2 for the evaluations. "
    "Pretraining reads the folder pretraining in it, or all sets if there is none. "
    "Studies with a synthetic world need no --data.",
)
_DATA_FOR = flags.DEFINE_multi_string(
    "data_for",
    [],
    "USE=DIR: the folder of the data set of one use: pretraining, or the name of an "
    "evaluation; may be repeated.",
)
_LIST = flags.DEFINE_boolean(
    "list", False, "Print each cell: number, state, command. Runs nothing."
)
_CELL = flags.DEFINE_integer(
    "cell",
    None,
    "Run only the cell of this number (see --list), after waiting for the cells that it "
    "needs.",
    lower_bound=0,
)
_JOBS = flags.DEFINE_integer(
    "jobs",
    None,
    "Cells that run at once. Default: one for each GPU; without GPUs, one for each two "
    "CPU cores.",
    lower_bound=1,
)


def main(_: list[str]) -> int:
    """Lists or runs the cells."""
    from launch.studies import grid, listing, store, study_data, study_file, study_run

    study = study_file.load(_STUDY.value)
    output = os.path.abspath(_OUTPUT.value)
    folders = study_data.parse_overrides(_DATA_FOR.value)
    data = None
    if _DATA.value or folders or not study.world:
        data = study_data.find(study, _DATA.value, folders)
    cells = grid.expand(study, output, data)
    if _LIST.value:
        listing.print_cells(cells, output)
        return 0
    store.save(study, cells, output)
    if _CELL.value is not None:
        return study_run.run_cell(cells, output, _CELL.value)
    return study_run.run_all(study, cells, output, _JOBS.value)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.study")


if __name__ == "__main__":
    run()
