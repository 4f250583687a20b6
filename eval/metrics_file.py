"""metrics.json: one schema for all evaluations; docs/evaluations.md has its table."""

import json
import math
import os

from selfsup.common import files, versions
from selfsup.common.errors import UserError

FILE_NAME = "metrics.json"
FORMAT = "selfsup-metrics"
VERSION = 1

_PACKAGES = ("selfsup", "tensorflow", "tf-models-official")
_FIELDS = {
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


def write(folder, *, evaluation, headline, metrics, trunk, settings, data, **optional):
    """Writes the metrics of a finished evaluation, atomically.

    Args:
      folder: of the evaluation's output.
      evaluation: its name, such as "imagenet_linear".
      headline: key in `metrics` of the number that the paper's charts show.
      metrics: dict of finite floats by name; docs/evaluations.md gives units.
      trunk: `Pretrained.description`.
      settings: dict of JSON types: the resolved settings.
      data: dict of JSON types: which set, kind, splits and counts were used.
      **optional: "details", a dict of JSON types (such as values per class), and
        "alpha", the evaluation's row as a list of floats.
    """
    fields = {
        "evaluation": evaluation,
        "headline": headline,
        "metrics": {name: float(value) for name, value in metrics.items()},
        "details": optional.pop("details", {}),
        "trunk": trunk,
        "alpha": optional.pop("alpha", None),
        "settings": settings,
        "data": data,
        "versions": versions.installed(_PACKAGES),
    }
    if optional:
        raise TypeError(f"unknown fields: {', '.join(optional)}")
    path = os.path.join(folder, FILE_NAME)
    _check(path, fields)
    content = {"format": FORMAT, "version": VERSION, **fields}
    files.write_atomically(path, json.dumps(content, indent=1, allow_nan=False))


def read(folder):
    """The fields of the metrics file in `folder`: dict.

    Raises:
      UserError: when there is none, or it is of another schema.
    """
    path = os.path.join(folder, FILE_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        found = (fields.pop("format"), fields.pop("version"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the metrics of an evaluation: {error}") from error
    if found != (FORMAT, VERSION):
        raise UserError(f"{path}: is {found}, expected {(FORMAT, VERSION)}")
    _check(path, fields)
    return fields


def _check(path, fields):
    """Raises UserError where `fields` does not follow the schema."""
    if set(fields) != set(_FIELDS):
        raise UserError(
            f"{path}: has the fields {', '.join(sorted(fields))}; expected "
            f"{', '.join(sorted(_FIELDS))}"
        )
    for name, kind in _FIELDS.items():
        if not isinstance(fields[name], kind):
            raise UserError(
                f"{path}: {name} is {type(fields[name]).__name__}, expected {kind}"
            )
    metrics = fields["metrics"]
    wrong = [
        name
        for name, value in metrics.items()
        if not (isinstance(value, (int, float)) and math.isfinite(value))
    ]
    if wrong or fields["headline"] not in metrics:
        raise UserError(
            f"{path}: metrics have to be finite numbers with the headline "
            f"{fields['headline']!r} among them; got {metrics}"
        )
