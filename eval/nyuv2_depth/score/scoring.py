"""Predicted depth maps against true ones: a report to print and to keep."""

import numpy as np

from eval.nyuv2_depth.score import depth_files
from eval.nyuv2_depth.score.depth_metrics import (
    ABSOLUTE,
    RATIOS,
    RELATIVE,
    DepthMetrics,
)
from selfsup.common import overrides
from selfsup.common.errors import UserError

FORMAT = "selfsup-depth-score"
VERSION = 1

# Eigen et al.'s 427x561 of 480x640: where the NYU toolbox's `get_projection_mask` has
# depth of the sensor, rows 45 to 471 and columns 41 to 601, counted from 1.
CROPS = {
    "none": (slice(None), slice(None)),
    "eigen": (slice(44, 471), slice(40, 601)),
}
_CROPPED_SIZE = (480, 640)


def score(predictions, truth, *, crop="none", min_depth=None, max_depth=None):
    """Scores a file of predictions.

    Predictions of another size are resized to the truth's, bilinearly; then clipped.

    Args:
      predictions, truth: paths of files as of `depth_files`. Depths of 0 and NaN are
        unknown in the truth. They are matched by their keys if both have some, else by
        their order.
      crop: key of `CROPS`.
      min_depth, max_depth: metres that predictions are clipped to, or None.

    Returns:
      (report, notes): a dict of JSON types, see docs/evaluations/nyuv2_score.md, and
      texts on what a person should know of.

    Raises:
      UserError: for files that are no such files or do not fit each other.
    """
    window = overrides.look_up("--crop", crop, CROPS)
    predicted = depth_files.read(predictions, "predictions")
    true = depth_files.read(truth, "truth")
    size = true.depths.shape[1:]
    if crop != "none" and size != _CROPPED_SIZE:
        raise UserError(f"--crop={crop}: is for 480x640, the truth has {_text(size)}")
    order, notes = _match(predicted, true)
    found = predicted.depths.shape[1:]
    if found != size:
        sizes = f"of {_text(found)} were resized to {_text(size)}"
        notes.append(f"predictions {sizes}, bilinearly")
    metrics, empty = DepthMetrics(), 0
    for image, place in enumerate(order):
        depth = _clip(resize(predicted.depths[place], size), min_depth, max_depth)
        empty += not _add(metrics, depth[window], true, image, window)
    report = {
        "format": FORMAT,
        "version": VERSION,
        "images": len(order),
        "images_without_truth": empty,
        "pixels": metrics.pixels,
        "crop": crop,
        "min_depth": min_depth,
        "max_depth": max_depth,
        "metrics": metrics.result(),
    }
    return report, notes


def _add(metrics, depth, true, image, window):
    """Adds one image to the metrics; returns how many of its pixels are known."""
    before = metrics.pixels
    truth = true.depths[image][window]
    try:
        metrics.add(depth, truth, ~np.isnan(truth) & (truth != 0))
    except UserError as error:
        raise UserError(f"image {_name(true, image)}: {error}") from error
    return metrics.pixels - before


def resize(depth, size):
    """Float [h, w] -> float32 [H, W] for `size` (H, W), bilinear between pixel centres."""
    depth = np.asarray(depth, np.float32)
    if depth.shape == tuple(size):
        return depth
    import cv2

    return cv2.resize(depth, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)


def _clip(depth, low, high):
    return depth if low is None and high is None else np.clip(depth, low, high)


def _match(predicted, true):
    """(index of the prediction for each true map, notes)."""
    if predicted.keys is None or true.keys is None:
        if len(predicted.depths) != len(true.depths):
            raise UserError(
                f"--predictions has {len(predicted.depths)} depth maps, --truth "
                f"{len(true.depths)}; without keys in both they are matched by order"
            )
        return range(len(true.depths)), ["matched by order: not both have keys"]
    places = {key: place for place, key in enumerate(predicted.keys)}
    missing = [key for key in true.keys if key not in places]
    if missing:
        raise UserError(
            f"--predictions: has no depth map for {len(missing)} of {len(true.keys)} "
            f"keys of --truth: {', '.join(missing[:5])}{', ...' * (len(missing) > 5)}"
        )
    more = len(places) - len(true.keys)
    notes = [f"{more} predictions without truth were not scored"] if more else []
    return [places[key] for key in true.keys], notes


def _name(maps, image):
    return f"{image} (from 0)" if maps.keys is None else maps.keys[image]


def _text(size):
    return "x".join(map(str, size))


def table(report):
    """The report as lines of text."""
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
