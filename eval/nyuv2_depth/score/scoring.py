"""Compares predicted depth maps with true ones and reports the measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eval.json_types import JsonObject
from eval.nyuv2_depth.score import depth_files
from eval.nyuv2_depth.score.depth_files import DepthMaps
from eval.nyuv2_depth.score.depth_metrics import (
    ABSOLUTE,
    RATIOS,
    RELATIVE,
    DepthMetrics,
)
from selfsup.common import overrides
from selfsup.common.errors import SettingError, UserError

FORMAT = "selfsup-depth-score"
VERSION = 1

# Eigen et al.'s 427x561 of 480x640 pixels: where the NYU toolbox's `get_projection_mask`
# has depth of the sensor, rows 45 to 471 and columns 41 to 601, counted from 1.
CROPS = {
    "none": (slice(None), slice(None)),
    "eigen": (slice(44, 471), slice(40, 601)),
}
_CROPPED_SIZE = (480, 640)


def score(
    predictions: str,
    truth: str,
    *,
    crop: str = "none",
    min_depth: float | None = None,
    max_depth: float | None = None,
) -> tuple[JsonObject, list[str]]:
    """Scores a file of predictions.

    Predictions of another size are resized to the size of the truth, bilinearly, and then
    clipped.

    Args:
      predictions, truth: paths of files, see `depth_files`. True depths of 0 and NaN are
        unknown. Predictions and truth are matched by their keys if both have keys, and by
        their order otherwise.
      crop: a key of `CROPS`.
      min_depth, max_depth: limits that predictions are clipped to, in metres, or None.

    Returns:
      (report, notes): the report as JSON values, see docs/evaluations/nyuv2_score.md, and
      notes for its reader.

    Raises:
      UserError: for files that cannot be read or do not match each other.
    """
    window = overrides.look_up("crop", crop, CROPS)
    predicted = depth_files.read(predictions)
    true = depth_files.read(truth)
    size = true.depths.shape[1:]
    if crop != "none" and size != _CROPPED_SIZE:
        raise SettingError(
            f"crop={crop}", f"is for 480x640, the truth has {_text(size)}"
        )
    order, notes = _match(predicted, true)
    predicted_size = predicted.depths.shape[1:]
    if predicted_size != size:
        notes.append(
            f"predictions of {_text(predicted_size)} were resized to {_text(size)}, "
            "bilinearly"
        )
    metrics, images_without_truth = DepthMetrics(), 0
    for image, prediction in enumerate(order):
        depth = _clip(resize(predicted.depths[prediction], size), min_depth, max_depth)
        pixels = _add(metrics, depth[window], true, image, window)
        images_without_truth += not pixels
    report = {
        "format": FORMAT,
        "version": VERSION,
        "images": len(order),
        "images_without_truth": images_without_truth,
        "pixels": metrics.pixels,
        "crop": crop,
        "min_depth": min_depth,
        "max_depth": max_depth,
        "metrics": metrics.result(),
    }
    return report, notes


def _add(
    metrics: DepthMetrics,
    depth: npt.NDArray[np.float32],
    true: DepthMaps,
    image: int,
    window: tuple[slice, slice],
) -> int:
    """Adds one image to the metrics and returns the number of its known pixels."""
    before = metrics.pixels
    truth = true.depths[image][window]
    try:
        metrics.add(depth, truth, ~np.isnan(truth) & (truth != 0))
    except UserError as error:
        raise UserError(f"image {_name(true, image)}: {error}") from error
    return metrics.pixels - before


def resize(depth: npt.ArrayLike, size: Sequence[int]) -> npt.NDArray[np.float32]:
    """Resizes float [h, w] to float32 [H, W], bilinearly between pixel centres.

    Args:
      depth: the depth map.
      size: (H, W).
    """
    values: npt.NDArray[np.float32] = np.asarray(depth, np.float32)
    height, width = size
    if values.shape == (height, width):
        return values
    import cv2

    new_size = (int(width), int(height))
    resized = cv2.resize(values, new_size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def _clip(
    depth: npt.NDArray[np.float32], low: float | None, high: float | None
) -> npt.NDArray[np.float32]:
    return depth if low is None and high is None else np.clip(depth, low, high)


def _match(predicted: DepthMaps, true: DepthMaps) -> tuple[Sequence[int], list[str]]:
    """Returns (index of the prediction for each true map, notes)."""
    if predicted.keys is None or true.keys is None:
        if len(predicted.depths) != len(true.depths):
            raise UserError(
                f"there are {len(predicted.depths)} predictions and {len(true.depths)} "
                "true depth maps. Without keys in both files they are matched by order, "
                "which needs equal numbers"
            )
        order = range(len(true.depths))
        return order, ["matched by order, because the files do not both have keys"]
    indices = {key: index for index, key in enumerate(predicted.keys)}
    missing = [key for key in true.keys if key not in indices]
    if missing:
        raise UserError(
            f"there is no prediction for {len(missing)} of {len(true.keys)} keys of the "
            f"truth: {', '.join(missing[:5])}{', ...' * (len(missing) > 5)}"
        )
    extra = len(indices) - len(true.keys)
    notes = [f"{extra} predictions without truth were not scored"] if extra else []
    return [indices[key] for key in true.keys], notes


def _name(maps: DepthMaps, image: int) -> str:
    return f"{image} (from 0)" if maps.keys is None else maps.keys[image]


def _text(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def table(report: JsonObject) -> str:
    """Formats the report as lines of text."""
    metrics = report["metrics"]
    lines = [
        f"pixels within a factor of {ratio:<8g} {100 * metrics[name]:8.2f} %"
        for name, ratio in RATIOS.items()
    ]
    return "\n".join(
        [
            *lines,
            f"mean absolute error {'':14} {metrics[ABSOLUTE]:8.4f} m",
            f"mean relative error {'':14} {metrics[RELATIVE]:8.4f}",
            f"over {report['pixels']:,} pixels of {report['images']:,} images",
        ]
    )
