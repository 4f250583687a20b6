"""Verdicts follow from the numbers by the rules that the page states."""

import dataclasses

import invented_study
import pytest

from launch.reports import findings, paper_tables, verdicts
from launch.reports.document import Table
from launch.reports.metrics import NYU, PASCAL, TOP5
from launch.reports.samples import Comparison, Numbers
from launch.reports.verdicts import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    UNMEASURED,
    Verdict,
)
from launch.studies import rows
from launch.studies.study import Pretraining, Row


def comparison(low, high, count=3):
    """A comparison with this interval; with a single seed, only its middle is known."""
    mean = (low + high) / 2 if count else None
    interval = (low, high) if count > 1 else None
    return Comparison("a", "b", TOP5, count, mean, interval)


BETTER, WORSE, OPEN = comparison(1, 3), comparison(-3, -1), comparison(-1, 3)
ONE_SEED, ABSENT = comparison(1, 3, count=1), comparison(0, 0, count=0)


@pytest.mark.parametrize(
    ("compared", "word"),
    [
        ([BETTER, BETTER], SUPPORTED),
        ([BETTER, OPEN], UNDECIDED),
        ([BETTER, WORSE], CONTRADICTED),
        ([BETTER, ONE_SEED], UNDECIDED),
        ([BETTER, ABSENT], UNDECIDED),
        ([ABSENT], UNMEASURED),
        ([], UNMEASURED),
    ],
)
def test_always_better(compared, word):
    assert verdicts.always_better(compared, len(compared)).word == word


def test_chance_in_many_comparisons_contradicts_nothing():
    """Clearly worse by itself, but to be expected among 39 comparisons."""
    compared = [*[BETTER] * 38, comparison(-7.0, -0.5)]
    verdict = verdicts.always_better(compared, 39)
    assert verdict.word == UNDECIDED
    assert "1 clearly worse (0 after the correction)" in verdict.reason
    outside = [*[OPEN] * 38, comparison(4.0, 6.0)]
    assert verdicts.within(outside, 3.5, 39).word == UNDECIDED
    assert verdicts.gap_closed(comparison(3.6, 9.0), BETTER, 3.5, 2).word == UNDECIDED


def test_reasons_say_what_limits_a_verdict():
    reason = verdicts.always_better([BETTER, ONE_SEED, ABSENT], 3).reason
    assert "3 comparisons: 1 clearly better, 0 clearly worse" in reason
    assert "means above zero: 2 of 2" in reason
    assert "1 not measured yet" in reason
    assert "1 with one seed only, so their spread is unknown" in reason


@pytest.mark.parametrize(
    ("compared", "word"),
    [
        ([BETTER, WORSE, OPEN], SUPPORTED),
        ([comparison(2, 5)], UNDECIDED),
        ([BETTER, comparison(4, 6)], CONTRADICTED),
        ([comparison(-6, -4)], CONTRADICTED),
        ([BETTER, ONE_SEED], UNDECIDED),
        ([ABSENT], UNMEASURED),
    ],
)
def test_within_a_margin(compared, word):
    assert verdicts.within(compared, 3.5, len(compared)).word == word


@pytest.mark.parametrize(
    ("behind", "worth", "word"),
    [
        (comparison(1, 3), BETTER, SUPPORTED),
        (comparison(-9, -5), BETTER, SUPPORTED),
        (comparison(4, 6), BETTER, CONTRADICTED),
        (comparison(2, 6), BETTER, UNDECIDED),
        (comparison(1, 3), OPEN, UNDECIDED),
        (comparison(1, 3), ONE_SEED, UNDECIDED),
        (ONE_SEED, BETTER, UNDECIDED),
        (ABSENT, BETTER, UNMEASURED),
    ],
)
def test_a_closed_gap(behind, worth, word):
    assert verdicts.gap_closed(behind, worth, 3.5, 2).word == word


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([SUPPORTED, SUPPORTED], SUPPORTED),
        ([SUPPORTED, UNMEASURED], SUPPORTED),
        ([SUPPORTED, UNDECIDED], UNDECIDED),
        ([SUPPORTED, CONTRADICTED, UNDECIDED], CONTRADICTED),
        ([UNMEASURED], UNMEASURED),
        ([], UNMEASURED),
    ],
)
def test_evaluations_together(words, word):
    assert verdicts.together([Verdict(each, "") for each in words]).word == word


def shifted(results, changes):
    """Results whose shares are set to LEVEL + 0.001 * seed by (row, snapshot)."""
    measured = []
    for one in results.measurements:
        level = changes.get((one.row, one.snapshot), changes.get((one.row, None), 0.3))
        share = level + 0.001 * one.seed
        values = dict.fromkeys(one.metrics, share)
        measured.append(dataclasses.replace(one, metrics=values))
    return dataclasses.replace(results, measurements=tuple(measured))


def words(results):
    """{number of a finding: its verdict}"""
    found = findings.all_findings(Numbers(results))
    return {finding.number: finding.verdict.word for finding in found}


COMBINATIONS = ("RP+Col", "RP+Ex", "RP+MS", "RP+Col+Ex", rows.ALL_TASKS)


def test_a_world_where_the_paper_is_right():
    changes = {(name, None): 0.5 for name in COMBINATIONS}
    # The lasso and harmonisation change nothing.
    changes.update({(name, None): 0.5 for name in rows.ROWS if "Lasso" in name})
    changes.update({("RP+Col / H", None): 0.5, (rows.LABELS, None): 0.5})
    changes.update({("RP, shallow", None): 0.2, (rows.RANDOM, None): 0.1})
    results = shifted(invented_study.results(), changes)
    # No spread between rows: equal differences at every seed.
    assert words(results) == dict.fromkeys(
        ("(i)", "(ii)", "(iii)", "(iv)", "(v)"), SUPPORTED
    )


def test_a_world_where_the_paper_is_wrong():
    changes = {(name, None): 0.2 for name in COMBINATIONS}
    changes.update({("RP, shallow", None): 0.4, (rows.LABELS, None): 0.9})
    changes.update({("RP / H", None): 0.6, (rows.RANDOM, None): 0.1})
    results = shifted(invented_study.results(), changes)
    assert words(results) == dict.fromkeys(
        ("(i)", "(ii)", "(iii)", "(iv)", "(v)"), CONTRADICTED
    )


def test_the_paper_has_no_numbers_for_faster_training():
    judged = findings.all_findings(Numbers(invented_study.results()))
    details = {
        finding.number: " ".join(
            cell.detail
            for block in finding.blocks()
            if isinstance(block, Table)
            for _, cells in block.rows
            for cell in cells
        )
        for finding in judged
    }
    assert "paper" in details["(ii)"] and "paper" not in details["(v)"]


def test_faster_training_is_judged_at_the_first_snapshot():
    changes = {(rows.ALL_TASKS, 1): 0.2, (rows.ALL_TASKS, 7): 0.9}
    assert words(shifted(invented_study.results(), changes))["(v)"] == CONTRADICTED
    declared = invented_study.study(snapshots=(7,))
    results = shifted(invented_study.results(declared), changes)
    assert words(results)["(v)"] == UNMEASURED


def test_nothing_is_decided_with_one_seed():
    results = invented_study.results(invented_study.study(seeds=(0,)))
    assert set(words(results).values()) == {UNDECIDED}


def test_a_study_without_the_rows_measures_nothing():
    declared = invented_study.study(row_names=(rows.RANDOM, "RP"))
    declared = dataclasses.replace(declared, rows=declared.rows[:2])
    assert set(words(invented_study.results(declared)).values()) == {UNMEASURED}


def test_limits_are_the_papers():
    assert findings.minimal_margin() == pytest.approx(62.33 - 59.21)
    gaps = [
        paper_tables.gain(rows.LABELS, rows.ALL_TASKS, metric)
        for metric in (PASCAL, NYU)
    ]
    assert gaps == pytest.approx([74.17 - 70.53, 80.06 - 79.25])


def test_pairs_of_depth_have_the_deeper_row_first():
    declared = invented_study.study()
    assert findings.depth_pairs(declared) == [("RP", "RP, shallow")]
    other_tasks = Row(
        "Col, deep", Pretraining(("colorization",), trunk={"depth": "152"})
    )
    other_kind = Row(
        "RP, VGG",
        Pretraining(("relative_position",), trunk={"kind": "vgg"}),
    )
    longer = dataclasses.replace(
        declared, rows=(*declared.rows, other_tasks, other_kind)
    )
    assert findings.depth_pairs(longer) == [("RP", "RP, shallow"), ("Col, deep", "Col")]


def test_combinations_are_compared_with_each_of_their_tasks():
    pairs = findings.combination_pairs(Numbers(invented_study.results()))
    assert pairs[:2] == [("RP+Col", "RP"), ("RP+Col", "Col")]
    assert len(pairs) == 2 + 2 + 2 + 3 + 4
    assert not any("H" in name or "Lasso" in name for pair in pairs for name in pair)
