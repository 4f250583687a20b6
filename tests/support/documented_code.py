"""Compares the code blocks of a page with the source file that they form together."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def assert_page_is_file(page: str, source: str) -> None:
    """Asserts that the Python blocks of a page are the lines of a file, without blanks.

    Args:
      page: path of the page in the repository.
      source: path of the Python file in the repository.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    code = (ROOT / source).read_text(encoding="utf-8")
    assert _code_lines("\n".join(blocks)) == _code_lines(code), (
        f"{page} and {source} differ: make the same change in both"
    )


def registry_line(page: str) -> str:
    """Returns the only text block of one line of a page: the line of the registry."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (line,) = re.findall(r"^```text\n(.*)\n```$", text, re.MULTILINE)
    return line


def _code_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
