"""The HTML form of a document: valid, escaped, self-contained, with its sources."""

import re

import invented_study
import pytest
from strict_html import Page

from launch.reports import html, study_page
from launch.reports.document import (
    Cell,
    Code,
    Details,
    Document,
    Figure,
    Heading,
    Items,
    Remark,
    Section,
    Table,
    Text,
)

HOSTILE = """<script>alert("1")</script> & 'x' "y" </style>"""
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><g/></svg>'


def everything(text=HOSTILE):
    """A document with each kind of block, whose every text is `text`."""
    source = invented_study.provenance(text, text)
    cell = Cell(text, text, sources=(source,))
    return Document(
        text,
        text,
        (
            Section(
                text,
                (
                    Heading(text),
                    Remark(text, text, "good"),
                    Text(text),
                    Items((text, text)),
                    Code(text),
                    Table(text, (text, text), ((text, (cell,)),)),
                    Figure(text, text, "a", SVG, is_svg=True),
                    Figure(text, text, "b", b"\x89PNG", is_svg=False),
                    Details(text, (Text(text),)),
                ),
            ),
            Section(text, ()),
        ),
    )


@pytest.fixture(scope="module")
def study():
    """The page of a rich invented study, with a row that is missing."""
    declared = invented_study.study(seeds=(0, 1), snapshots=(1, 7))
    results = invented_study.results(declared, without=("MS",))
    return html.render(study_page.document(results))


@pytest.fixture(scope="module")
def page(study):
    """The same page, parsed."""
    return Page(study)


def test_a_hostile_text_stays_text():
    page = Page(html.render(everything()))
    assert not page.problems
    assert not page.all("script")
    assert page.all("h1") == [({}, HOSTILE)]
    for tag in ("h2", "h3", "p", "li", "td", "summary", "figcaption", "pre", "caption"):
        assert any(HOSTILE in text for _, text in page.all(tag)), tag
    assert page.all("img")[0][0]["alt"] == HOSTILE
    assert page.all("div", role="img")[0][0]["aria-label"] == HOSTILE


def test_the_page_of_a_study_is_valid(page):
    assert not page.problems


def test_nothing_is_loaded(study, page):
    text = re.sub(r'xmlns="http://www.w3.org/2000/svg"', "", study)
    assert not re.search(r"https?://|@import|url\(|<script|<iframe|<object", text)
    links = [own["href"] for own, _ in page.all("link")]
    assert links == ["data:,"]


def test_each_number_of_a_table_opens_its_sources(study, page):
    popovers = {own["id"]: text for own, text in page.all("div", role="dialog")}
    cells = [
        (own, text)
        for own, text in page.all("td")
        if re.match(r"[+−]?\d+\.\d{2}", text)
    ]
    values = page.all("button", **{"class": "value"})
    # Chance levels come from the evaluations of all rows.
    chance = re.findall(r"Chance level</th>.*?</tr>", study, re.DOTALL)
    levels = sum(len(re.findall(r'<td class="number">\d', row)) for row in chance)
    assert len(cells) - levels == len(values) > 300
    for own, _ in values:
        text = popovers[own["popovertarget"]]
        for part in (
            "commit0123abc",
            "seed",
            "sha256:00ff",
            "python -m ",
            "cost",
        ):
            assert part in text


def test_popovers_of_random_rows_have_no_pretraining(page):
    popovers = page.all("div", role="dialog")
    (random,) = (
        text for _, text in popovers if text.startswith("CloseRandom, NYU < 1.25, %")
    )
    assert "pretraining of this trunk" not in random


def test_a_missing_number_is_shown_as_missing(study):
    rows = re.findall(r'<th scope="row">MS</th>.*?</tr>', study, re.DOTALL)
    assert rows and all('class="number missing">–' in row for row in rows)


def test_tables_and_figures_can_be_heard(page):
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(own.get("scope") in ("row", "col") for own, _ in page.all("th"))
    assert page.all("html")[0][0]["lang"] == "en"
    for tag in ("main", "nav", "header"):
        assert len(page.all(tag)) == 1
    levels = [tag for tag, _, _, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert levels[:3] == ["h1", "h2", "h3"] and levels.count("h1") == 1
    figures = page.all("div", role="img")
    assert len(figures) == len(page.all("svg"))
    assert all(len(own["aria-label"]) > 40 for own, _ in figures)


def test_equal_sources_are_written_once():
    cell = Cell("1.0", sources=(invented_study.provenance("c", "f"),))
    table = Table("t", ("a", "b"), (("r", (cell,)),))
    page = Page(html.render(Document("t", "", (Section("s", (table, table)),))))
    assert len(page.all("div", role="dialog")) == 1
    assert len(page.all("button", **{"class": "value"})) == 2


def test_a_page_without_numbers_has_no_sources():
    page = Page(html.render(Document("t", "", (Section("s", (Text("x"),)),))))
    assert not page.all("section", **{"class": "sources"})


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_contrast_is_at_least_aa(mode):
    blocks = re.findall(r":root \{\n(.*?)\}", html.style("colours.css"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[mode]))
    assert len(colours) == 16
    for name, colour in colours.items():
        if name in ("paper", "card", "rule"):
            continue
        for ground in ("paper", "card"):
            light, dark = sorted(
                (_luminance(colour), _luminance(colours[ground])), reverse=True
            )
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


def test_write_makes_the_folder(tmp_path):
    path = html.write(Document("t", "s", ()), str(tmp_path / "a" / "b"))
    assert "<h1>t</h1>" in (tmp_path / "a" / "b" / "report.html").read_text()
    assert path.endswith("report.html")
