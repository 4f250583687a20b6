"""Figures 3 to 5: well-formed, complete, and on the paper's scale."""

import re
import xml.etree.ElementTree as ElementTree

import invented_study
import numpy as np
import pytest

from launch.reports import alpha_figure, curves_figure, study_figures, svg
from launch.reports.curves_figure import Curve
from launch.reports.document import Details, Figure, Heading, Text
from launch.reports.samples import Numbers
from launch.studies import rows

NAMESPACE = "{http://www.w3.org/2000/svg}"


def elements(content, tag):
    return ElementTree.fromstring(content).findall(f".//{NAMESPACE}{tag}")


def texts(content):
    return [element.text for element in elements(content, "text")]


def grey_level(element):
    return int(re.search(r"fill:#(\w\w)", element.get("style"))[1], 16)


def test_grey_has_the_papers_marks():
    levels = [int(alpha_figure.grey(weight)[1:3], 16) for weight in (0, 0.1, 1)]
    assert levels == [0, 128, 255]
    assert alpha_figure.grey(-0.1) == alpha_figure.grey(0.1)
    # Small weights are lifted: a straight scale would give 3.
    assert int(alpha_figure.grey(0.01)[1:3], 16) == 64


def test_alpha_has_a_square_for_each_unit_and_task():
    alpha = np.random.default_rng(0).random((3, 7))
    content = alpha_figure.draw(
        {"first <task>": alpha[0], "second": alpha[1]}, {"evaluation": alpha[2]}
    )
    squares = [
        element
        for element in elements(content, "rect")
        if len(element)  # with a title
    ]
    assert len(squares) == 21
    positions = np.array(
        [(float(one.get("y")), float(one.get("x"))) for one in squares]
    ).reshape(3, 7, 2)
    # The shallowest unit is left; evaluations are below, after a gap.
    assert (np.diff(positions[:, :, 1], axis=1) > 0).all()
    steps = np.diff(positions[:, 0, 0])
    assert steps[1] > steps[0] > 0
    expected = [int(alpha_figure.grey(weight)[1:3], 16) for weight in alpha.ravel()]
    assert [grey_level(one) for one in squares] == expected
    found = texts(content)
    assert (
        found.index("first <task>") < found.index("second") < found.index("evaluation")
    )
    assert [word for word in found if word in ("0", "0.1")] == ["0", "0.1"]


def test_marks_of_the_scale_are_in_their_places():
    content = alpha_figure.draw({"task": [1.0]}, {})
    marks = {
        element.text: float(element.get("x"))
        for element in elements(content, "text")
        if element.text in ("0", "0.1", "1")
    }
    # The number of the unit is "1" as well, but the scale's mark comes later.
    assert marks["0.1"] - marks["0"] == pytest.approx(marks["1"] - marks["0.1"])


def test_curves_have_a_marker_for_each_point_and_a_label_for_each_row():
    curves = [
        Curve("RP", ((1.0, (10.0, 12.0)), (2.0, (20.0,)))),
        Curve("A & B", ((1.0, (15.0,)), (2.0, (20.1, 20.3)))),
    ]
    content = curves_figure.draw("top-5, %", curves, [("Random", 5.0)], "cost")
    assert {"RP", "A & B", "Random", "cost", "top-5, %"} <= set(texts(content))
    # Four points, and a marker beside each of the two labels.
    assert len(elements(content, "path")) == 4 + 2
    shapes = {element.get("d") for element in elements(content, "path")}
    assert len(shapes) == 2
    first = elements(content, "title")[0].text
    assert first == "RP at 1: mean 11 of 10, 12"


def test_higher_numbers_are_higher_up():
    content = curves_figure.draw(
        "t", [Curve("a", ((1.0, (1.0,)), (2.0, (3.0,))))], [], "cost"
    )
    places = [
        tuple(
            map(
                float,
                re.search(r"translate\((\S+) (\S+)\)", one.get("transform")).groups(),
            )
        )
        for one in elements(content, "path")[:2]
    ]
    assert places[1][0] > places[0][0] and places[1][1] < places[0][1]


@pytest.mark.parametrize("values", [(5.0,), (0.0,), (0.3, 0.3)])
def test_a_single_point_is_drawn(values):
    content = curves_figure.draw("t", [Curve("a", ((8e-4, values),))], [], "cost")
    assert b"nan" not in content and b"inf" not in content
    assert len(elements(content, "path")) == 2


def test_labels_do_not_overlap():
    placed = svg.apart([10.0, 10.0, 11.0, 90.0, 95.0], 14, 0, 100)
    gaps = np.diff(sorted(placed))
    assert (gaps >= 14 - 1e-9).all() and min(placed) >= 0 and max(placed) <= 100


def test_figures_of_a_study():
    numbers = Numbers(invented_study.results(without=("MS",)))
    blocks = study_figures.curves(numbers)
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    assert headings[:2] == ["Figure 3: single tasks", "Figure 4: combinations"]
    panels = [block for block in blocks if isinstance(block, Figure)]
    assert len(panels) == 3 * len(headings)
    assert len({panel.name for panel in panels}) == len(panels)
    found = set(texts(panels[0].content))
    assert {"RP", "Col", "Ex", rows.RANDOM} <= found and "MS" not in found
    # A chance of 0.5% would squeeze curves at 40%, so it is in the caption only.
    assert "chance" not in found and "chance level is 0.50" in panels[0].caption


def test_figure_5_of_a_study():
    numbers = Numbers(invented_study.results())
    figure, table, others = study_figures.alphas(numbers)
    assert isinstance(figure, Figure) and rows.BOTH_LASSO in figure.caption
    found = texts(figure.content)
    assert found.index("motion segmentation") < found.index("imagenet linear")
    assert isinstance(table, Details) and len(table.blocks[0].rows) == 4 + 3
    # Two rows have a lasso in pretraining, with three seeds each.
    assert others.summary == "5 further pretrainings with a lasso"


def test_a_study_without_a_lasso_says_so():
    declared = invented_study.study(row_names=(rows.RANDOM, "RP"))
    (block,) = study_figures.alphas(Numbers(invented_study.results(declared)))
    assert isinstance(block, Text) and "left out" in block.text
