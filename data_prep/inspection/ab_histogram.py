"""Measures how often each ab bin occurs in data sets, for colorization."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.common import files
from selfsup.common.errors import UserError, error_reason
from selfsup.common.progress import ProgressBar
from selfsup.data import pipeline, records
from selfsup.data.manifest import Manifest
from selfsup.images import ab_bins, ab_encoding, color, resize

# As in colorization: photos of 256 pixels, colors at stride 8.
_SHORTER_SIDE = 256
_STRIDE = 8
_BATCH_SIZE = 16


def write_color_prior(sets: Sequence[Manifest], output: str) -> npt.NDArray[np.float64]:
    """Measures the ab prior of the training photos of data sets and writes it.

    Args:
      sets: data sets; those that colorization would train on count.
      output: CSV file with the columns of `ab_bins.csv`.

    Returns:
      float64 [313] of sum 1, in the order of `ab_bins.centres()`.

    Raises:
      UserError: there are no photos, all are gray, or the file cannot be written.
    """
    # The measurement takes long, so this is checked before it.
    if not os.access(os.path.dirname(os.path.abspath(output)), os.W_OK):
        raise UserError(f"{output}: its folder is missing or not writable")
    selected = pipeline.select_sets((records.IMAGE,), sets)
    source = pipeline.DatasetSplit(selected, "train")
    prior = measure(pipeline.one_pass(source), source.records)
    temporary = files.temporary_name(output)
    try:
        ab_bins.write_prior(temporary, prior)
        files.publish(temporary, output)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise UserError(
            f"{output}: cannot be written: {error_reason(error)}"
        ) from error
    return prior


def measure(serialized: tf.data.Dataset, num_photos: int) -> npt.NDArray[np.float64]:
    """Measures the distribution of colors over the ab bins (Zhang et al., ECCV 2016).

    Resizes the shorter side of each photo to 256 pixels, averages its ab over 8x8 pixels
    and encodes it softly, as the targets of colorization are. So the rebalancing weights
    that are made from the result have mean 1 over these targets. Photos count by their
    area; gray photos do not count.

    Args:
      serialized: the records, scalar strings.
      num_photos: their number, for the display.

    Returns:
      float64 [313] of sum 1.

    Raises:
      UserError: all photos are gray.
    """
    histograms = (
        serialized.map(_histogram, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(_BATCH_SIZE)
        .prefetch(2)
    )
    counts = np.zeros([ab_bins.COUNT], np.float64)
    done = 0
    with ProgressBar("photos", num_photos) as progress:
        for batch in histograms.as_numpy_iterator():
            counts += batch.sum(axis=0, dtype=np.float64)
            done += len(batch)
            progress.update(done)
    if not counts.any():
        raise UserError(f"all {num_photos} photos are gray: no color to measure")
    return counts / counts.sum()


def _histogram(serialized: tf.Tensor) -> tf.Tensor:
    """Counts the bins of a photo softly: float32 [313], zeros for a gray photo."""
    image = records.parse(serialized, (records.IMAGE,))["image"]
    image = resize.resize_shorter_side(image, _SHORTER_SIDE)
    lab = color.rgb_to_lab(tf.cast(image, tf.float32) / 255.0)
    ab = tf.nn.avg_pool2d(lab[None, ..., 1:], _STRIDE, _STRIDE, "VALID")
    indices, weights = ab_encoding.soft_encode(ab, ab_bins.centres())
    counts = tf.math.unsorted_segment_sum(
        tf.reshape(weights, [-1]), tf.reshape(indices, [-1]), ab_bins.COUNT
    )
    is_colorful = ab_encoding.is_colorful(ab)[0]
    return tf.where(is_colorful, counts, tf.zeros_like(counts))
