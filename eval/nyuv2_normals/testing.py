"""The pass over the test split: predicted normals at the truth's size, and their angles."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from eval import predictions_file
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_depth.testing import Predictor, predicted_images, spread
from eval.nyuv2_normals.angle_metrics import AngleMetrics
from eval.nyuv2_normals.config import Config
from selfsup.common.stop_signals import StopSignals

NAME = "nyuv2_normals"


@dataclasses.dataclass(frozen=True)
class NormalsPrediction:
    """One test image.

    Attributes:
      key: key of the record.
      image: uint8 [H, W, 3], as the network saw it.
      truth: float32 [h, w, 3], unit vectors, 0 where unknown.
      predicted: float32 [h, w, 3], unit vectors.
    """

    key: str
    image: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Results:
    """Results of the test.

    Attributes:
      metrics: the angles, at the size of the truth.
      chance: the angles of the best constant normal for each measure, by its name.
      keys: keys of the records, in order.
      normals: predictions at the resolution of the network, float16 [h, w, 3] each.
      pictures: test images to draw.
    """

    metrics: AngleMetrics = dataclasses.field(default_factory=AngleMetrics)
    chance: dict[str, AngleMetrics] = dataclasses.field(default_factory=dict)
    keys: list[str] = dataclasses.field(default_factory=list)
    normals: list[npt.NDArray[np.float16]] = dataclasses.field(default_factory=list)
    pictures: list[NormalsPrediction] = dataclasses.field(default_factory=list)


def run(
    network: Predictor,
    data: DepthDataset,
    config: Config,
    constants: Mapping[str, Sequence[float]],
    stop: StopSignals,
) -> Results:
    """Predicts and measures the normals of all test images.

    Args:
      network: the trained network.
      data: the data.
      config: the hyperparameters.
      constants: the constant prediction that defines the chance level of each measure,
        unit vectors by name.
      stop: the signals that stop the pass, already entered as a context.

    Raises:
      UserError: when a shard is damaged.
      Stopped: when a signal arrives.
    """
    results = Results(chance={name: AngleMetrics() for name in constants})
    drawn = spread(data.test.records, config.pictures)
    for row, normals in predicted_images(network, data, NAME, stop):
        height, width = row["size"]
        image = NormalsPrediction(
            key=row["key"].decode(),
            image=row["image"],
            truth=row["normals"][:height, :width],
            predicted=resize(normals, (height, width)),
        )
        results.metrics.add(image.predicted, image.truth)
        for name, constant in constants.items():
            guess = np.array(constant, np.float32)
            results.chance[name].add(guess, image.truth)
        if len(results.keys) in drawn:
            results.pictures.append(image)
        results.keys.append(image.key)
        results.normals.append(normals.astype(np.float16))
    return results


def resize(
    normals: npt.NDArray[np.float32], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Resizes normals bilinearly, and normalises them again.

    Args:
      normals: float32 [h, w, 3], unit vectors.
      size: (height, width) of the result.

    Returns:
      float32 [height, width, 3], unit vectors.
    """
    height, width = (int(side) for side in size)
    resized = cv2.resize(normals, (width, height), interpolation=cv2.INTER_LINEAR)
    lengths = np.linalg.norm(resized, axis=-1, keepdims=True)
    return np.asarray(resized / np.maximum(lengths, 1e-12), np.float32)


def save_predictions(output: str, results: Results) -> None:
    """Writes predictions.npz: keys [N] and normals, float16 [N, h, w, 3]."""
    arrays = {"keys": np.array(results.keys), "normals": np.stack(results.normals)}
    predictions_file.write(output, arrays)
