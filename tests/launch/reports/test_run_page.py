"""The report on a run: what stands in it, also for unfinished and old runs."""

import json
import pathlib
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest
import run_records
from run_records import healthy_rows

from launch.reports import html, markdown, run_curves, run_page
from launch.reports.document import Details, Figure, Remark, Table
from selfsup.common import provenance
from selfsup.common.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[3]
SECTIONS = [
    "What each task learned",
    "Curves",
    "What the tasks see",
    "Health",
    "Configuration",
    "Where the numbers come from",
]


@pytest.fixture
def folder(tmp_path):
    run_records.write(tmp_path / "run", healthy_rows())
    return tmp_path / "run"


def _blocks(document, kind):
    return [
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, kind)
    ]


def test_the_page_of_a_run(folder):
    provenance.record_start(str(folder))
    document = run_page.document(str(folder))
    assert [section.title for section in document.sections] == SECTIONS
    assert document.summary == (
        "The run is finished: it took up to 20 steps of each of 2 tasks. On held-out "
        "records, learned: relative position, exemplar."
    )
    headlines = _blocks(document, Table)[0]
    assert [name for name, _ in headlines.rows] == ["Relative position", "Exemplar"]
    texts = [cell.text for cell in headlines.rows[0][1]]
    assert texts == ["accuracy", "0.400", "0.167", "0.290", "0.28"]
    (source,) = headlines.rows[0][1][1].sources
    assert source.command == provenance.command_line()
    assert source.seconds == 20.0
    assert list(source.data) == ["data/photos"]
    assert "seed" in source.facts
    page = html.render(document)
    assert "Relative position: learned" in page
    assert markdown.render(document).count("\n## ") == len(SECTIONS)


def test_curves_show_training_held_out_and_chance(folder):
    figures = _blocks(run_page.document(str(folder)), Figure)
    assert [figure.name for figure in figures] == [
        "curve-relative_position-accuracy",
        "curve-relative_position-loss",
        "curve-exemplar-satisfied",
        "curve-exemplar-loss",
    ]
    assert figures[0].alternative == (
        "Relative position, accuracy. training: 0.180 at step 10, 0.400 at step 20, "
        "chance 0.167; held out: 0.180 at step 10, 0.400 at step 20, chance 0.167."
    )
    root = ElementTree.fromstring(figures[0].content)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}polyline")) == 2
    # Only held-out values are measured rarely enough to be marked.
    assert len(root.findall(f"{space}circle")) == 2


def test_a_point_is_where_its_value_is():
    curve = run_curves.Curve("training", [(0, 0.0), (10, 1.0)], None, True)
    root = ElementTree.fromstring(run_curves.draw("loss", [curve]))
    first, last = root.findall("{http://www.w3.org/2000/svg}circle")
    assert float(first.get("cx")) < float(last.get("cx"))
    assert float(first.get("cy")) > float(last.get("cy"))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.1, 0.33, [0.1, 0.15, 0.2, 0.25, 0.3]),
        (-2, 7, [-2, 0, 2, 4, 6]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert run_curves.ticks(low, high) == expected


def test_a_run_that_has_just_begun(folder):
    for name in ("validation.json", "history.jsonl"):
        (folder / name).unlink()
    document = run_page.document(str(folder))
    assert "The run is not finished" in document.summary
    assert "No task has been measured" in document.summary
    assert "The command was not recorded" in html.render(document)
    assert _blocks(document, Figure) == []


def test_the_last_validation_serves_until_the_run_finishes(folder):
    (folder / "validation.json").unlink()
    assert "learned: relative position" in run_page.document(str(folder)).summary


def test_pictures_are_shown_with_their_columns(folder):
    (folder / "pictures").mkdir()
    (folder / "pictures" / "exemplar-anchor_positive.png").write_bytes(b"png")
    figures = _blocks(run_page.document(str(folder)), Figure)
    assert figures[-1].caption == "Exemplar on held-out records: anchor, positive."
    assert figures[-1].content == b"png"


def test_troubles_come_before_what_is_well(folder):
    rows = healthy_rows()
    for each in rows:
        if each["split"] == "health":
            each["update_ratio/trunk"] = 0.5
    (folder / "history.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    document = run_page.document(str(folder))
    health = document.sections[SECTIONS.index("Health")]
    tones = [block.tone for block in health.blocks if isinstance(block, Remark)]
    assert tones[:2] == ["bad", "bad"]
    assert set(tones[2:]) == {"good"}


def test_later_starts_are_listed(folder):
    provenance.record_start(str(folder))
    provenance.record_start(str(folder))
    (later,) = [
        block
        for block in _blocks(run_page.document(str(folder)), Details)
        if block.summary == "Later starts of the same run"
    ]
    assert len(later.blocks[0].text.splitlines()) == 1


def test_a_run_of_an_earlier_version_has_a_page(tmp_path):
    with zipfile.ZipFile(ROOT / "tests" / "old_files" / "version_0_1.zip") as archive:
        archive.extractall(tmp_path)
    document = run_page.document(str(tmp_path / "old" / "run"))
    assert [section.title for section in document.sections] == SECTIONS
    assert "Rotation" in html.render(document)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"config\.json: not the config of a run"):
        run_page.document(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"Give the --model_dir of launch\.pretrain"):
        run_page.document(str(tmp_path))
