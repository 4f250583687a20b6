"""Writes a report on a pretraining run or a quickstart: a page as HTML and Markdown.

python -m launch.report --input=DIR --output=DIR
"""

from __future__ import annotations

from selfsup.command_line import command, path_flags

_INPUT = path_flags.define_path("input", None, "Folder of the results.", required=True)
_OUTPUT = path_flags.define_path("output", None, "Folder of the report.", required=True)


def main(_: list[str]) -> None:
    from launch.reports import html, markdown, run_page

    document = run_page.document(_INPUT.value)
    markdown.write(document, _OUTPUT.value)
    print(html.write(document, _OUTPUT.value))


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.report")


if __name__ == "__main__":
    run()
