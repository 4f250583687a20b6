"""The code blocks of docs/adding_a_trunk.md are the file vgg.py."""

from __future__ import annotations

import pathlib
import re

from selfsup.trunk import REGISTRY

ROOT = pathlib.Path(__file__).parents[2]
DOC = (ROOT / "docs" / "adding_a_trunk.md").read_text(encoding="utf-8")


def _code_lines(text):
    return [line for line in text.splitlines() if line.strip()]


def test_the_python_blocks_are_the_file():
    blocks = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    source = (ROOT / "selfsup" / "trunk" / "vgg.py").read_text(encoding="utf-8")
    assert _code_lines("\n".join(blocks)) == _code_lines(source), (
        "docs/adding_a_trunk.md and selfsup/trunk/vgg.py differ: make the same change in "
        "both"
    )


def test_the_registry_line_is_in_the_registry():
    (line,) = re.findall(r"```text\n(.*?)\n```", DOC)
    name, location, depths = re.fullmatch(
        r'"(\w+)": Kind\("([\w.:]+)", \((.*)\)\),', line
    ).groups()
    assert REGISTRY[name].location == location
    assert ", ".join(f'"{depth}"' for depth in REGISTRY[name].depths) == depths


def test_named_files_exist():
    for path in re.findall(r"`((?:selfsup|tests|docs)/[\w/.]+)`", DOC):
        assert (ROOT / path).exists(), path
