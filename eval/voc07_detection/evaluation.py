"""The detection evaluation from a trunk to metrics.json (paper section 5)."""

import dataclasses
import os

from eval import metrics_file, pictures, trunks
from eval.passes import watched
from eval.training import Training
from eval.trunk_features import TrunkFeatures
from eval.voc07_detection import canvases, dataset, drawing, examples, testing, trainer
from eval.voc07_detection.recalibration import recalibrate
from eval.voc07_detection.score import result_files
from eval.voc07_detection.score.average_precision import mean_average_precision
from selfsup.data import pipeline

RESULTS = "results"
_IOUS = (0.5, 0.75)
_METRIC = "mAP"


def evaluate(settings, folder, stop):
    """Trains and tests a detector, or goes on with it.

    Args:
      settings: an `eval.settings.Settings` with a `Config`.
      folder: of the output, locked.
      stop: a `hybrid.stop.StopSignals` that has been entered.

    Returns:
      whether it came to its end.
    """
    found = dataset.find(settings.data)
    fitted, training = prepare(settings, found, folder, stop)
    if not training.run(stop):
        return False
    tested = testing.run(fitted.detector, found, settings.config, stop)
    if tested is None:
        return False
    _write(folder, settings, found, fitted.detector, training.notes, tested)
    return True


def prepare(settings, found, folder, stop):
    """(the `DetectorTrainer`, its `Training`) at their newest checkpoint or their start."""
    config = settings.config
    pretrained = trunks.load_for(settings, canvases.STRIDE)
    features = TrunkFeatures(pretrained.trunk, trainer.NAME, settings.lasso)
    detector = trainer.build(pretrained, features, found, settings)
    fitted = trainer.DetectorTrainer(detector, config, settings.seed)
    notes = {
        "trunk": {**pretrained.description, "block4": pretrained.block4 is not None},
        "data": found.description(),
    }
    training = Training(
        folder,
        trainer.NAME,
        step=fitted.step,
        batches=trainer.batches(found, settings),
        batch_size=config.batch_size,
        steps=config.steps,
        trackable=fitted,
        notes=notes,
    )
    if not training.resume():
        _recalibrate(detector, found, settings, stop)
    return fitted, training


def _recalibrate(detector, found, settings, stop):
    stream = pipeline.record_stream(found.trainval, settings.seed, 0)
    count = min(settings.config.recalibration_images, found.trainval.records)
    images = stream.take(count).map(_without_stand_in)
    batches = examples.whole(images, settings.config)
    images = (batch["image"] for batch in batches)
    shown = watched(images, "images for batch norm", count, stop)
    recalibrate(detector, shown, settings.config)


def _without_stand_in(serialized, _):
    return serialized


def _write(folder, settings, found, detector, notes, tested):
    """Writes all that is left of the run, metrics.json last."""
    result_files.write(os.path.join(folder, RESULTS), dataset.TEST, tested.detections)
    drawing.write(
        os.path.join(pictures.folder(folder), "detections.png"), found, tested
    )
    pictures.save_curves(folder, ("loss", "class_loss", "box_loss"))
    metrics, precisions = {}, {}
    for iou in _IOUS:
        mean, of_class = mean_average_precision(tested.detections, tested.truth, iou)
        metrics[f"{_METRIC}_{iou}"] = mean
        precisions[str(iou)] = of_class
    metrics_file.write(
        folder,
        evaluation=trainer.NAME,
        headline=f"{_METRIC}_{_IOUS[0]}",
        metrics=metrics,
        trunk=notes["trunk"],
        settings=dataclasses.asdict(settings),
        data=found.description(),
        details={"average_precision": precisions},
        alpha=detector.features.alpha(),
    )
