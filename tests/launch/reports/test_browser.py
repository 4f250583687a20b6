"""The page in a real browser: layout, popovers, modes, keyboard; skipped without one."""

import browser
import invented_study
import pytest
from PIL import Image

from launch.reports import html, study_page
from launch.studies import rows

OPEN = "document.querySelector('[popover]:popover-open')"


@pytest.fixture(scope="module")
def tab():
    """A tab of a headless Chromium."""
    with browser.started() as started:
        yield started


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The page of an invented study with figures, tables, and missing cells."""
    names = (rows.RANDOM, "RP", "Col", "RP+Col", rows.ALL_TASKS, rows.BOTH_LASSO, "MS")
    declared = invented_study.study(row_names=names, seeds=(0, 1))
    results = invented_study.results(declared, without=("MS",))
    folder = tmp_path_factory.mktemp("page")
    html.write(study_page.document(results), str(folder))
    return folder / html.FILE_NAME


def colour(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_the_window(tab, path, width):
    tab.open(path, width=width)
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    # The tables scroll by themselves where they need to.
    wide = tab.evaluate(
        "[...document.querySelectorAll('.scroll')]"
        ".filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert wide > 0 or width > 360


def test_the_page_asks_for_nothing_and_reports_nothing(tab, path):
    tab.open(path)
    assert not tab.problems
    assert [address for address in tab.requests if not address.startswith("data:")] == [
        path.absolute().as_uri()
    ]


def test_a_click_on_a_number_opens_its_sources(tab, path):
    tab.open(path)
    assert tab.evaluate(f"{OPEN} === null")
    tab.click("#all-rows button.value")
    text = tab.evaluate(f"{OPEN}.innerText")
    for part in ("python -m eval.imagenet_linear", "0123abc", "sha256:00ff"):
        assert part in text
    tab.press("Escape", 27)
    assert tab.evaluate(f"{OPEN} === null")


def test_the_keyboard_opens_and_closes_sources(tab, path):
    tab.open(path, width=360, height=700)
    tab.evaluate("document.querySelector('button.value').focus()")
    tab.press("Enter", 13, "\r")
    assert tab.evaluate(f"{OPEN} !== null && {OPEN}.contains(document.activeElement)")
    box = tab.evaluate(
        f"(() => {{ const r = {OPEN}.getBoundingClientRect();"
        "return [r.left, r.top, r.right, r.bottom]; })()"
    )
    assert box[0] >= 0 and box[1] >= 0 and box[2] <= 360 and box[3] <= 700
    tab.press("Tab", 9)
    assert tab.evaluate("document.activeElement.className") == "close"
    tab.press("Enter", 13, "\r")
    assert tab.evaluate(f"{OPEN} === null")
    assert tab.evaluate("document.activeElement.className") == "value"


def test_the_first_tab_is_the_skip_link(tab, path):
    tab.open(path)
    tab.press("Tab", 9)
    assert tab.evaluate("document.activeElement.className") == "skip"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


def test_dark_mode_is_dark_for_figures_too(tab, path, tmp_path):
    figure = "getComputedStyle(document.querySelector('figure text')).fill"
    tab.open(path)
    light = (colour(tab), tab.evaluate(figure))
    tab.open(path, dark=True)
    dark = (colour(tab), tab.evaluate(figure))
    assert light[0] != dark[0] and light[1] != dark[1]
    (tmp_path / "dark.png").write_bytes(tab.screenshot())
    with Image.open(tmp_path / "dark.png") as image:
        levels = sorted(image.convert("L").getdata())
    assert levels[len(levels) // 2] < 60


def test_no_label_of_a_figure_is_cut_off(tab, path):
    tab.open(path)
    cut = tab.evaluate(
        "[...document.querySelectorAll('figure svg')].flatMap(svg => {"
        "const frame = svg.getBoundingClientRect();"
        "return [...svg.querySelectorAll('text')].filter(t => {"
        "const r = t.getBoundingClientRect();"
        "return r.width > 0 && (r.left < frame.left - 1 || r.right > frame.right + 1);"
        "}).map(t => t.textContent); })"
    )
    assert cut == []


def test_the_page_prints_in_light_colours(tab, path):
    tab.open(path, dark=True)
    assert tab.pdf().startswith(b"%PDF")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    tab.call("Emulation.setEmulatedMedia", media="print", features=dark)
    try:
        assert colour(tab) == "rgb(253, 253, 251)"
        assert (
            tab.evaluate("getComputedStyle(document.querySelector('nav')).display")
            == "none"
        )
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
