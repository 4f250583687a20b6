"""Compares result files with a devkit and reports the average precisions."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from eval.json_types import JsonObject
from eval.voc07_detection.score import devkit_truth, result_files
from eval.voc07_detection.score.average_precision import (
    ClassDetections,
    ImageObjects,
    TrueObjects,
    mean_average_precision,
)
from selfsup.common.errors import SettingError

FORMAT = "selfsup-voc-score"
VERSION = 1


def score(
    devkit: str,
    set_name: str,
    results: str,
    *,
    ious: Sequence[float],
    metric: str,
    year: str,
    competition: str,
) -> tuple[JsonObject, list[str]]:
    """Scores the result files of all classes that have objects in the set.

    Args:
      devkit, set_name, year: see `devkit_truth.read`.
      results: folder of the result files.
      ious: smallest intersections over union of a hit, one score for each.
      metric: "voc07", "voc07_exact" or "area", see `mean_average_precision`.
      competition: start of the names of the result files.

    Returns:
      (report, notes): the report as JSON values, see docs/evaluations/voc07_score.md, and
      notes for its reader.

    Raises:
      UserError: for a devkit or result files that cannot be used.
    """
    if not os.path.isdir(results):
        raise SettingError(f"results={results}", "no such folder")
    truth = devkit_truth.read(devkit, set_name, year)
    required = _required(truth.objects)
    detections = result_files.read(
        results, set_name, required, set(truth.images), competition
    )
    classes: dict[str, dict[str, float]] = {
        name: _counts(images, detections[name]) for name, images in required.items()
    }
    metrics = {}
    for iou in ious:
        mean, precisions = mean_average_precision(detections, required, iou, metric)
        metrics[f"mAP_{iou:g}"] = mean
        for name, precision in precisions.items():
            classes[name][f"AP_{iou:g}"] = precision
    not_scored = _other_files(results, set_name, required, competition)
    report = {
        "format": FORMAT,
        "version": VERSION,
        "year": truth.year,
        "set": set_name,
        "competition": competition,
        "metric": metric,
        "images": len(truth.images),
        "metrics": metrics,
        "classes": classes,
        "not_scored": not_scored,
    }
    return report, [*truth.notes, *map(_not_scored_note, not_scored)]


def _required(objects: TrueObjects) -> TrueObjects:
    """The classes with an object that must be detected."""
    return {
        name: images
        for name, images in objects.items()
        if not all(difficult.all() for _, difficult in images.values())
    }


def _not_scored_note(file: str) -> str:
    return (
        f"{file}: not scored, because the set has no object of this class that must be "
        "detected"
    )


def _counts(
    images: Mapping[str, ImageObjects], detections: ClassDetections
) -> dict[str, float]:
    """Numbers of objects, difficult objects and detections of a class."""
    difficult = [flag for _, flags in images.values() for flag in flags]
    return {
        "objects": len(difficult),
        "difficult": int(sum(difficult)),
        "detections": len(detections[0]),
    }


def _other_files(
    results: str, set_name: str, classes: Collection[str], competition: str
) -> list[str]:
    """Names of the set's result files for classes that are not scored."""
    start, end = result_files.file_name(set_name, "\0", competition).split("\0")
    scored = {result_files.file_name(set_name, name, competition) for name in classes}
    return [
        name
        for name in sorted(os.listdir(results))
        if name.startswith(start) and name.endswith(end) and name not in scored
    ]


def table(report: JsonObject) -> str:
    """Formats the report: one line per class, in percent, and the means."""
    width = max(len(name) for name in ["class", *report["classes"]])
    keys = [key[1:] for key in report["metrics"]]
    counts = ["objects", "difficult", "detections"]
    lines = [_line("class", counts + keys, width)]
    for name, values in report["classes"].items():
        percents = [f"{100 * values[key]:.2f}" for key in keys]
        lines.append(_line(name, [values[count] for count in counts] + percents, width))
    means = [f"{100 * value:.2f}" for value in report["metrics"].values()]
    totals = [
        sum(values[count] for values in report["classes"].values()) for count in counts
    ]
    return "\n".join([*lines, _line("all", totals + means, width)])


def _line(name: str, cells: Sequence[str | int], width: int) -> str:
    return "  ".join([name.ljust(width), *(f"{cell!s:>10}" for cell in cells)])
