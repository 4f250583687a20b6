"""The builder in docs/data.md builds a data set."""

from __future__ import annotations

import pathlib
import re

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[3]


def test_the_example_builds_a_data_set(tmp_path, monkeypatch, in_process):
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "documented_builder.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import documented_builder

    folder = tmp_path / "pngs"
    folder.mkdir()
    for name, side in (("a", 40), ("b", 48), ("c", 8)):
        Image.fromarray(np.zeros((side, 64, 3), np.uint8)).save(folder / f"{name}.png")
    built = documented_builder.build_pngs(str(folder), str(tmp_path / "set"))
    assert built.inputs["used"] == 2
    assert built.records("train") + built.records("validation") == 2
    set_aside = (tmp_path / "set" / "set_aside.tsv").read_text(encoding="utf-8")
    assert set_aside == "c.png\thas a side under 32 pixels\n"
