"""The detection evaluation from a trunk to metrics.json (paper section 5)."""

import dataclasses
import os

from eval import metrics_file, trunks
from eval.training import Training
from eval.trunk_features import TrunkFeatures
from eval.voc07_detection import canvases, dataset, examples, fitting, pictures, testing
from eval.voc07_detection.recalibration import recalibrate
from eval.voc07_detection.score import result_files
from eval.voc07_detection.score.average_precision import mean_average_precision
from selfsup.data import pipeline
from selfsup.errors import UserError

RESULTS = "results"
PICTURES = "pictures"
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
    fitted, training = prepare(settings, found, folder)
    if not training.run(stop):
        return False
    tested = testing.run(fitted.detector, found, settings.config, stop)
    if tested is None:
        return False
    _write(folder, settings, found, fitted.detector, training.notes, tested)
    return True


def prepare(settings, found, folder):
    """(the `Fitting`, its `Training`) at their newest checkpoint or their start."""
    config = settings.config
    pretrained = trunks.load_for(settings, canvases.STRIDE)
    features = TrunkFeatures(pretrained.trunk, fitting.NAME, settings.lasso)
    detector = fitting.build(pretrained, features, found, settings)
    fitted = fitting.Fitting(detector, config, settings.seed)
    notes = {
        "trunk": {**pretrained.description, "block4": pretrained.block4 is not None},
        "classes": list(found.classes),
    }
    training = Training(
        folder,
        fitting.NAME,
        step=fitted.step,
        batches=fitting.batches(found, settings),
        batch_size=config.batch_size,
        steps=config.steps,
        trackable=fitted,
        notes=notes,
    )
    if training.resume():
        _check_classes(training.notes["classes"], found, folder)
    else:
        _recalibrate(detector, found, settings)
    return fitted, training


def _recalibrate(detector, found, settings):
    stream = pipeline.record_stream(found.trainval, settings.seed, 0)
    count = min(settings.config.recalibration_images, found.trainval.records)
    images = stream.take(count).map(_without_stand_in)
    batches = examples.whole(images, settings.config)
    recalibrate(detector, (batch["image"] for batch in batches), settings.config)


def _without_stand_in(serialized, _):
    return serialized


def _check_classes(old, found, folder):
    if old != list(found.classes):
        raise UserError(
            f"{folder}: was trained on the classes {', '.join(old)}; {found.directory} "
            f"has {', '.join(found.classes)}"
        )


def _write(folder, settings, found, detector, notes, tested):
    """Writes all that is left of the run, metrics.json last."""
    result_files.write(os.path.join(folder, RESULTS), dataset.TEST, tested.detections)
    place = os.path.join(folder, PICTURES)
    os.makedirs(place, exist_ok=True)
    pictures.write(os.path.join(place, "detections.png"), found, tested)
    metrics, precisions = {}, {}
    for iou in _IOUS:
        mean, of_class = mean_average_precision(tested.detections, tested.truth, iou)
        metrics[f"{_METRIC}_{iou}"] = mean
        precisions[str(iou)] = of_class
    metrics_file.write(
        folder,
        evaluation=fitting.NAME,
        headline=f"{_METRIC}_{_IOUS[0]}",
        metrics=metrics,
        trunk=notes["trunk"],
        settings=dataclasses.asdict(settings),
        data=found.description(),
        details={"average_precision": precisions},
        alpha=detector.features.alpha(),
    )
