"""metrics.json: one schema for all evaluations; docs/evaluations.md has its table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import TypedDict, cast

from eval.json_types import JsonObject
from selfsup.common import files, versions
from selfsup.common.errors import UserError, error_reason

FILE_NAME = "metrics.json"
FORMAT = "selfsup-metrics"
VERSION = 1

_PACKAGES = ("selfsup", "tensorflow", "tf-models-official")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "evaluation": str,
    "headline": str,
    "metrics": dict,
    "details": dict,
    "trunk": dict,
    "alpha": (list, type(None)),
    "settings": dict,
    "data": dict,
    "versions": dict,
}


class MetricsFile(TypedDict):
    """The fields of metrics.json, without `format` and `version`.

    Keys:
      evaluation: name of the evaluation, such as "imagenet_linear".
      headline: key in `metrics` of the number that the paper's charts show.
      metrics: finite numbers by name; docs/evaluations.md gives their units.
      details: results that are more than one number, such as values per class.
      trunk: `trunks.Pretrained.description`.
      alpha: the evaluation's row of alpha, or None without the lasso.
      settings: the resolved settings.
      data: the data set, its splits and their sizes.
      versions: versions of this package and of the packages that it builds on.
    """

    evaluation: str
    headline: str
    metrics: dict[str, float]
    details: JsonObject
    trunk: JsonObject
    alpha: list[float] | None
    settings: JsonObject
    data: JsonObject
    versions: dict[str, str]


def write(
    folder: str,
    *,
    evaluation: str,
    headline: str,
    metrics: Mapping[str, float],
    trunk: JsonObject,
    settings: JsonObject,
    data: JsonObject,
    details: JsonObject | None = None,
    alpha: Sequence[float] | None = None,
) -> None:
    """Writes the metrics of a finished evaluation, atomically.

    Args:
      folder: output folder of the evaluation.
      evaluation, headline, metrics, trunk, settings, data, details, alpha: see
        `MetricsFile`. Numbers in `metrics` may be of any type that `float` converts.

    Raises:
      UserError: when a metric is not finite, or the headline is not among the metrics.
    """
    fields = MetricsFile(
        evaluation=evaluation,
        headline=headline,
        metrics={name: float(value) for name, value in metrics.items()},
        details=details or {},
        trunk=trunk,
        alpha=None if alpha is None else list(alpha),
        settings=settings,
        data=data,
        versions=versions.installed(_PACKAGES),
    )
    path = os.path.join(folder, FILE_NAME)
    _check(path, cast(JsonObject, fields))
    content = {"format": FORMAT, "version": VERSION, **fields}
    files.write_atomically(path, json.dumps(content, indent=1, allow_nan=False))


def exists(folder: str) -> bool:
    """Whether the evaluation in `folder` has finished."""
    return os.path.exists(os.path.join(folder, FILE_NAME))


def read(folder: str) -> MetricsFile:
    """Reads the metrics file in `folder`.

    Raises:
      UserError: when the file is missing or has another schema.
    """
    path = os.path.join(folder, FILE_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        schema = (fields.pop("format"), fields.pop("version"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not the metrics of an evaluation: {error_reason(error)}"
        ) from error
    if schema != (FORMAT, VERSION):
        raise UserError(f"{path}: is {schema}, expected {(FORMAT, VERSION)}")
    _check(path, fields)
    return cast(MetricsFile, fields)


def _check(path: str, fields: JsonObject) -> None:
    """Raises a `UserError` if `fields` do not follow the schema."""
    if set(fields) != set(_TYPES):
        raise UserError(
            f"{path}: has the fields {', '.join(sorted(fields))}; expected "
            f"{', '.join(sorted(_TYPES))}"
        )
    for name, expected in _TYPES.items():
        if not isinstance(fields[name], expected):
            raise UserError(
                f"{path}: {name} is {type(fields[name]).__name__}, expected {expected}"
            )
    metrics = fields["metrics"]
    wrong = [
        name
        for name, value in metrics.items()
        if not (isinstance(value, (int, float)) and math.isfinite(value))
    ]
    if wrong or fields["headline"] not in metrics:
        raise UserError(
            f"{path}: metrics must be finite numbers, and the headline "
            f"{fields['headline']!r} must be among them; received {metrics}"
        )
