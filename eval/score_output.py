"""Prints a score's report and writes it as JSON, for the two score commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from eval.json_types import JsonObject
from selfsup.common import files
from selfsup.common.errors import SettingError, error_reason


def publish(
    report: JsonObject, table: str, notes: Iterable[str], output: str | None
) -> None:
    """Prints notes and the table, and writes the report.

    Args:
      report: the report as JSON values.
      table: the report as lines of text.
      notes: what the reader of the report should know, one text each.
      output: path of the JSON file, or None to write none.

    Raises:
      UserError: when the file cannot be written.
    """
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(table)
    if output:
        try:
            files.write_atomically(output, json.dumps(report, indent=1))
        except OSError as error:
            raise SettingError(f"output={output}", error_reason(error)) from error
