"""The depth evaluation from a trunk to metrics.json (paper section 5)."""

import dataclasses
import os

import tensorflow as tf

from eval import metrics_file, pictures, trunks
from eval.nyuv2_depth import drawing, network, testing
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_depth.trainer import DepthTrainer
from eval.passes import watched
from eval.training import TENSORBOARD, Training
from eval.trunk_features import TrunkFeatures
from selfsup.common import files
from selfsup.keras import keras
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm

NAME = "nyuv2_depth"
HEADLINE = "under_1.25"
PREDICTIONS = "predictions.npz"


def evaluate(settings, folder, stop):
    """Trains and tests a depth network, or goes on with it.

    Args:
      settings: an `eval.settings.Settings` with a `Config`.
      folder: of the output, locked.
      stop: a `hybrid.stop.StopSignals` that has been entered.

    Returns:
      whether it came to its end.
    """
    data = DepthDataset(settings.data, settings.config)
    settings = _with_steps(settings, data.train.records)
    trainer, training = _prepare(settings, data, folder)
    if not training.run(stop):
        return False
    count, batches = data.calibration_batches(settings.seed)
    recalibrate_batch_norm(
        trainer.network,
        watched(batches, "images for batch norm", count, stop),
        output_stride=network.OUTPUT_STRIDE,
    )
    tested = testing.run(trainer.network, data, settings.config, stop)
    if tested is None:
        return False
    _write(folder, settings, data, trainer.network, training.notes, tested)
    return True


def _with_steps(settings, frames):
    """`settings` with the number of steps, which it tells: it depends on the data."""
    config = settings.config.with_steps(frames)
    epochs = config.steps * config.batch_size / frames
    print(
        f"training: {config.steps} steps of {config.batch_size} frames are {epochs:.3g} "
        f"epochs of the {frames} there are",
        flush=True,
    )
    return dataclasses.replace(settings, config=config)


def _prepare(settings, data, folder):
    """(the `DepthTrainer`, its `Training`) at their newest checkpoint or their start."""
    config = settings.config
    pretrained = trunks.load_for(settings, network.OUTPUT_STRIDE)
    # The decoder is the same for all trunks of a depth that are compared.
    keras.utils.set_random_seed(settings.seed + 2)
    features = TrunkFeatures(pretrained.trunk, NAME, settings.lasso)
    trainer = DepthTrainer(
        network.DepthNetwork(features, config.channels, config.dropout),
        config,
        settings.seed,
    )
    training = Training(
        folder,
        NAME,
        step=trainer.step,
        batches=lambda position: data.batches(position, settings.seed),
        batch_size=config.batch_size,
        steps=config.steps,
        trackable=trainer,
        notes={"trunk": pretrained.description, "data": data.description},
    )
    training.resume()
    return trainer, training


def _write(folder, settings, data, depth_network, notes, tested):
    """Writes all that is left of the run, metrics.json last."""
    metrics = tested.metrics.result()
    testing.save_predictions(os.path.join(folder, PREDICTIONS), tested)
    picture = drawing.draw(tested.shown) if tested.shown else None
    if picture:
        path = os.path.join(pictures.folder(folder), "depth.png")
        files.write_atomically(path, picture)
    pictures.save_curves(folder, ("loss",))
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
