"""Result files against a devkit: a report to print and to keep."""

import os

from eval.voc07_detection.score import devkit_truth, result_files
from eval.voc07_detection.score.average_precision import mean_average_precision
from selfsup.common.errors import UserError

FORMAT = "selfsup-voc-score"
VERSION = 1


def score(devkit, set_name, results, *, ious, metric, year, competition):
    """Scores the result files of all classes that the set has objects of.

    Args:
      devkit, set_name, year: as of `devkit_truth.read`.
      results: folder of the result files.
      ious: least intersections over union of a hit, each its own score.
      metric: "voc07", "voc07_exact" or "area", as of `mean_average_precision`.
      competition: what the names of the files begin with.

    Returns:
      (report, notes): a dict of JSON types, see docs/evaluations/voc07_score.md, and
      texts on what a person should know of.

    Raises:
      UserError: as of the modules used.
    """
    if not os.path.isdir(results):
        raise UserError(f"--results={results}: no such folder")
    truth = devkit_truth.read(devkit, set_name, year)
    sought = {
        name: images
        for name, images in truth.objects.items()
        if not all(difficult.all() for _, difficult in images.values())
    }
    detections = result_files.read(results, set_name, sought, truth.images, competition)
    classes = {name: _counts(sought[name], detections[name]) for name in sought}
    metrics = {}
    for iou in ious:
        mean, precisions = mean_average_precision(detections, sought, iou, metric)
        metrics[f"mAP_{iou:g}"] = mean
        for name, precision in precisions.items():
            classes[name][f"AP_{iou:g}"] = precision
    not_scored = _other_files(results, set_name, sought, competition)
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
    return report, [*truth.notes, *map(_not_scored, not_scored)]


def _not_scored(file):
    return f"{file}: not scored: the set has nothing of that class to be found"


def _counts(images, detections):
    """How many objects, difficult ones and detections of a class there are."""
    difficult = [flag for _, flags in images.values() for flag in flags]
    return {
        "objects": len(difficult),
        "difficult": int(sum(difficult)),
        "detections": len(detections[0]),
    }


def _other_files(results, set_name, classes, competition):
    """Names of result files of the set for classes that have nothing to be found."""
    start, end = result_files.file_name(set_name, "\0", competition).split("\0")
    scored = {result_files.file_name(set_name, name, competition) for name in classes}
    return [
        name
        for name in sorted(os.listdir(results))
        if name.startswith(start) and name.endswith(end) and name not in scored
    ]


def table(report):
    """The report as lines of text: a class a line, percentages, then the means."""
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


def _line(name, cells, width):
    return "  ".join([name.ljust(width), *(f"{cell!s:>10}" for cell in cells)])
