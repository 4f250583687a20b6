"""Measures how often each ab bin occurs in a data set; the library of `color_prior`."""

import contextlib
import os

import tensorflow as tf

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar
from selfsup.data import pipeline, records
from selfsup.images import ab_bins, ab_encoding, color, resize

# As colorization sees it: photos of 256 pixels, colours at stride 8.
_SHORTER_SIDE = 256
_STRIDE = 8
_BATCH = 16


def write_color_prior(sets, output):
    """Measures the ab prior of the training photos of built sets.

    Args:
      sets: `Manifest`s; those that colorization would train on count.
      output: CSV file with the columns of `ab_bins.csv`.

    Returns:
      float64 [313], sum 1, in the order of `ab_bins.centres()`.

    Raises:
      UserError: no photos, none with colour in it, or `output` not writable.
    """
    # Told now rather than after the measurement.
    if not os.access(os.path.dirname(os.path.abspath(output)), os.W_OK):
        raise UserError(f"--output={output}: its folder is missing or not writable")
    source = pipeline.DatasetSplit(
        pipeline.select_sets((records.IMAGE,), sets), "train"
    )
    prior = measure(pipeline.one_pass(source), source.records)
    temporary = f"{output}.{os.getpid()}.tmp"
    try:
        ab_bins.write_prior(temporary, prior)
        files.publish(temporary, output)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise UserError(f"--output={output}: cannot be written: {error}") from error
    return prior


def measure(serialized, total):
    """The distribution of colours over the ab bins.

    Each photo's shorter side is brought to 256 pixels, its ab averaged over 8x8
    pixels and encoded softly, as colorization's targets are, so the rebalancing
    weights made from it have mean 1 over these. Photos count by their area; gray ones
    are left out.

    Args:
      serialized: tf.data.Dataset of records.
      total: how many there are, for the display.

    Returns:
      float64 [313], sum 1.
    """
    histograms = (
        serialized.map(_histogram, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(_BATCH)
        .prefetch(2)
    )
    counts = tf.zeros([ab_bins.COUNT], tf.float64)
    done = 0
    with ProgressBar("photos", total) as progress:
        for batch in histograms:
            counts += tf.reduce_sum(tf.cast(batch, tf.float64), axis=0)
            done += int(batch.shape[0])
            progress.update(done)
    counts = counts.numpy()
    if not counts.sum():
        raise UserError(f"all {total} photos are gray: no color to measure")
    return counts / counts.sum()


def _histogram(serialized):
    """Soft counts of the bins in one photo, float32 [313]; zeros for a gray one."""
    image = records.parse(serialized, (records.IMAGE,))["image"]
    image = resize.resize_shorter_side(image, _SHORTER_SIDE)
    lab = color.rgb_to_lab(tf.cast(image, tf.float32) / 255.0)
    ab = tf.nn.avg_pool2d(lab[None, ..., 1:], _STRIDE, _STRIDE, "VALID")
    indices, weights = ab_encoding.soft_encode(ab, ab_bins.centres())
    counts = tf.math.unsorted_segment_sum(
        tf.reshape(weights, [-1]), tf.reshape(indices, [-1]), ab_bins.COUNT
    )
    colorful = ab_encoding.is_colorful(ab)[0]
    return tf.where(colorful, counts, tf.zeros_like(counts))
