"""The pass over the test split: predicted depth at the truth's size, and its errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import complete_pass, predictions_file
from eval.nyuv2_depth.config import Config
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_depth.network import DepthNetwork
from eval.nyuv2_depth.score.depth_metrics import DepthMetrics
from eval.nyuv2_depth.score.scoring import resize
from eval.trunk_features import trunk_input
from eval.watched_batches import watched
from selfsup.common.stop_signals import StopSignals


@dataclasses.dataclass(frozen=True)
class DepthPrediction:
    """One test image.

    Attributes:
      key: key of the record.
      image: uint8 [H, W, 3], as the network saw it.
      truth: float32 [h, w], metres, 0 where unknown.
      predicted: float32 [h, w], metres.
    """

    key: str
    image: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Results:
    """Results of the test.

    Attributes:
      metrics: the errors, at the size of the truth.
      keys: keys of the records, in order.
      depths: predictions at the resolution of the network, float32 [h, w] each, metres.
      pictures: test images to draw.
    """

    metrics: DepthMetrics = dataclasses.field(default_factory=DepthMetrics)
    keys: list[str] = dataclasses.field(default_factory=list)
    depths: list[npt.NDArray[np.float32]] = dataclasses.field(default_factory=list)
    pictures: list[DepthPrediction] = dataclasses.field(default_factory=list)


def run(
    network: DepthNetwork, data: DepthDataset, config: Config, stop: StopSignals
) -> Results:
    """Predicts and measures the depth of all test images.

    Args:
      network: the trained network.
      data: the data.
      config: the hyperparameters.
      stop: the signals that stop the pass, already entered as a context.

    Raises:
      UserError: when a shard is damaged.
      Stopped: when a signal arrives.
    """
    predict = tf.function(
        lambda images: network(trunk_input(images)), reduce_retracing=True
    )
    results = Results()
    count = data.test.records
    drawn = _spread(count, config.pictures)
    with complete_pass.damage_explained(data.test):
        for batch in watched(
            data.test_batches(), "nyuv2_depth test images", count, stop
        ):
            depths = predict(batch["image"]).numpy()
            for image, depth in zip(_test_images(batch, depths), depths):
                results.metrics.add(image.predicted, image.truth, image.truth > 0)
                if len(results.keys) in drawn:
                    results.pictures.append(image)
                results.keys.append(image.key)
                results.depths.append(depth)
    return results


def save_predictions(
    output: str, keys: Sequence[str], depths: Sequence[npt.NDArray[np.float32]]
) -> None:
    """Writes predictions.npz for `eval.nyuv2_depth.score`: "keys" and "depths".

    The depths are at the resolution of the network, because the score resizes them to
    the truth exactly as the evaluation does.

    Args:
      output: output folder of the evaluation.
      keys: N keys.
      depths: N depth maps, float32 [h, w], metres.
    """
    predictions_file.write(output, {"keys": np.array(keys), "depths": np.stack(depths)})


def _test_images(
    batch: dict[str, tf.Tensor], depths: npt.NDArray[np.float32]
) -> Iterator[DepthPrediction]:
    """Yields the images of a batch, with each prediction at the size of its truth."""
    arrays = {name: values.numpy() for name, values in batch.items()}
    for row, size in enumerate(arrays["size"]):
        yield DepthPrediction(
            key=arrays["key"][row].decode(),
            image=arrays["image"][row],
            truth=arrays["depth"][row, : size[0], : size[1]],
            predicted=resize(depths[row], size),
        )


def _spread(count: int, wanted: int) -> set[int]:
    """`wanted` evenly spread indices below `count`."""
    chosen = np.linspace(0, count - 1, min(wanted, count))
    return {int(number) for number in chosen}
