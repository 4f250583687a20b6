"""Instruction sets, from the files of several processors."""

from __future__ import annotations

import pathlib

import pytest

from selfsup.common import processor


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_bf16", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", False),
        ("Features\t: fp asimd bf16 i8mm", True),
    ],
)
def test_bfloat16_is_found_in_the_flags(
    tmp_path: pathlib.Path, line: str, expected: bool
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\nmodel name\t: A: B\n{line}\nbugs\t\t: none\n")
    instruction_sets = processor.flags(str(info))
    assert instruction_sets is not None
    assert processor.has_bfloat16(instruction_sets) is expected
    note = processor.bfloat16_note(instruction_sets)
    if expected:
        assert note is None
    else:
        assert note is not None and "no bfloat16 instructions" in note


def test_what_is_not_known_is_not_said(tmp_path: pathlib.Path) -> None:
    assert processor.flags(str(tmp_path / "missing")) is None
    (tmp_path / "empty").write_text("processor\t: 0\n")
    assert processor.flags(str(tmp_path / "empty")) is None
    assert processor.bfloat16_note(None) is None
    assert not processor.has_bfloat16(None)
