"""The report on a quickstart: the run, and what its trunk is worth on labelled photos."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Literal

from eval import metrics_file
from eval.metrics_file import MetricsFile
from launch.pipeline import execution, plan
from launch.pipeline.commands import option
from launch.pipeline.state import State
from launch.reports import run_folder, run_page, wording
from launch.reports.document import (
    Block,
    Cell,
    Code,
    Document,
    Remark,
    Section,
    Table,
    Text,
    Tone,
)
from launch.studies.results import Provenance
from selfsup.common import durations
from selfsup.data import manifest

Verdict = Literal["better", "no clear difference", "worse"]

# Standard errors of the difference of two shares, from which on it counts.
CLEAR_ERRORS = 2.0
_TONES: dict[Verdict, Tone] = {
    "better": "good",
    "no clear difference": "open",
    "worse": "bad",
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """An evaluation of the pretrained trunk and of a random trunk.

    Attributes:
      name: name of the evaluation.
      results: their metrics files by trunk, see `plan.PRETRAINED` and `plan.RANDOM`.
    """

    name: str
    results: Mapping[str, MetricsFile]

    def headline(self, trunk: str) -> float:
        """Returns the headline of a trunk, a share of the test photos."""
        result = self.results[trunk]
        return result["metrics"][result["headline"]]

    @property
    def photos(self) -> int:
        """Number of test photos."""
        return int(self.results[plan.RANDOM]["data"]["test"]["records"])

    @property
    def verdict(self) -> Verdict:
        """Compares the headlines, by `CLEAR_ERRORS`."""
        return compare(
            self.headline(plan.PRETRAINED), self.headline(plan.RANDOM), self.photos
        )


def compare(pretrained: float, random: float, photos: int) -> Verdict:
    """Compares two accuracies on the same number of photos.

    Args:
      pretrained, random: shares from 0 to 1.
      photos: number of test photos.
    """
    mean = (pretrained + random) / 2
    error = math.sqrt(2 * mean * (1 - mean) / max(photos, 1))
    difference = pretrained - random
    if abs(difference) <= CLEAR_ERRORS * error:
        return "no clear difference"
    return "better" if difference > 0 else "worse"


def document(folder: str, current: State) -> Document:
    """Makes the report on a quickstart.

    Args:
      folder: folder of its results.
      current: its state.

    Raises:
      UserError: a file of the results is missing or cannot be read.
    """
    record = run_folder.read(os.path.join(folder, "run"))
    comparisons = _comparisons(folder, current)
    verdicts = "".join(
        f" With your labels ({each.name}), the pretrained trunk against a random one: "
        f"{each.verdict}."
        for each in comparisons
    )
    learned, *others = run_page.sections(record)
    return Document(
        title=f"What a trunk learned from {_sources(current)}",
        summary=run_page.summary(record) + verdicts,
        sections=(
            learned,
            Section("On your labelled photos", _evaluations(comparisons, current)),
            *others,
            Section("Data", (_data(folder),)),
            Section("Stages", (_stages(current), _use(folder))),
        ),
    )


def _sources(current: State) -> str:
    counts = [
        f"{described['files']:,} {name}"
        for name in ("photos", "videos")
        if (described := current["inputs"].get(name)) is not None
    ]
    return " and ".join(counts)


def _comparisons(folder: str, current: State) -> tuple[Comparison, ...]:
    names = dict.fromkeys(
        name.split("/")[0] for name in current["commands"] if "/" in name
    )
    comparisons = []
    for name in names:
        paths = {
            trunk: os.path.join(folder, "evaluations", name, trunk)
            for trunk in (plan.PRETRAINED, plan.RANDOM)
        }
        if all(map(metrics_file.exists, paths.values())):
            results = {trunk: metrics_file.read(path) for trunk, path in paths.items()}
            comparisons.append(Comparison(name, results))
    return tuple(comparisons)


def _evaluations(
    comparisons: tuple[Comparison, ...], current: State
) -> tuple[Block, ...]:
    if not comparisons:
        if current["inputs"]["labelled"] is not None:
            return (Text("The evaluations have not finished yet."),)
        return (
            Text(
                "There are no labelled photos. With "
                f"{option('labelled', 'DIR')}, a folder of photos for each class, the "
                "quickstart compares the trunk with a random one."
            ),
        )
    blocks: list[Block] = []
    for each in comparisons:
        pretrained, random = each.headline(plan.PRETRAINED), each.headline(plan.RANDOM)
        blocks += [
            Remark(
                f"{each.name}: {each.verdict}",
                f"{each.photos:,} photos were classified. The pretrained trunk is right "
                f"on {pretrained:.1%} of them, a random trunk with the same settings on "
                f"{random:.1%}. A difference counts from {CLEAR_ERRORS:g} standard "
                "errors of these photos on. Both trunks have one seed; what another seed "
                "would change is not in the standard error.",
                _TONES[each.verdict],
            ),
            _table(each, current),
        ]
    return tuple(blocks)


def _table(each: Comparison, current: State) -> Table:
    chance = each.results[plan.RANDOM]["details"].get("chance", {})
    sources = {
        trunk: (_source(each, trunk, current),)
        for trunk in (plan.PRETRAINED, plan.RANDOM)
    }
    rows = []
    for metric, random in each.results[plan.RANDOM]["metrics"].items():
        pretrained = each.results[plan.PRETRAINED]["metrics"][metric]
        level = chance.get(metric.split("_")[-1])
        cells = (
            Cell(f"{pretrained:.3f}", sources=sources[plan.PRETRAINED]),
            Cell(f"{random:.3f}", sources=sources[plan.RANDOM]),
            Cell(f"{pretrained - random:+.3f}"),
            Cell(wording.MISSING, missing=True)
            if level is None
            else Cell(f"{level:.3f}"),
        )
        rows.append((metric.replace("_", " "), cells))
    return Table(
        f"The metrics of {each.name}, with the same settings for both trunks.",
        ("metric", "pretrained", "random", "difference", "chance"),
        tuple(rows),
    )


def _source(each: Comparison, trunk: str, current: State) -> Provenance:
    result, name = each.results[trunk], f"{each.name}/{trunk}"
    return Provenance(
        command=current["commands"][name],
        folder=os.path.join("evaluations", each.name, trunk),
        commit="",
        data={str(result["data"]["set"]): str(result["data"]["checksum"])},
        seconds=current["seconds"].get(name, 0.0),
        started="",
        versions=result["versions"],
    )


def _data(folder: str) -> Table:
    rows = []
    for built in manifest.find(folder):
        inputs = built.inputs
        cells = tuple(
            Cell(f"{number:,}")
            for number in (
                inputs.get("found", 0),
                inputs.get("used", 0),
                inputs.get("set_aside", 0),
                built.records("train"),
                built.records("validation"),
            )
        )
        rows.append((os.path.relpath(built.directory, folder), cells))
    return Table(
        "The data sets. Files that could not be used are listed, with the reasons, in "
        "set_aside.tsv of the set's folder.",
        ("set", "files", "used", "set aside", "records for training", "held out"),
        tuple(rows),
    )


def _stages(current: State) -> Code:
    """The commands, which can be typed one after the other."""
    lines = [f"# Preset {current['settings']['preset']}: {current['reason']}."]
    for name, command in current["commands"].items():
        seconds = current["seconds"].get(name)
        took = "" if seconds is None else f"  # {durations.text(seconds)}"
        lines.append(f"{command}{took}")
    return Code("\n".join(lines))


def _use(folder: str) -> Code:
    trunk = os.path.join(os.path.abspath(folder), "trunk")
    return Code(execution.HOW_TO_USE.format(trunk=repr(trunk)))
