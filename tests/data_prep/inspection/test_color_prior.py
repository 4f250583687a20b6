"""The measurement of the color prior, and its command."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
import skimage.color
import tensorflow as tf
from PIL import Image

from data_prep.inspection import ab_histogram
from selfsup.common.errors import UserError
from selfsup.data import manifest, records
from selfsup.images import ab_bins, ab_encoding

RED, BLUE, GRAY = (200, 40, 40), (40, 60, 180), (90, 90, 90)


def _solid(color, size=(64, 64)):
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def _write_set(folder, **splits):
    """Writes a data set of PNGs by split."""
    shards = []
    for split, images in splits.items():
        path = folder / f"{split}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for image in images:
                writer.write(
                    records.serialize(key="k", encoded=image, height=1, width=1)
                )
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        shards.append(manifest.Shard(path.name, split, len(images), len(data), digest))
    made = manifest.Manifest(manifest.PHOTOS, ("image",), tuple(shards))
    manifest.write(made, str(folder))


def _measure(folder, output):
    return ab_histogram.write_color_prior(manifest.find(str(folder)), output)


def _soft_code(color):
    """Encodes a color in the bins, [313], with Lab by scikit-image."""
    lab = skimage.color.rgb2lab(np.array(color)[None, None] / 255.0)
    ab = lab[0, 0, 1:].astype(np.float32)
    indices, weights = ab_encoding.soft_encode(ab[None], ab_bins.centres())
    code = np.zeros(ab_bins.COUNT)
    code[indices[0].numpy()] = weights[0].numpy()
    return code


def test_prior_is_the_mean_code_of_colored_training_photos(tmp_path):
    _write_set(
        tmp_path,
        train=[_solid(RED), _solid(RED), _solid(BLUE), _solid(GRAY)],
        validation=[_solid((0, 255, 0))],
    )
    output = tmp_path / "prior.csv"
    prior = _measure(tmp_path, str(output))
    expected = (2 * _soft_code(RED) + _soft_code(BLUE)) / 3
    np.testing.assert_allclose(prior, expected, atol=1e-4)
    np.testing.assert_allclose(ab_bins.read_prior(str(output)), prior, atol=1e-6)
    assert sorted(path.name for path in tmp_path.glob("prior*")) == ["prior.csv"]


def test_photos_count_by_their_area(tmp_path):
    _write_set(tmp_path, train=[_solid(RED, (64, 64)), _solid(BLUE, (192, 64))])
    prior = ab_histogram.write_color_prior(
        manifest.find(str(tmp_path)), str(tmp_path / "p.csv")
    )
    expected = (_soft_code(RED) + 3 * _soft_code(BLUE)) / 4
    np.testing.assert_allclose(prior, expected, atol=1e-4)


def test_gray_photos_have_no_prior(tmp_path):
    _write_set(tmp_path, train=[_solid(GRAY)])
    with pytest.raises(UserError, match="all 1 photos are gray"):
        ab_histogram.write_color_prior(
            manifest.find(str(tmp_path)), str(tmp_path / "p.csv")
        )


def test_unwritable_output_is_an_error(tmp_path):
    _write_set(tmp_path, train=[_solid(RED)])
    with pytest.raises(UserError, match="its folder is missing"):
        ab_histogram.write_color_prior(
            manifest.find(str(tmp_path)), str(tmp_path / "no" / "p.csv")
        )


def test_command_without_a_data_set_is_an_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "data_prep.color_prior"]
        + [f"--data={tmp_path}", "--output=prior.csv"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}: no built data set")
