"""The pass over the test split: depth at the truth's size, and how good it is."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from eval import whole_split
from eval.nyuv2_depth.examples import to_float
from eval.nyuv2_depth.score.depth_metrics import DepthMetrics
from selfsup.progress import Progress


@dataclasses.dataclass(frozen=True)
class Shown:
    """A test image for the pictures.

    Attributes:
      key: its record's key.
      image: uint8 [H, W, 3], as the network saw it.
      truth: float32 [h, w], metres, 0 where unknown.
      predicted: float32 [h, w], metres.
    """

    key: str
    image: Any
    truth: Any
    predicted: Any


def run(network, data, config, predictions, stop):
    """Predicts and measures all test images.

    Args:
      network: a `DepthNetwork`.
      data: an `examples.Data`.
      config: the evaluation's `Config`.
      predictions: an entered `prediction_file.PredictionWriter`.
      stop: a `hybrid.stop.StopSignals`.

    Returns:
      (`DepthMetrics`, [`Shown`, ...]), or None when it was stopped.

    Raises:
      UserError: when a shard is damaged.
    """
    predict = tf.function(
        lambda images: network(to_float(images)), reduce_retracing=True
    )
    metrics, shown, done = DepthMetrics(), [], 0
    wanted = _spread(data.test.records, config.pictures)
    progress = Progress("nyuv2_depth test images", data.test.records)
    with whole_split.damage_explained(data.test), progress:
        for batch in data.test_batches():
            if stop.received is not None:
                return None
            depths = predict(batch["image"])
            for one in _rows(batch, depths):
                metrics.add(one.predicted, one.truth, one.truth > 0)
                predictions.add(one.key, one.predicted)
                if done in wanted:
                    shown.append(one)
                done += 1
            progress.update(done)
    return metrics, shown


@tf.function(reduce_retracing=True)
def upsample(depth, size):
    """Bilinear: float32 [h, w] -> float32 [H, W]; `size` is int32 [2]."""
    return tf.image.resize(depth[..., None], size)[..., 0]


def _rows(batch, depths):
    """A batch's images as `Shown`, each with the prediction at its truth's size."""
    batch = {name: values.numpy() for name, values in batch.items()}
    for row, size in enumerate(batch["size"]):
        yield Shown(
            key=batch["key"][row].decode(),
            image=batch["image"][row],
            truth=batch["depth"][row, : size[0], : size[1]],
            predicted=upsample(depths[row], tf.constant(size)).numpy(),
        )


def _spread(count, wanted):
    """`wanted` numbers below `count`, evenly spread."""
    chosen = np.linspace(0, count - 1, min(wanted, count))
    return {int(number) for number in chosen}
