"""The paper's numbers, as its text prints them."""

import dataclasses

import pytest

from eval import registry
from launch.reports import metrics, paper_tables
from launch.reports.metrics import NYU, PASCAL, PASCAL_STRICT, TOP1, TOP5
from launch.studies import rows

TABLES = {table.number: table for table in paper_tables.TABLES}


def test_there_are_eight_tables_with_a_number_in_each_column():
    assert list(TABLES) == list(range(1, 9))
    for table in TABLES.values():
        for name, numbers in table.rows.items():
            assert len(numbers.split()) == len(table.metrics), (table.number, name)


def test_rows_are_the_studies_rows():
    for table in TABLES.values():
        assert set(table.rows) <= set(rows.ROWS)
        assert table.reference in table.rows
        assert set(table.printed) <= set(table.rows)
        assert {name for name, _ in table.previous} <= set(table.rows)


# Copied from the text of the paper, a row at a time.
@pytest.mark.parametrize(
    ("number", "row", "line"),
    [
        (1, "RP", "36.21 59.21 66.75 80.54"),
        (1, "MS", "27.62 48.29 61.13 74.24"),
        (1, rows.LABELS, "66.82 85.10 74.17 80.06"),
        (2, "RP+Col+Ex", "68.65 69.48 - 80.17"),
        (3, "RP", "59.21 66.75 80.23"),
        (3, "RP+Col / H", "68.08 68.26 79.69"),
        (4, rows.PRETRAINING_LASSO, "68.09 68.49 78.96"),
        (5, "Ex", "71.25 90.63 96.54 0.513 0.191"),
        (5, rows.RANDOM, "61.00 85.45 94.67 0.621 0.227"),
        (6, "RP+Col+Ex", "80.17 94.74 98.27 0.401 0.149"),
        (7, "RP / H", "80.39 94.67 98.31 0.400 0.147"),
        (8, rows.BOTH_LASSO, "79.45 94.49 98.26 0.411 0.151"),
    ],
)
def test_rows_as_printed(number, row, line):
    assert TABLES[number].rows[row] == line


def test_inconsistencies_are_kept_and_explained():
    printed = [TABLES[number].printed_number("RP", NYU) for number in (1, 3, 5)]
    assert printed == ["80.54", "80.23", "80.55"]
    for number in (1, 2, 3, 5, 6, 7):
        assert any("80.54" in note and "80.23" in note for note in TABLES[number].notes)
    both = [TABLES[number].printed_number("RP+Col", NYU) for number in (2, 6)]
    assert both == ["79.87", "79.88"]
    joint = [TABLES[number].printed_number(rows.ALL_TASKS, NYU) for number in (2, 6)]
    assert joint == ["79.25", "79.26"]
    assert TABLES[1].printed_number(rows.RANDOM, TOP5) == "10.5"
    strict = [
        TABLES[2].printed_number(name, PASCAL_STRICT)
        for name in (rows.ALL_TASKS, rows.LABELS)
    ]
    assert strict == ["43.91", "44.27"]


def test_earlier_results_are_cited():
    assert TABLES[1].previous["RP", PASCAL] == "61.7 [7]"
    assert TABLES[1].previous[rows.LABELS, TOP1] == "51.0 [46]"


def test_gains_are_of_one_table_where_one_has_both():
    # Table 2 has 66.64 and 59.21; table 3 repeats them.
    assert paper_tables.gain("RP+Col", "RP", TOP5) == pytest.approx(7.43)
    # Not 80.54 of table 1.
    assert paper_tables.gain("RP / H", "RP", NYU) == pytest.approx(80.39 - 80.23)
    # No table has both: tables 2 and 1.
    assert paper_tables.gain("RP+Col", "Col", TOP5) == pytest.approx(66.64 - 62.48)
    assert paper_tables.gain("RP", rows.RANDOM, PASCAL) is None
    # A lower error is a gain.
    assert paper_tables.gain("RP", "Col", metrics.NYU_ABSOLUTE) == pytest.approx(0.045)


@pytest.mark.parametrize("name", registry.EVALUATIONS)
def test_every_evaluation_has_its_headline(name):
    evaluation = registry.evaluation_class(name)
    assert metrics.HEADLINES[name].name == evaluation.headline
    assert metrics.headline(name, evaluation.headline) is metrics.HEADLINES[name]


def test_an_evaluation_that_is_not_listed_has_a_heading():
    found = metrics.headline("own_evaluation", "score")
    assert (found.heading, found.scale) == ("own evaluation score", 1.0)


def test_chance_of_a_metric():
    level = metrics.FEW_LABELS.chance({"top1": 0.25, "top5": 1.0})
    assert level == 25.0
    assert PASCAL.chance({"top1": 0.25}) is None
    named = dataclasses.replace(metrics.FEW_LABELS, name="x_top1")
    assert named.chance({"x_top1": 0.5, "top1": 0.25}) == 50.0
