"""The pass over the test split: predicted depth at the truth's size, and its errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import complete_pass, predictions_file
from eval.nyuv2_depth.config import DenseConfig
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_depth.score.depth_metrics import DepthMetrics
from eval.nyuv2_depth.score.scoring import resize
from eval.trunk_features import trunk_input
from eval.watched_batches import watched
from selfsup.common.stop_signals import StopSignals


class Predictor(Protocol):
    """A network that predicts maps."""

    def __call__(self, images: tf.Tensor, /) -> tf.Tensor:
        """Maps images float32 [B, H, W, 3] in [0, 1] to float32 [B, h, w, ...]."""


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
    network: Predictor, data: DepthDataset, config: DenseConfig, stop: StopSignals
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
    results = Results()
    drawn = spread(data.test.records, config.pictures)
    for row, depth in predicted_images(network, data, "nyuv2_depth", stop):
        size = row["size"]
        image = DepthPrediction(
            key=row["key"].decode(),
            image=row["image"],
            truth=row["depth"][: size[0], : size[1]],
            predicted=resize(depth, size),
        )
        results.metrics.add(image.predicted, image.truth, image.truth > 0)
        if len(results.keys) in drawn:
            results.pictures.append(image)
        results.keys.append(image.key)
        results.depths.append(depth)
    return results


def predicted_images(
    network: Predictor, data: DepthDataset, name: str, stop: StopSignals
) -> Iterator[tuple[dict[str, Any], npt.NDArray[np.float32]]]:
    """Predicts the map of each image of the test split, in file order.

    Args:
      network: the trained network.
      data: the data.
      name: name of the evaluation, for the progress bar.
      stop: the signals that stop the pass, already entered as a context.

    Yields:
      (the arrays of a test example by name, padded as in its batch; the prediction at the
      resolution of the network, float32 [h, w, ...]).

    Raises:
      UserError: when a shard is damaged.
      Stopped: when a signal arrives.
    """
    predict = tf.function(
        lambda images: network(trunk_input(images)), reduce_retracing=True
    )
    count = data.test.records
    with complete_pass.damage_explained(data.test):
        for batch in watched(data.test_batches(), f"{name} test images", count, stop):
            predicted = predict(batch["image"]).numpy()
            arrays = {key: values.numpy() for key, values in batch.items()}
            for row, prediction in enumerate(predicted):
                yield {key: values[row] for key, values in arrays.items()}, prediction


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


def spread(count: int, wanted: int) -> set[int]:
    """Returns `wanted` evenly spread indices below `count`."""
    chosen = np.linspace(0, count - 1, min(wanted, count))
    return {int(number) for number in chosen}
