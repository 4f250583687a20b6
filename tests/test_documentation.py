"""Pages against the code: paths, modules, links, and the values of hyperparameters."""

import dataclasses
import fractions
import functools
import pathlib
import re

import pytest

from eval import registry
from eval.few_labels import config as few_labels
from eval.imagenet_linear import config as imagenet_linear
from eval.nyuv2_depth import config as nyuv2_depth
from eval.nyuv2_normals import config as nyuv2_normals
from eval.voc07_detection import config as voc07_detection
from selfsup import tasks
from selfsup.hybrid.rmsprop import RMSPropConfig
from selfsup.pretraining import presets
from selfsup.tasks.task import TaskConfig
from selfsup.trunk.trunk import TrunkConfig

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "hyperparameters.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "launch").rglob("*.md"),
    ]
)
PACKAGES = "selfsup|data_prep|eval|launch|tests"
PRESETS_SECTION = "What small and tiny change"
# Section of each evaluation -> the module with its Config and PRESETS. What its presets
# change is in the section of the same name with ", small and tiny" behind it.
EVALUATIONS = {
    "ImageNet with frozen weights": imagenet_linear,
    "PASCAL VOC 2007 detection": voc07_detection,
    "NYU V2 depth prediction": nyuv2_depth,
    "NYU V2 surface normals": nyuv2_normals,
    "Fine-tuning on few labels": few_labels,
}
EVALUATION_PRESETS = "{}, small and tiny"
UNCHANGED = "-"


@functools.cache
def _sections():
    """{heading: [cells of each table row]} of the page, without the tables' heads."""
    text = PAGE.read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return {
        heading: [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in text.splitlines()
            if line.startswith("|")
        ][2:]
        for heading, text in zip(parts[::2], parts[1::2])
    }


def _documented(heading):
    """{field: the word that stands for its value} of a section's tables.

    The values of a row with several fields are separated by a comma and a space;
    explanations follow the last of them.
    """
    found = {}
    for names, values, _ in _sections()[heading]:
        fields = re.findall(r"`(\w+)`", names)
        words = [re.match(r"[^\s;:(]*", value)[0] for value in values.split(", ")]
        assert len(words) >= len(fields), f"{heading}: {names}: too few values"
        assert not set(fields) & set(found), f"{heading}: {names}: listed twice"
        found.update(zip(fields, words))
    return found


def _parse(word, like):
    """The value of `like`'s type that a word of the page stands for."""
    if isinstance(like, bool):
        return {"true": True, "false": False}[word]
    if isinstance(like, tuple):
        return tuple(_parse(part, like[0]) for part in word.split("/"))
    if isinstance(like, (int, float)):
        return float(fractions.Fraction(word.replace(",", "")))
    return "" if word == "none" else word


def _assert_equal(documented, config):
    values = dataclasses.asdict(config)
    assert set(documented) == set(values)
    parsed = {name: _parse(word, values[name]) for name, word in documented.items()}
    assert parsed == values


@pytest.mark.parametrize("name", sorted(tasks.REGISTRY))
def test_defaults_of_a_task_are_documented(name):
    section = name.replace("_", " ").capitalize()
    documented = {**_documented("All tasks"), **_documented(section)}
    _assert_equal(documented, tasks.task_class(name).Config())


@pytest.mark.parametrize(
    ("section", "config"),
    [("All tasks", TaskConfig), ("RMSProp", RMSPropConfig), ("Trunk", TrunkConfig)],
)
def test_common_defaults_are_documented(section, config):
    _assert_equal(_documented(section), config())


def _changes(preset):
    """{"trunk.KEY", "TASK.KEY" or "FIELD": value} of a preset; fields unlike paper's."""
    changes = {f"trunk.{key}": value for key, value in preset.trunk.items()}
    for task, overrides in preset.tasks.items():
        changes.update({f"{task}.{key}": value for key, value in overrides.items()})
    for field in dataclasses.fields(preset):
        value = getattr(preset, field.name)
        paper = getattr(presets.PRESETS["paper"], field.name)
        if isinstance(value, (int, float)) and value != paper:
            changes[field.name] = value
    return changes


def test_every_evaluation_is_compared():
    compared = {module.__name__.split(".")[1] for module in EVALUATIONS.values()}
    assert compared == set(registry.EVALUATIONS), "add a line to EVALUATIONS"


@pytest.mark.parametrize("section", EVALUATIONS)
def test_defaults_of_an_evaluation_are_documented(section):
    _assert_equal(_documented(section), EVALUATIONS[section].Config())


@pytest.mark.parametrize(("column", "name"), [(1, "small"), (2, "tiny")])
def test_what_a_preset_changes_is_documented(column, name):
    _assert_changes(PRESETS_SECTION, column, _changes(presets.PRESETS[name]))


@pytest.mark.parametrize(("column", "name"), [(1, "small"), (2, "tiny")])
@pytest.mark.parametrize("section", EVALUATIONS)
def test_what_an_evaluations_preset_changes_is_documented(section, column, name):
    preset = EVALUATIONS[section].PRESETS[name]
    changes = {"trunk.depth": preset.depth, **preset.config}
    _assert_changes(EVALUATION_PRESETS.format(section), column, changes)


def _assert_changes(section, column, changes):
    """That a column of a section's table lists these changes, {field: value}."""
    rows = _sections()[section]
    documented = {row[0].strip("`"): row[column] for row in rows}
    documented = {key: word for key, word in documented.items() if word != UNCHANGED}
    assert set(documented) == set(changes)
    parsed = {key: _parse(word, changes[key]) for key, word in documented.items()}
    assert parsed == changes


def test_no_row_of_the_presets_is_idle():
    sections = [PRESETS_SECTION, *map(EVALUATION_PRESETS.format, EVALUATIONS)]
    for row in (row for section in sections for row in _sections()[section]):
        assert set(row[1:]) != {UNCHANGED}, row[0]


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_presets_override_fields_that_exist(name):
    preset = presets.PRESETS[name]
    dataclasses.replace(TrunkConfig(), **preset.trunk)
    for task, overrides in preset.tasks.items():
        dataclasses.replace(tasks.task_class(task).Config(), **overrides)


@pytest.mark.parametrize(
    ("word", "like", "value"),
    [
        ("150,000", 1, 150_000),
        ("1e-16", 0.5, 1e-16),
        ("313", 1, 313),
        ("false", True, False),
        ("101", "50", "101"),
        ("1/9", 0.5, 1 / 9),
        ("0.5/1/2", (1.0,), (0.5, 1.0, 2.0)),
        ("none", "file", ""),
    ],
)
def test_words_of_the_page(word, like, value):
    assert _parse(word, like) == value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    paths = re.findall(rf"\b((?:{PACKAGES})/[\w/]+(?:\.\w+)?)", text)
    missing = [
        path
        for path in paths
        if not (ROOT / path).exists() and not (ROOT / f"{path}.py").exists()
    ]
    for name in re.findall(rf"\b((?:{PACKAGES})(?:\.[a-z_0-9]+)+)", text):
        module = ROOT / name.replace(".", "/")
        # The last word may be a name inside of a module.
        if not (
            module.exists()
            or module.with_suffix(".py").exists()
            or module.parent.with_suffix(".py").exists()
        ):
            missing.append(name)
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        if not (page.parent / link).exists():
            missing.append(link)
    assert not missing
