"""The report on a quickstart: its verdicts on labelled photos, and its commands."""

import pytest
import run_records
from built_sets import write_set
from run_records import healthy_rows

from eval import metrics_file
from launch.pipeline import inputs, plan, state
from launch.reports import html, pipeline_page, run_page
from launch.reports.document import Remark, Table


@pytest.fixture
def folder(tmp_path):
    """The folder of a quickstart that has finished, but for the evaluations."""
    out = tmp_path / "out"
    photos = inputs.Input(str(tmp_path / "photos"), 40, "digest")
    settings = plan.Settings(
        output=str(out),
        photos=photos,
        videos=None,
        labelled=photos,
        preset="tiny",
        steps=20,
        measures_speed=True,
        evaluations={"few_labels": {}},
    )
    state.begin(settings, "there is no NVIDIA GPU")
    run_records.write(out / "run", healthy_rows())
    splits = ["train", "validation"]
    write_set(str(out / "data" / "photos"), [6, 3], splits=splits)
    return out


def _evaluate(folder, trunk, top1):
    output = folder / "evaluations" / "few_labels" / trunk
    output.mkdir(parents=True)
    metrics_file.write(
        str(output),
        evaluation="few_labels",
        headline="few_labels_top1",
        metrics={"few_labels_top1": top1},
        trunk={},
        settings={},
        data={"set": "data/photos", "checksum": "c", "test": {"records": 200}},
        details={"chance": {"top1": 0.1}},
    )


def test_the_trunks_are_compared(folder):
    _evaluate(folder, "pretrained", 0.5)
    _evaluate(folder, "random", 0.3)
    document = run_page.document(str(folder))
    assert document.title == "What a trunk learned from 40 photos"
    assert document.summary.endswith(
        "With your labels (few_labels), the pretrained trunk against a random one: better."
    )
    section = next(
        each for each in document.sections if each.title == "On your labelled photos"
    )
    remark, table = section.blocks
    assert isinstance(remark, Remark) and remark.tone == "good"
    assert "right on 50.0% of them, a random trunk with the same settings on 30.0%" in (
        remark.text
    )
    assert isinstance(table, Table)
    ((_, cells),) = table.rows
    assert [cell.text for cell in cells] == ["0.500", "0.300", "+0.200", "0.100"]
    assert "--trunk=random" in cells[1].sources[0].command
    page = html.render(document)
    assert "python -m launch.pretrain" in page
    assert "hub.KerasLayer" in page


def test_a_trunk_without_its_comparison_is_not_judged(folder):
    _evaluate(folder, "pretrained", 0.5)
    document = run_page.document(str(folder))
    assert "With your labels" not in document.summary
    assert "The evaluations have not finished yet" in html.render(document)


def test_the_data_sets_are_listed(folder):
    document = run_page.document(str(folder))
    section = next(each for each in document.sections if each.title == "Data")
    (table,) = section.blocks
    ((name, cells),) = table.rows
    assert name == "data/photos"
    assert [cell.text for cell in cells[-2:]] == ["6", "3"]


@pytest.mark.parametrize(
    ("pretrained", "random", "photos", "verdict"),
    [
        (0.5, 0.3, 200, "better"),
        (0.3, 0.5, 200, "worse"),
        # Two standard errors are 0.28 and 0.089.
        (0.5, 0.3, 20, "no clear difference"),
        (0.5, 0.42, 240, "no clear difference"),
        (0.0, 0.0, 10, "no clear difference"),
    ],
)
def test_differences_count_from_two_standard_errors_on(
    pretrained, random, photos, verdict
):
    assert pipeline_page.compare(pretrained, random, photos) == verdict
