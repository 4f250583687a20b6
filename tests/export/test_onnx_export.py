"""ONNX models of trunks against the trunks; skipped where the extra is not installed."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.export import from_run, onnx_model, trunk_export
from selfsup.keras import keras
from selfsup.trunk import build_trunk
from selfsup.trunk.layers import atrous_conv2d, native_dilation
from selfsup.trunk.trunk import Trunk, TrunkConfig

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALLED = all(
    importlib.util.find_spec(name) for name in ("tf2onnx", "onnx", "onnxruntime")
)
needs_onnx = pytest.mark.skipif(
    not INSTALLED, reason="the extra onnx is not installed (make test-onnx installs it)"
)


def _trunk(kind: str, output_stride: int) -> Trunk:
    """A tiny trunk whose moving statistics are not those of a new one."""
    keras.utils.set_random_seed(0)
    trunk = build_trunk(TrunkConfig("tiny", output_stride=output_stride, kind=kind))
    for _ in range(3):
        trunk(_images(4, 48, 48), training=True)
    return trunk


def _images(*size: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).random((*size, 3), np.float32)


def _run(path: pathlib.Path, images: npt.NDArray[np.float32]) -> object:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (features,) = session.run([onnx_model.OUTPUT], {onnx_model.INPUT: images})
    return features


@needs_onnx
@pytest.mark.parametrize(
    ("kind", "output_stride"),
    [
        ("resnet_v2", 8),
        ("resnet_v2", 16),
        ("vgg", 8),
        pytest.param("densenet", 8, marks=pytest.mark.slow),
    ],
)
def test_any_size_equals_the_trunk(
    kind: str, output_stride: int, tmp_path: pathlib.Path
) -> None:
    trunk = _trunk(kind, output_stride)
    onnx_model.write(str(tmp_path / "trunk.onnx"), trunk)
    # Odd sizes and sizes that are no multiple of the stride; other batches.
    for size in [(2, 64, 64), (3, 61, 43), (1, 33, 72)]:
        images = _images(*size)
        features = _run(tmp_path / "trunk.onnx", images)
        np.testing.assert_allclose(features, trunk(images), rtol=1e-4, atol=1e-3)


@needs_onnx
def test_an_export_has_the_model_of_its_saved_model(tmp_path: pathlib.Path) -> None:
    import onnx

    trunk_export.save(tmp_path / "out", _trunk("vgg", 8), card={}, onnx=True)
    path = tmp_path / "out" / onnx_model.FILE_NAME
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    images = _images(2, 61, 48)
    np.testing.assert_allclose(_run(path, images), loaded(images), rtol=1e-4, atol=1e-3)
    model = onnx.load(path)
    names = [dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert names == ["batch", "height", "width", ""]
    # Atrous convolutions are single operations, without space-to-batch.
    assert "SpaceToDepth" not in {node.op_type for node in model.graph.node}


def test_dilation_equals_space_to_batch() -> None:
    images = tf.constant(_images(2, 11, 14))
    kernel = tf.constant(np.random.default_rng(1).random((3, 3, 3, 5), np.float32))
    for rate in (1, 2, 4):
        with native_dilation():
            dilated = atrous_conv2d(images, kernel, rate)
        np.testing.assert_allclose(
            dilated, atrous_conv2d(images, kernel, rate), rtol=1e-5
        )


def test_a_missing_package_is_named_before_any_work(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_model, "_PACKAGES", ("tf2onnx", "no_such_package"))
    with pytest.raises(UserError, match=r"no_such_package.*run pip install.*\[onnx\]"):
        from_run.export_run(str(tmp_path / "no_run"), str(tmp_path / "out"), onnx=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(INSTALLED, reason="the extra onnx is installed")
def test_the_command_says_what_to_install(tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [
            *[sys.executable, "-m", "launch.export", "--format=onnx"],
            *[f"--model_dir={tmp_path}", f"--output={tmp_path}/out"],
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "error: --format=onnx: needs" in done.stderr
    assert "Traceback" not in done.stderr
