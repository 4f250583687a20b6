"""Writes a report: one HTML page that needs no network, and the same as Markdown.

  python -m launch.report --input=DIR --output=DIR

The input is the folder of a study, of a pretraining run, or of a quickstart, finished or
not. The output folder gets report.html, report.md and the pictures of the latter. Several
studies in one folder are joined on a page, or chosen by --study.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from absl import flags

from selfsup.command_line import command, path_flags

if TYPE_CHECKING:
    from launch.reports.document import Document

_INPUT = path_flags.define_path(
    "input",
    None,
    "Folder of a study, a pretraining run or a quickstart.",
    required=True,
)
_OUTPUT = path_flags.define_path("output", None, "Folder of the report.", required=True)
_STUDY = flags.DEFINE_list(
    "study",
    [],
    "Names of the studies to report on; all studies of the folder if empty.",
)


def main(_: list[str]) -> None:
    """Reads the results and writes both forms of the report."""
    from launch.reports import html, markdown
    from selfsup.common.errors import UserError, error_reason

    document = _document(_INPUT.value, _STUDY.value)
    try:
        print(html.write(document, _OUTPUT.value))
        print(markdown.write(document, _OUTPUT.value))
    except OSError as error:
        raise UserError(
            f"--output={_OUTPUT.value}: cannot be written: {error_reason(error)}"
        ) from error


def _document(folder: str, names: list[str]) -> Document:
    """The report of what the folder holds: studies, otherwise a run."""
    from launch.studies import store
    from selfsup.common.errors import UserError

    if not os.path.isdir(folder):
        raise UserError(f"--input={folder}: there is no such folder")
    known = store.names(folder)
    if not known and not names:
        return _run(folder)
    from launch.reports import combined_study, study_page
    from launch.studies import read_results

    parts = [read_results.read(folder, name) for name in names or known]
    return study_page.document(combined_study.combine(parts))


def _run(folder: str) -> Document:
    from launch.pipeline import state
    from launch.reports import run_page
    from selfsup.common import config_file
    from selfsup.common.errors import UserError

    is_run = os.path.isfile(os.path.join(folder, config_file.FILE_NAME))
    if not is_run and state.read(folder) is None:
        raise UserError(
            f"--input={folder}: holds no study, no pretraining run and no quickstart; "
            "expected an output folder of launch.study, launch.pretrain or "
            "launch.quickstart"
        )
    return run_page.document(folder)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.report")


if __name__ == "__main__":
    run()
