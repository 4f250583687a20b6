"""The folder format of exported trunks: writes exports and loads their parts.

An export is a folder:

    saved_model.pb, variables/, ...   SavedModel, see `saved_model`
    trunk.onnx                        on request, see `onnx_model`
    keras/config.json                 configuration, unit weights, checksums
    keras/<part>.weights.h5           Keras weights of trunk, block4, logits
    model_card.json, MODEL_CARD.md    origin of the trunk, see `model_card`

The SavedModel has a fixed output stride and needs only TensorFlow. The Keras weights
rebuild the trunk at any output stride.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from selfsup.common import files
from selfsup.common.errors import UserError, error_reason
from selfsup.export import model_card, onnx_model, saved_model
from selfsup.trunk import build_tail, build_trunk
from selfsup.trunk.classifier import Classifier
from selfsup.trunk.trunk import TrunkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from selfsup.keras import keras
    from selfsup.trunk.trunk import Tail, Trunk

FORMAT = "selfsup-trunk"
VERSION = 1

_KERAS = "keras"
_CONFIG = "config.json"


def save(
    directory: str | os.PathLike[str],
    trunk: Trunk,
    *,
    block4: Tail | None = None,
    logits: Classifier | None = None,
    heads: Mapping[str, keras.layers.Layer] | None = None,
    unit_weights: Mapping[str, npt.ArrayLike] | None = None,
    card: Mapping[str, Any],
    output_stride: int | None = None,
    overwrite: bool = False,
    onnx: bool = False,
) -> None:
    """Writes an export. If this fails, `directory` stays as it was.

    The SavedModel computes in float32, also for a trunk with mixed precision.

    Args:
      directory: folder that does not exist or is empty, unless `overwrite`.
      trunk: the trunk.
      block4: tail on top of the trunk, or None.
      logits: classifier on top of the tail, or None.
      heads: heads in float32 by task, for the SavedModel only, or None.
      unit_weights: row of alpha (equation 1) by task, [M] each, or None.
      card: JSON object of facts for the model card; see `model_card.complete`.
      output_stride: that of the SavedModel; None for the trunk's own.
      overwrite: whether to replace an export in `directory`.
      onnx: whether to write the trunk as an ONNX model, too.

    Raises:
      UserError: if `check_output` refuses `directory`, or the packages that write ONNX
        are not installed.
    """
    directory = os.path.abspath(directory)
    check_output(directory, overwrite)
    if onnx:
        onnx_model.check_installed()
    config = dataclasses.replace(
        trunk.config,
        output_stride=output_stride or trunk.config.output_stride,
        mixed_precision=False,
    )
    parts: dict[str, keras.Model] = {"trunk": _copy_weights(trunk, build_trunk(config))}
    if block4 is not None:
        parts["block4"] = _copy_weights(block4, build_tail(config))
    if logits is not None:
        parts["logits"] = logits
    rows = {
        task: np.asarray(row, np.float32) for task, row in (unit_weights or {}).items()
    }
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    with files.replace_folder(directory) as partial:
        _write_keras(os.path.join(partial, _KERAS), parts, rows)
        saved_model.write(partial, **parts, heads=heads, unit_weights=rows)
        if onnx:
            path = os.path.join(partial, onnx_model.FILE_NAME)
            onnx_model.write(path, parts["trunk"])
        _write_card(partial, model_card.complete(card, {**parts, **(heads or {})}))


def check_output(directory: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Checks that `save` can write to a folder; call this before long computations.

    Args:
      directory: folder of the export.
      overwrite: whether an export in `directory` may be replaced.

    Raises:
      UserError: if `directory` is a file, or has files and may not be replaced.
    """
    if os.path.isfile(directory):
        raise UserError(f"{directory}: is a file; expected a folder for the export")
    if not os.path.isdir(directory) or not os.listdir(directory):
        return
    if not overwrite:
        raise UserError(f"{directory}: already exists and is not empty")
    # Overwriting deletes the folder, so it must not contain anything but an export.
    if not os.path.isfile(os.path.join(directory, model_card.JSON_NAME)):
        raise UserError(
            f"{directory}: not overwritten, because it is not an export (it has no "
            f"{model_card.JSON_NAME})"
        )


def load_trunk(
    directory: str | os.PathLike[str],
    output_stride: int | None = None,
    mixed_precision: bool = False,
) -> Trunk:
    """Rebuilds the Keras trunk of an export.

    Args:
      directory: folder of the export.
      output_stride: default output stride of the trunk; None for the export's.
      mixed_precision: whether the trunk computes in bfloat16.

    Raises:
      UserError: if the folder is not an export, or a file is missing or damaged.
    """
    stored = _StoredConfig.read(directory)
    trunk = build_trunk(stored.trunk_config(output_stride, mixed_precision))
    stored.load_weights("trunk", trunk)
    return trunk


def load_block4(
    directory: str | os.PathLike[str],
    output_stride: int | None = None,
    mixed_precision: bool = False,
) -> Tail:
    """Rebuilds the Keras tail (block 4 of a ResNet) of an export.

    Args:
      directory, output_stride, mixed_precision: see `load_trunk`.

    Raises:
      UserError: if the folder is not an export, it has no tail, or a file is missing
        or damaged.
    """
    stored = _StoredConfig.read(directory)
    block4 = build_tail(stored.trunk_config(output_stride, mixed_precision))
    stored.load_weights("block4", block4)
    return block4


def load_logits(directory: str | os.PathLike[str]) -> Classifier:
    """Rebuilds the Keras classifier of an export.

    Raises:
      UserError: if the folder is not an export, it has no classifier, or a file is
        missing or damaged.
    """
    stored = _StoredConfig.read(directory)
    logits = Classifier(**stored.logits_arguments())
    stored.load_weights("logits", logits)
    return logits


def part_names(directory: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the names of the parts in an export: "trunk", "block4", "logits".

    Raises:
      UserError: if the folder is not an export.
    """
    return _StoredConfig.read(directory).part_names


def load_unit_weights(
    directory: str | os.PathLike[str],
) -> dict[str, npt.NDArray[np.float32]]:
    """Returns the rows of alpha (equation 1) by task, [M] each; empty without lasso.

    Raises:
      UserError: if the folder is not an export.
    """
    rows = _StoredConfig.read(directory).fields["unit_weights"]
    return {task: np.array(row, np.float32) for task, row in rows.items()}


def load_card(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the model card of an export, a JSON object.

    Raises:
      UserError: if the folder has no readable model card.
    """
    return _read_json(os.path.join(directory, model_card.JSON_NAME))


@dataclasses.dataclass(frozen=True)
class _StoredConfig:
    """The file keras/config.json of an export.

    Attributes:
      directory: folder of the export.
      fields: JSON object: "trunk", "logits", "unit_weights", and the file name and
        checksum of each part in "weights".
    """

    directory: str
    fields: dict[str, Any]

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> _StoredConfig:
        """Reads the file; raises UserError if it is not of this format and version."""
        path = os.path.join(directory, _KERAS, _CONFIG)
        fields = _read_json(path)
        stored = (fields.get("format"), fields.get("version"))
        if stored != (FORMAT, VERSION):
            raise UserError(
                f"{path}: format and version are {stored}, expected {(FORMAT, VERSION)}"
            )
        return cls(os.fspath(directory), fields)

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the parts that have weights."""
        return tuple(self.fields["weights"])

    def trunk_config(
        self, output_stride: int | None, mixed_precision: bool
    ) -> TrunkConfig:
        """Config of trunk and tail; output stride None is the export's."""
        fields = {**self.fields["trunk"], "mixed_precision": mixed_precision}
        if output_stride is not None:
            fields["output_stride"] = output_stride
        return TrunkConfig(**fields)

    def logits_arguments(self) -> dict[str, Any]:
        """Arguments of the classifier; raises UserError if the export has none."""
        self._check_part("logits")
        arguments: dict[str, Any] = self.fields["logits"]
        return arguments

    def load_weights(self, part: str, model: keras.Model) -> None:
        """Loads the weights of a part; raises UserError if missing or damaged."""
        self._check_part(part)
        stored = self.fields["weights"][part]
        path = os.path.join(self.directory, _KERAS, stored["file"])
        try:
            intact = files.sha256(path) == stored["sha256"]
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error
        if not intact:
            raise UserError(
                f"{path}: damaged: its SHA-256 checksum differs from that in {_CONFIG}"
            )
        model.load_weights(path)

    def _check_part(self, part: str) -> None:
        """Raises UserError unless the export has a part."""
        if part not in self.part_names:
            raise UserError(
                f"{self.directory}: this export has no {part}; it has "
                f"{', '.join(self.part_names)}"
            )


def _copy_weights(source: keras.Model, target: keras.Model) -> keras.Model:
    """Sets the weights of `target` to those of `source` and returns `target`."""
    target.set_weights(source.get_weights())
    return target


def _write_keras(
    folder: str,
    parts: Mapping[str, keras.Model],
    unit_weights: Mapping[str, npt.NDArray[np.float32]],
) -> None:
    """Writes the Keras weights of all parts and their configuration."""
    os.makedirs(folder)
    config: dict[str, Any] = {
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


def _write_card(directory: str, card: Mapping[str, Any]) -> None:
    """Writes the complete model card as JSON and as Markdown."""
    _write_json(os.path.join(directory, model_card.JSON_NAME), card)
    path = os.path.join(directory, model_card.MARKDOWN_NAME)
    # Paths on the card may contain bytes that are not UTF-8.
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(model_card.render(card))


def _write_json(path: str, value: Mapping[str, Any]) -> None:
    """Writes a JSON object to a file."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)


def _read_json(path: str) -> dict[str, Any]:
    """Reads a JSON object from a file of an export.

    Raises:
      UserError: if the file is missing or is not JSON.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value: dict[str, Any] = json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as a file of an exported trunk: {error_reason(error)}"
        ) from error
    return value
