"""The code blocks of docs/adding_an_evaluation.md are the file evaluation.py."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent


def test_the_page_holds_the_whole_file():
    page = (ROOT / "docs" / "adding_an_evaluation.md").read_text(encoding="utf-8")
    source = (ROOT / "eval" / "few_labels" / "evaluation.py").read_text(
        encoding="utf-8"
    )
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = [line for block in blocks for line in block.splitlines() if line]
    assert shown == [line for line in source.splitlines() if line], (
        "docs/adding_an_evaluation.md and eval/few_labels/evaluation.py differ: make the "
        "same change to both"
    )
