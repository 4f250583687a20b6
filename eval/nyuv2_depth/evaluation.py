"""The depth evaluation from a trunk to metrics.json (paper section 5)."""

import dataclasses
import os

import tensorflow as tf

from eval import metrics_file, trunks
from eval.nyuv2_depth import network, pictures, testing
from eval.nyuv2_depth.examples import Data
from eval.nyuv2_depth.fitting import Fitting
from eval.training import TENSORBOARD, Training
from eval.trunk_features import TrunkFeatures
from selfsup.errors import UserError
from selfsup.trunk.batch_norm import recalibrate_batch_norm

NAME = "nyuv2_depth"
HEADLINE = "under_1.25"
PREDICTIONS = "predictions.npz"
PICTURES = "pictures"


def evaluate(settings, folder, stop):
    """Trains and tests a depth network, or goes on with it.

    Args:
      settings: an `eval.settings.Settings` with a `Config`.
      folder: of the output, locked.
      stop: a `hybrid.stop.StopSignals` that has been entered.

    Returns:
      whether it came to its end.
    """
    data = Data(settings.data, settings.config)
    fitting, training = _prepare(settings, data, folder)
    if not training.run(stop):
        return False
    recalibrate_batch_norm(
        fitting.network,
        data.calibration_batches(settings.seed),
        output_stride=network.OUTPUT_STRIDE,
    )
    tested = testing.run(fitting.network, data, settings.config, stop)
    if tested is None:
        return False
    _write(folder, settings, data, fitting.network, training.notes, tested)
    return True


def _prepare(settings, data, folder):
    """(the `Fitting`, its `Training`) at their newest checkpoint or their start."""
    config = settings.config
    pretrained = trunks.load_for(settings, network.OUTPUT_STRIDE)
    # The decoder is the same for all trunks of a depth that are compared.
    tf.keras.utils.set_random_seed(settings.seed + 2)
    features = TrunkFeatures(pretrained.trunk, NAME, settings.lasso)
    fitting = Fitting(
        network.DepthNetwork(features, config.channels, config.dropout),
        config,
        settings.seed,
    )
    training = Training(
        folder,
        NAME,
        step=fitting.step,
        batches=lambda position: data.batches(position, settings.seed),
        batch_size=config.batch_size,
        steps=config.steps,
        trackable=fitting,
        notes={"trunk": pretrained.description, "data": data.description},
    )
    if training.resume():
        _check_data(training.notes["data"], data.description, folder)
    return fitting, training


def _check_data(old, new, folder):
    if old["sha256"] != new["sha256"]:
        raise UserError(
            f"{folder}: was begun on other data ({_sizes(old)}) than there is now "
            f"({_sizes(new)}); give another --output, or the same --data"
        )


def _sizes(description):
    counts = [description[part]["images"] for part in ("train", "test")]
    return f"{counts[0]} + {counts[1]} images, checksum {description['sha256'][:12]}"


def _write(folder, settings, data, depth_network, notes, tested):
    """Writes all that is left of the run, metrics.json last."""
    metrics = tested.metrics.result()
    testing.save_predictions(os.path.join(folder, PREDICTIONS), tested)
    picture = pictures.draw(tested.shown) if tested.shown else None
    if picture:
        os.makedirs(os.path.join(folder, PICTURES), exist_ok=True)
        pictures.save(os.path.join(folder, PICTURES, "depth.png"), picture)
    _summarise(folder, settings.config.steps, metrics, picture)
    metrics_file.write(
        folder,
        evaluation=NAME,
        headline=HEADLINE,
        metrics=metrics,
        trunk=notes["trunk"],
        settings=dataclasses.asdict(settings),
        data=data.description,
        details={"pixels": tested.metrics.pixels, "predictions": PREDICTIONS},
        alpha=depth_network.features.alpha(),
    )


def _summarise(folder, step, metrics, picture):
    """The test's numbers and picture for TensorBoard, beside the training's curves."""
    writer = tf.summary.create_file_writer(os.path.join(folder, TENSORBOARD))
    with writer.as_default(step):
        for name, value in metrics.items():
            tf.summary.scalar(f"{NAME}/test/{name}", value)
        if picture:
            tf.summary.image(f"{NAME}/test", tf.io.decode_png(picture)[None])
    writer.close()
