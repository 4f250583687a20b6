"""The pinned packages load together and work: some half-break without a sound."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf


def test_tensorflow_datasets_builds(tmp_path):
    """A too new tensorflow-metadata leaves the package without `builder`."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("mnist", data_dir=tmp_path, try_gcs=False)
    features = builder.info.features
    example = {"image": np.full((28, 28, 1), 7, np.uint8), "label": 3}
    stored = features.serialize_example(features.encode_example(example))
    read = features.deserialize_example(stored)
    np.testing.assert_array_equal(read["image"], example["image"])
    assert read["label"] == 3


def test_tensorflow_addons_rotates():
    tfa = pytest.importorskip("tensorflow_addons")

    image = np.arange(48, dtype=np.float32).reshape(4, 4, 3)
    rotated = tfa.image.rotate(image, np.pi / 2, "nearest")
    np.testing.assert_allclose(rotated, np.rot90(image), atol=1e-4)


def test_tensorflow_io_converts_colors():
    tfio = pytest.importorskip("tensorflow_io")

    red = tf.constant([[[1.0, 0.0, 0.0]]])
    lab = tfio.experimental.color.rgb_to_lab(red)
    np.testing.assert_allclose(lab[0, 0], [53.24, 80.09, 67.20], atol=0.02)


def test_tensorflow_models_cut_anchors():
    import tensorflow_models as tfm

    anchors = tfm.vision.anchor.Anchor(
        min_level=4,
        max_level=4,
        num_scales=1,
        aspect_ratios=[1.0],
        anchor_size=4.0,
        image_size=(32, 32),
    )
    boxes = anchors.multilevel_boxes["4"]
    assert boxes.shape == (2, 2, 4)
    np.testing.assert_allclose(boxes[0, 0], [-24, -24, 40, 40])


@pytest.mark.parametrize(
    "module",
    [
        "eval.voc07_detection.trainer",
        "selfsup.images.exemplar_augmentation",
        "selfsup, tensorflow_hub",
    ],
)
def test_imports_warn_of_nothing(module):
    """Neither of Addons' end, nor of pkg_resources, nor of Google's Python versions."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(__file__).resolve().parent.parent,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
