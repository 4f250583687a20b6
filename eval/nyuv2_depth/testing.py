"""The pass over the test split: depth at the truth's size, and how good it is."""

import dataclasses
import io
from typing import Any

import numpy as np
import tensorflow as tf

from eval import complete_pass
from eval.nyuv2_depth.dataset import to_float
from eval.nyuv2_depth.score.depth_metrics import DepthMetrics
from eval.nyuv2_depth.score.scoring import resize
from selfsup.common import files
from selfsup.common.progress import ProgressBar


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


@dataclasses.dataclass(frozen=True)
class Tested:
    """What the test came to.

    Attributes:
      metrics: `DepthMetrics` at the truth's size.
      keys: of the records, in order.
      depths: list of float32 [h, w], metres: predictions at the network's resolution.
      shown: [`Shown`, ...].
    """

    metrics: Any
    keys: list
    depths: list
    shown: list


def run(network, data, config, stop):
    """Predicts and measures all test images.

    Args:
      network: a `DepthNetwork`.
      data: an `dataset.DepthDataset`.
      config: the evaluation's `Config`.
      stop: a `hybrid.stop.StopSignals`.

    Returns:
      a `Tested`, or None when it was stopped.

    Raises:
      UserError: when a shard is damaged.
    """
    predict = tf.function(
        lambda images: network(to_float(images)), reduce_retracing=True
    )
    tested = Tested(DepthMetrics(), [], [], [])
    wanted = _spread(data.test.records, config.pictures)
    progress = ProgressBar("nyuv2_depth test images", data.test.records)
    with complete_pass.damage_explained(data.test), progress:
        for batch in data.test_batches():
            if stop.received is not None:
                return None
            depths = predict(batch["image"]).numpy()
            for one, depth in zip(_rows(batch, depths), depths):
                tested.metrics.add(one.predicted, one.truth, one.truth > 0)
                if len(tested.keys) in wanted:
                    tested.shown.append(one)
                tested.keys.append(one.key)
                tested.depths.append(depth)
            progress.update(len(tested.keys))
    return tested


def save_predictions(path, tested):
    """Writes what `eval.nyuv2_depth.score` reads: "keys", str [N], and "depths".

    They are at the network's resolution, float32 [N, h, w] in metres: the score resizes
    them as the evaluation does, to truths of any size.
    """
    content = io.BytesIO()
    np.savez(content, keys=np.array(tested.keys), depths=np.stack(tested.depths))
    files.write_atomically(path, content.getvalue())


def _rows(batch, depths):
    """A batch's images as `Shown`, each with the prediction at its truth's size."""
    batch = {name: values.numpy() for name, values in batch.items()}
    for row, size in enumerate(batch["size"]):
        yield Shown(
            key=batch["key"][row].decode(),
            image=batch["image"][row],
            truth=batch["depth"][row, : size[0], : size[1]],
            predicted=resize(depths[row], size),
        )


def _spread(count, wanted):
    """`wanted` numbers below `count`, evenly spread."""
    chosen = np.linspace(0, count - 1, min(wanted, count))
    return {int(number) for number in chosen}
