"""The document of a study: complete, honest about what is missing, and joined studies."""

import dataclasses

import invented_study
import pytest

from launch.reports import combined_study, study_page, study_tables
from launch.reports.document import Details, Heading, Items, Remark, Table, Text
from launch.reports.samples import Numbers
from launch.studies import rows
from launch.studies.results import CellStatus, StudyResults
from selfsup.common.errors import UserError


def blocks_of(document, title):
    (section,) = (one for one in document.sections if one.title == title)
    return section.blocks


def tables_of(numbers):
    """{heading: table} of the paper's tables."""
    blocks = study_tables.of_the_paper(numbers)
    return {
        block.text.split(":")[0]: following
        for block, following in zip(blocks, blocks[1:])
        if isinstance(block, Heading) and isinstance(following, Table)
    }


def cell(table, row, column):
    cells = next(cells for name, cells in table.rows if name.split(" (")[0] == row)
    return cells[[one.split(",")[0] for one in table.columns[1:]].index(column)]


def test_ours_beside_the_papers_number_and_the_difference():
    numbers = Numbers(invented_study.results())
    table = tables_of(numbers)["Table 2"]
    found = cell(table, "RP+Col", "ImageNet top-5")
    values = [
        100 * one.metrics["top5"]
        for one in numbers.results.measurements
        if (one.row, one.snapshot, one.evaluation) == ("RP+Col", 7, "imagenet_linear")
    ]
    mean = sum(values) / 3
    assert found.text == f"{mean:.2f}"
    spread, paper = found.detail.splitlines()
    assert spread.startswith("± ") and spread.endswith("n = 3")
    assert paper == f"paper 66.64 ({mean - 66.64:+.2f})".replace("(-", "(−")
    assert len(found.sources) == 6


def test_numbers_of_the_text_and_of_earlier_work():
    tables = tables_of(Numbers(invented_study.results()))
    assert (
        "paper 10.5 " in cell(tables["Table 1"], rows.RANDOM, "ImageNet top-5").detail
    )
    strict = cell(tables["Table 2"], rows.LABELS, "PASCAL mAP at .75")
    assert "paper 44.27 " in strict.detail
    earlier = cell(tables["Table 1"], "RP", "PASCAL mAP").detail
    assert earlier.endswith("earlier 61.7 [7]")


def test_a_missing_cell_still_has_the_papers_number():
    numbers = Numbers(invented_study.results(without=("MS",)))
    found = cell(tables_of(numbers)["Table 1"], "MS", "NYU < 1.25")
    assert found.missing and found.text == "–" and found.detail == "paper 74.24"
    assert not found.sources


def test_tables_without_rows_are_left_out_with_a_line():
    declared = invented_study.study(row_names=(rows.RANDOM, "RP"))
    numbers = Numbers(invented_study.results(declared))
    assert set(tables_of(numbers)) == {"Table 1", "Table 5"}
    *_, heading, lines = study_tables.of_the_paper(numbers)
    assert heading == Heading("Tables that are left out")
    assert [line[:7] for line in lines.items] == [
        f"Table {n}" for n in (2, 3, 4, 6, 7, 8)
    ]


def test_rows_of_the_paper_that_a_study_lacks_are_named():
    declared = invented_study.study(row_names=(rows.RANDOM, "RP", "RP+Col"))
    table = tables_of(Numbers(invented_study.results(declared)))["Table 2"]
    names = [name for name, _ in table.rows]
    assert "RP+Col" in names and "RP+Ex, not in this study" in names


def test_few_classes_show_top1_as_well(monkeypatch):
    levels = {"top1": 0.15, "top5": 0.7}
    monkeypatch.setitem(invented_study.CHANCE, "imagenet_linear", levels)
    numbers = Numbers(invented_study.results())
    remark, *_ = study_tables.of_the_paper(numbers)
    assert isinstance(remark, Remark) and "15.00% here and 0.1%" in remark.text
    table = tables_of(numbers)["Table 3"]
    assert table.columns[1:3] == ("ImageNet top-1, %", "ImageNet top-5, %")
    assert cell(table, "Chance level", "ImageNet top-5").text == "70.00"


def test_one_seed_has_no_spread():
    numbers = Numbers(invented_study.results(invented_study.study(seeds=(0,))))
    found = cell(tables_of(numbers)["Table 3"], "RP", "PASCAL mAP")
    assert "± unknown, n = 1" in found.detail


def test_the_summary_has_progress_and_verdicts():
    document = study_page.document(invented_study.results(without=("MS",)))
    assert document.summary.startswith(
        "Invented numbers. 441 cells: 414 done, 27 waiting."
    )
    assert "(i) contradicted" in document.summary


def test_failed_cells_come_first_with_their_reason():
    results = invented_study.results()
    failed = CellStatus("cell 7", "failed", "python -m x", "data/videos: no manifest")
    results = dataclasses.replace(results, cells=(*results.cells, failed))
    blocks = blocks_of(study_page.document(results), "Cells and commands")
    assert isinstance(blocks[1], Remark) and blocks[1].tone == "bad"
    assert [cell.text for cell in blocks[2].rows[0][1]] == [
        "failed",
        "data/videos: no manifest",
    ]
    commands = blocks[-1].blocks[0].text
    assert "# cell 7: failed\npython -m x" in commands


def test_numbers_of_several_commits_and_of_changed_data_are_remarked():
    results = invented_study.results()
    first, *others = results.measurements
    source = dataclasses.replace(
        first.provenance, commit="fedc987", data={"data/<photos>": "sha256:11"}
    )
    changed = (dataclasses.replace(first, provenance=source), *others)
    results = dataclasses.replace(results, measurements=changed)
    blocks = blocks_of(study_page.document(results), "Setting and data")
    labels = [block.label for block in blocks if isinstance(block, Remark)]
    assert labels == ["Numbers come from 2 commits", "Data changed during the study"]


def test_a_study_that_has_not_begun():
    declared = invented_study.study()
    waiting = tuple(
        dataclasses.replace(one, state="waiting")
        for one in invented_study.results(declared).cells
    )
    document = study_page.document(StudyResults(declared, (), (), waiting))
    assert "(v) not measured" in document.summary
    (text,) = blocks_of(document, "All rows")
    assert isinstance(text, Text) and "no numbers" in text.text


def test_joined_studies_have_the_rows_of_both():
    parts = [
        invented_study.results(
            invented_study.study(row_names=names, snapshots=snapshots)
        )
        for names, snapshots in ((("Random", "RP"), (7,)), (("RP", "RP / H"), (1, 7)))
    ]
    joined = combined_study.combine(parts)
    names = [row.name for row in joined.study.rows]
    assert names == ["Random", "RP", "RP, shallow", "RP / H"]
    assert joined.study.snapshots == (1, 7)
    keys = [(m.row, m.seed, m.snapshot, m.evaluation) for m in joined.measurements]
    assert len(set(keys)) == len(keys)
    assert {key[0] for key in keys} == set(names)
    assert len({cell.name for cell in joined.cells}) == len(joined.cells)


def test_a_study_by_itself_is_unchanged():
    results = invented_study.results()
    assert combined_study.combine([results]).study == results.study


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"snapshot_cost": 1.0}, "snapshot cost"),
        ({"rows": (rows.ROWS["RP"].__class__("RP", None),)}, "row RP"),
        ({"evaluations": ()}, None),
    ],
)
def test_studies_that_are_not_comparable_are_refused(change, difference):
    results = invented_study.results()
    other = dataclasses.replace(
        results, study=dataclasses.replace(results.study, name="other", **change)
    )
    if difference is None:
        assert (
            combined_study.combine([results, other]).study.name == "invented and other"
        )
        return
    with pytest.raises(
        UserError, match=rf"other cannot be joined.*{difference}.*by the option study"
    ):
        combined_study.combine([results, other])


def test_studies_of_other_data_are_refused():
    results = invented_study.results()
    measured = tuple(
        dataclasses.replace(
            each,
            provenance=dataclasses.replace(
                each.provenance, data={"data/b": "sha256:1"}
            ),
        )
        for each in results.measurements
    )
    declared = dataclasses.replace(results.study, name="other")
    other = dataclasses.replace(results, study=declared, measurements=measured)
    with pytest.raises(UserError, match="data of imagenet_linear"):
        combined_study.combine([results, other])


def test_the_costs_that_were_reached_are_compared():
    results = invented_study.results()
    measured = tuple(
        dataclasses.replace(each, cost=1.01 * each.cost)
        if each.row == "RP" and each.snapshot == 7
        else each
        for each in results.measurements
    )
    results = dataclasses.replace(results, measurements=measured)
    (items, *_) = blocks_of(study_page.document(results), "Setting and data")
    (line,) = (line for line in items.items if line.startswith("Snapshot 7"))
    assert "16,800 to 16,968 K40 hours" in line and "differ by 1.0% or less" in line


@pytest.mark.parametrize("renders", [True, False])
def test_a_world_is_named_only_if_it_was_rendered(renders):
    results = invented_study.results()
    declared = dataclasses.replace(results.study, world={"scale": "tiny"})
    command = "python -m data_prep.synthetic --scale=tiny --output=o"
    cells = (CellStatus("data synthetic world", "done", command),) if renders else ()
    results = dataclasses.replace(results, study=declared, cells=cells)
    (items, *_) = blocks_of(study_page.document(results), "Setting and data")
    assert any("synthetic world" in line for line in items.items) == renders


def test_details_and_items_are_not_empty():
    document = study_page.document(invented_study.results())
    for section in document.sections:
        assert section.blocks, section.title
        for block in section.blocks:
            assert not isinstance(block, Details) or block.blocks
            assert not isinstance(block, Items) or block.items
