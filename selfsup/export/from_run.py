"""Exports the trunk of a pretraining run."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from selfsup.common import config_file
from selfsup.data import manifest, pipeline
from selfsup.export import onnx_model, trunk_export
from selfsup.pretraining import pretrained_trunk, reporter, training_data
from selfsup.tasks import task_class
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm

if TYPE_CHECKING:
    from selfsup.pretraining.pretrained_trunk import PretrainedTrunk

RECALIBRATION_SIZE = 224
RECALIBRATION_BATCH = 32


def export_run(
    model_dir: str,
    output: str,
    *,
    checkpoint: str | None = None,
    output_stride: int = 8,
    recalibrate_on: str | None = None,
    recalibration_images: int = 1024,
    overwrite: bool = False,
    onnx: bool = False,
) -> None:
    """Exports the trunk of a run, and what its tasks export of their heads.

    Those are a tail and a classifier ("block4", "logits") and whole heads; see
    `Task.exported_parts`.

    Args:
      model_dir: folder of the run.
      output: folder of the export, which does not exist or is empty, unless
        `overwrite`.
      checkpoint: name of a checkpoint or snapshot; None for the newest checkpoint.
      output_stride: that of the exported SavedModel.
      recalibrate_on: folder of a built data set on whose photos batch normalisation is
        recalibrated. None keeps the moving averages of training.
      recalibration_images: maximum number of these photos.
      overwrite: whether to replace an export in `output`.
      onnx: whether to write the trunk as an ONNX model, too.

    Raises:
      UserError: if the run, the checkpoint or the data set does not exist or cannot be
        read, `trunk_export.check_output` refuses `output`, or the packages that write
        ONNX are not installed.
    """
    trunk_export.check_output(output, overwrite)
    if onnx:
        onnx_model.check_installed()
    pretrained = pretrained_trunk.load(model_dir, checkpoint)
    recalibration = None
    if recalibrate_on:
        recalibration = recalibrate(
            pretrained, recalibrate_on, recalibration_images, output_stride
        )
    card = _card(model_dir, pretrained, recalibration)
    trunk_export.save(
        output,
        pretrained.trunk,
        **pretrained.parts,
        heads=pretrained.heads,
        unit_weights=pretrained.unit_weights,
        card=card,
        output_stride=output_stride,
        overwrite=overwrite,
        onnx=onnx,
    )


def recalibrate(
    pretrained: PretrainedTrunk, data_dir: str, images: int, output_stride: int
) -> dict[str, str | int]:
    """Recalibrates batch normalisation of trunk and block 4 on a built data set.

    Args:
      pretrained: the parts of a run; their moving statistics change.
      data_dir: folder of the data set, whose training photos are used.
      images: maximum number of photos.
      output_stride: that of the later use, on which the statistics depend.

    Returns:
      JSON object for the model card: "data", "images" and "size".

    Raises:
      UserError: if there is no data set in `data_dir`, or activations are not finite.
    """
    sets = pipeline.select_sets(("image",), manifest.find(data_dir))
    source = pipeline.DatasetSplit(sets, "train")
    images = min(images, source.records)
    crops = pipeline.plain_images(source, RECALIBRATION_SIZE, RECALIBRATION_BATCH)
    batches = crops.unbatch().take(images).batch(RECALIBRATION_BATCH)
    recalibrate_batch_norm(
        pretrained.trunk,
        batches,
        block4=pretrained.parts.get("block4"),
        output_stride=output_stride,
    )
    return {"data": data_dir, "images": images, "size": RECALIBRATION_SIZE}


def _held_out(model_dir: str, checkpoint: str) -> dict[str, dict[str, float]]:
    """Held-out metrics of a checkpoint, by task and name.

    A run measures them when it finishes, for its last checkpoint. The result is empty
    for other checkpoints and for an unfinished run.
    """
    path = os.path.join(model_dir, reporter.VALIDATION_FILE)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        measured = json.load(file)
    if measured.get("checkpoint") != checkpoint:
        return {}
    return {
        task: {name: round(value, 4) for name, value in values.items()}
        for task, values in measured["held_out"].items()
    }


def _card(
    model_dir: str,
    pretrained: PretrainedTrunk,
    recalibration: dict[str, str | int] | None,
) -> dict[str, Any]:
    """Facts about a run for the model card, a JSON object."""
    config = config_file.read(model_dir)
    state = pretrained.state
    with open(
        os.path.join(model_dir, training_data.FILE_NAME), encoding="utf-8"
    ) as file:
        data = json.load(file)
    return {
        "held_out": _held_out(model_dir, pretrained.checkpoint),
        "tasks": {
            name: {**counters, "config": config["tasks"][name]}
            for name, counters in state["groups"].items()
        },
        "checkpoint": pretrained.checkpoint,
        "cost": {
            "unit": "seconds of step time, or GPU hours where the preset gives costs",
            "total": round(state["cost"], 3),
            "per_step": {name: round(c, 6) for name, c in state["step_costs"].items()},
        },
        "config": {key: value for key, value in config.items() if key != "tasks"},
        "data": data,
        "batch_norm_recalibration": recalibration,
        **_heads_facts(pretrained),
    }


def _heads_facts(pretrained: PretrainedTrunk) -> dict[str, dict[str, str]]:
    """What the exported heads read, for the model card; empty without heads."""
    facts = {}
    for name in pretrained.heads:
        stride = task_class(name).output_stride
        facts[name] = f"reads features at output stride {stride}"
        if name in pretrained.unit_weights:
            facts[name] += f", combined with alpha[{name!r}]"
    return {"heads": facts} if facts else {}
