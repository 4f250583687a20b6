"""Saves a trunk for everybody's use, and rebuilds it from what was saved.

An export is one folder:

    saved_model.pb, variables/, ...   SavedModel, see `saved_model`
    keras/config.json                 configuration, unit weights, checksums
    keras/<part>.weights.h5           Keras weights of trunk, block4, logits
    model_card.json, MODEL_CARD.md    where it comes from

The SavedModel has one output stride and needs nothing but TensorFlow; the Keras
weights rebuild the trunk at any stride.
"""

import dataclasses
import json
import os

import numpy as np

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.export import model_card, saved_model
from selfsup.trunk.block4 import Block4, Classifier
from selfsup.trunk.resnet_v2 import Trunk, TrunkConfig

FORMAT = "selfsup-trunk"
VERSION = 1

_KERAS = "keras"
_CONFIG = "config.json"


def save(
    directory,
    trunk,
    *,
    block4=None,
    logits=None,
    unit_weights=None,
    card,
    output_stride=None,
    overwrite=False,
):
    """Writes an export, all or nothing.

    The SavedModel computes in float32 whatever the trunk's precision.

    Args:
      directory: must not exist, or be empty, unless `overwrite`.
      trunk: a `Trunk`.
      block4: a `Block4`, or None.
      logits: a `Classifier`, or None.
      unit_weights: dict task -> [M] row of alpha, or None.
      card: dict for the model card; see `model_card.complete`.
      output_stride: of the SavedModel; the trunk's own when None.
      overwrite: whether to replace what is there.

    Raises:
      UserError: when `directory` is taken.
    """
    directory = os.path.abspath(directory)
    check_free(directory, overwrite)
    config = dataclasses.replace(
        trunk.config,
        output_stride=output_stride or trunk.config.output_stride,
        mixed_precision=False,
    )
    parts = {"trunk": _copy(trunk, Trunk(config))}
    if block4 is not None:
        parts["block4"] = _copy(block4, Block4(config))
    if logits is not None:
        parts["logits"] = logits
    rows = {
        task: np.asarray(row, np.float32) for task, row in (unit_weights or {}).items()
    }
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    with files.replace_folder(directory) as partial:
        _write_keras(os.path.join(partial, _KERAS), parts, rows)
        saved_model.write(partial, **parts, unit_weights=rows)
        _write_card(partial, model_card.complete(card, parts))


def load_trunk(directory, output_stride=None, mixed_precision=False):
    """Rebuilds the Keras `Trunk` of an export.

    Args:
      directory: of the export.
      output_stride: default stride of the new trunk; the export's when None.
      mixed_precision: whether it computes in bfloat16.

    Raises:
      UserError: when the folder is no export, or a file is missing or damaged.
    """
    stored = _read_config(directory)
    trunk = Trunk(_trunk_config(stored, output_stride, mixed_precision))
    return _load_weights(directory, stored, "trunk", trunk)


def load_block4(directory, output_stride=None, mixed_precision=False):
    """Rebuilds the `Block4` of an export; as `load_trunk`.

    Raises:
      UserError: also when the export has none.
    """
    stored = _read_config(directory)
    block4 = Block4(_trunk_config(stored, output_stride, mixed_precision))
    return _load_weights(directory, stored, "block4", block4)


def load_logits(directory):
    """Rebuilds the `Classifier` of an export; as `load_block4`."""
    stored = _read_config(directory)
    _weights_file(directory, stored, "logits")
    logits = Classifier(**stored["logits"])
    return _load_weights(directory, stored, "logits", logits)


def part_names(directory):
    """Names of what an export holds: "trunk", and "block4", "logits" where present."""
    return tuple(_read_config(directory)["weights"])


def load_unit_weights(directory):
    """dict task -> float32 [M] of an export; empty when none were learned."""
    rows = _read_config(directory)["unit_weights"]
    return {task: np.array(row, np.float32) for task, row in rows.items()}


def load_card(directory):
    """The model card's dict."""
    return _read_json(os.path.join(directory, model_card.JSON_NAME))


def _copy(source, target):
    target.set_weights(source.get_weights())
    return target


def check_free(directory, overwrite=False):
    """Raises UserError where `save` would refuse the folder: ask before long work."""
    if os.path.isfile(directory):
        raise UserError(f"{directory}: is a file, expected a folder to export to")
    if not os.path.isdir(directory) or not os.listdir(directory):
        return
    if not overwrite:
        raise UserError(f"{directory}: already exists and is not empty")
    # What is replaced is deleted: never anything but an earlier export.
    if not os.path.isfile(os.path.join(directory, model_card.JSON_NAME)):
        raise UserError(f"{directory}: is no export, so it is not overwritten")


def _write_keras(folder, parts, unit_weights):
    os.makedirs(folder)
    config = {
        "format": FORMAT,
        "version": VERSION,
        "trunk": dataclasses.asdict(parts["trunk"].config),
        "unit_weights": {task: row.tolist() for task, row in unit_weights.items()},
        "weights": {},
    }
    if "logits" in parts:
        config["logits"] = parts["logits"].get_config()
    for name, part in parts.items():
        file = f"{name}.weights.h5"
        path = os.path.join(folder, file)
        part.save_weights(path)
        config["weights"][name] = {"file": file, "sha256": files.sha256(path)}
    _write_json(os.path.join(folder, _CONFIG), config)


def _write_card(directory, card):
    _write_json(os.path.join(directory, model_card.JSON_NAME), card)
    path = os.path.join(directory, model_card.MARKDOWN_NAME)
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(model_card.render(card))


def _write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)


def _read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not readable, expected a file of an exported trunk: {error}"
        ) from error


def _read_config(directory):
    path = os.path.join(directory, _KERAS, _CONFIG)
    stored = _read_json(path)
    found = (stored.get("format"), stored.get("version"))
    if found != (FORMAT, VERSION):
        raise UserError(f"{path}: is {found}, expected {(FORMAT, VERSION)}")
    return stored


def _trunk_config(stored, output_stride, mixed_precision):
    config = TrunkConfig(**{**stored["trunk"], "mixed_precision": mixed_precision})
    if output_stride is None:
        return config
    return dataclasses.replace(config, output_stride=output_stride)


def _weights_file(directory, stored, part):
    if part not in stored["weights"]:
        raise UserError(
            f"{directory}: this export has no {part}; it has "
            f"{', '.join(stored['weights'])}"
        )
    return os.path.join(directory, _KERAS, stored["weights"][part]["file"])


def _load_weights(directory, stored, part, model):
    path = _weights_file(directory, stored, part)
    try:
        intact = files.sha256(path) == stored["weights"][part]["sha256"]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if not intact:
        raise UserError(f"{path}: damaged, its checksum is not the one recorded")
    model.load_weights(path)
    return model
