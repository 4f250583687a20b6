"""The lists of a build, and the builds without a record to train on."""

from __future__ import annotations

import hashlib
import itertools

import faulty_inputs
import pytest

from data_prep.build import dataset_build
from selfsup.common.errors import UserError


def test_no_training_record_is_an_error(tmp_path, in_process):
    held_out = [dataset_build.Input(faulty_inputs.KEYS[0], "validation")]
    train = [dataset_build.Input(faulty_inputs.REFUSED, "train")]
    message = r"1 of 2 inputs can be used, but these are held out;"
    with pytest.raises(UserError, match=message):
        faulty_inputs.build(tmp_path / "a", inputs=train + held_out)
    made = faulty_inputs.build(tmp_path / "b", inputs=held_out)
    assert made.records("validation") == faulty_inputs.RECORDS_EACH


def _drawn_for_validation(keys):
    """The key that a build of two inputs holds out."""
    return min(keys, key=lambda key: hashlib.sha256(key.encode()).digest())


def test_advice_when_all_usable_inputs_are_held_out(tmp_path, in_process):
    bad = (faulty_inputs.REFUSED, faulty_inputs.RAISES, faulty_inputs.EMPTY)
    good = sorted({*faulty_inputs.KEYS} - faulty_inputs.UNUSABLE)
    pairs = itertools.product(good, bad)
    pair = next(pair for pair in pairs if _drawn_for_validation(pair) == pair[0])
    with pytest.raises(
        UserError, match=r"to hold nothing out, use validation_fraction=0"
    ):
        faulty_inputs.build(tmp_path / "a", inputs=pair)
    made = faulty_inputs.build(tmp_path / "b", inputs=pair, validation_fraction=0)
    assert made.records("train") == faulty_inputs.RECORDS_EACH


def test_empty_validation_split_is_reported(tmp_path, in_process, capfd):
    pairs = [(good, faulty_inputs.REFUSED) for good in faulty_inputs.KEYS[:3]]
    pair = next(p for p in pairs if _drawn_for_validation(p) == faulty_inputs.REFUSED)
    made = faulty_inputs.build(tmp_path, inputs=pair)
    assert (made.records("train"), made.records("validation")) == (2, 0)
    assert "validation: no records, as all its inputs" in capfd.readouterr().err


def test_nothing_usable_is_an_error(tmp_path, in_process):
    keys = (faulty_inputs.REFUSED, faulty_inputs.RAISES)
    with pytest.raises(UserError, match="none of 2 inputs can be used"):
        faulty_inputs.build(tmp_path, inputs=keys)
    assert not (tmp_path / "manifest.json").exists()
    assert len((tmp_path / "set_aside.tsv").read_text().splitlines()) == 2


def test_lists_hold_printable_text_only(tmp_path, in_process):
    """No control characters of terminals, and no Unicode line breaks."""
    made = faulty_inputs.build(
        tmp_path,
        inputs=["good", "\x1b[31mred\u2028.jpg"],
        convert=faulty_inputs.Picky(),
    )
    assert made.inputs["set_aside"] == 1
    text = (tmp_path / "set_aside.tsv").read_text()
    assert text == "\\x1b[31mred\\u2028.jpg\tno \\x07\n"
