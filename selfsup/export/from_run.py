"""From a pretraining run to an exported trunk."""

import json
import os

from selfsup.common import config_file
from selfsup.data import manifest, pipeline
from selfsup.export import trunk_export
from selfsup.pretraining import reports, restoring, training_run
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm

RECALIBRATION_SIZE = 224
RECALIBRATION_BATCH = 32


def export_run(
    model_dir,
    output,
    *,
    checkpoint=None,
    output_stride=8,
    recalibrate_on=None,
    recalibration_images=1024,
    overwrite=False,
):
    """Exports a run's trunk, and of the ImageNet baseline block 4 and logits.

    Arguments as `launch.export`'s flags.

    Raises:
      UserError: for a run, a checkpoint or a data set that is not there.
    """
    trunk_export.check_free(output, overwrite)
    pretrained = restoring.restore(model_dir, checkpoint)
    recalibrated = None
    if recalibrate_on:
        recalibrated = recalibrate(
            pretrained, recalibrate_on, recalibration_images, output_stride
        )
    card = _card(model_dir, pretrained, recalibrated)
    trunk_export.save(
        output,
        pretrained.trunk,
        **pretrained.parts,
        unit_weights=pretrained.unit_weights,
        card=card,
        output_stride=output_stride,
        overwrite=overwrite,
    )


def recalibrate(pretrained, data_dir, images, output_stride):
    """Measures BN statistics of trunk and block 4 anew on a built set's training photos.

    They depend on the output stride, so it has to be that of the later use.

    Returns:
      dict of what they were measured on, for the model card.
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


def _held_out(model_dir, checkpoint):
    """Held-out numbers of a finished run's last checkpoint: dict of dicts by task.

    Empty for other checkpoints, and for a run that goes on.
    """
    path = os.path.join(model_dir, reports.VALIDATION)
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


def _card(model_dir, pretrained, recalibrated):
    config = config_file.read(model_dir)
    state = pretrained.state
    with open(os.path.join(model_dir, training_run.DATA), encoding="utf-8") as file:
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
        "batch_norm_recalibration": recalibrated,
    }
