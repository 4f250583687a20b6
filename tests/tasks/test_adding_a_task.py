"""The code blocks of docs/adding_a_task.md are the file rotation.py."""

from __future__ import annotations

import pathlib
import re

from selfsup.tasks import REGISTRY

ROOT = pathlib.Path(__file__).parents[2]
DOC = (ROOT / "docs" / "adding_a_task.md").read_text(encoding="utf-8")


def _code_lines(text):
    return [line for line in text.splitlines() if line.strip()]


def test_the_python_blocks_are_the_file():
    blocks = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    source = (ROOT / "selfsup" / "tasks" / "rotation.py").read_text(encoding="utf-8")
    assert _code_lines("\n".join(blocks)) == _code_lines(source), (
        "docs/adding_a_task.md and selfsup/tasks/rotation.py differ: make the same "
        "change in both"
    )


def test_the_registry_line_is_in_the_registry():
    (line,) = re.findall(r"```text\n(.*?)\n```", DOC)
    name, target = re.fullmatch(r'"(\w+)": "([\w.:]+)",', line).groups()
    assert REGISTRY[name] == target


def test_named_files_exist():
    for path in re.findall(r"`((?:selfsup|tests|docs)/[\w/.]+)`", DOC):
        assert (ROOT / path).exists(), path
