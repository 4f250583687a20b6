"""The exported trunk, as SavedModel and as ONNX, against the Keras model."""

from __future__ import annotations

import importlib.util
import os
import tempfile

import numpy as np
import tensorflow as tf

from selfsup.export import onnx_model, trunk_export
from selfsup.pretraining import configuration
from selfsup.trunk import build_trunk
from tests.benchmarks import alternation
from tests.benchmarks.alternation import Contestant, InProcess
from tests.benchmarks.suites.options import Options
from tests.benchmarks.table import Table

_KERAS, _SAVED_MODEL, _ONNX = "Keras model", "SavedModel", "ONNX Runtime"


def print_table(options: Options) -> None:
    """Prints the latency of a single image and of a batch."""
    trunk = build_trunk(configuration.resolve(options.preset, ["colorization"]).trunk)
    has_onnx = all(
        importlib.util.find_spec(name) for name in ("tf2onnx", "onnx", "onnxruntime")
    )
    print(
        f"Latency of the exported trunk, depth {trunk.config.depth}, output stride "
        f"{trunk.config.output_stride}, relative to the Keras model in a tf.function "
        "(quartiles)"
    )
    table = Table("input", "program", "ms", "elapsed", "processor")
    with tempfile.TemporaryDirectory() as folder:
        directory = os.path.join(folder, "export")
        trunk_export.save(directory, trunk, card={}, onnx=has_onnx)
        loaded = tf.saved_model.load(directory)
        for batch, size in [(1, 224), *options.sizes]:
            images = np.random.default_rng(0).random((batch, size, size, 3), np.float32)
            given = tf.constant(images)
            # Static shapes, as in an evaluation.
            infer = tf.function(lambda batch: trunk(batch), autograph=False)
            contestants: dict[str, Contestant] = {
                _KERAS: InProcess(lambda f=infer, x=given: f(x), _wait),
                _SAVED_MODEL: InProcess(lambda x=given: loaded(x), _wait),
            }
            if has_onnx:
                path = os.path.join(directory, onnx_model.FILE_NAME)
                contestants[_ONNX] = _onnx(path, images)
            rounds = alternation.measure(contestants, options.rounds, options.seconds)
            for name in contestants:
                table.add(
                    f"{batch} of {size}x{size}",
                    name,
                    f"{1e3 * rounds.elapsed(name):.1f}",
                    str(rounds.ratio(name, _KERAS)),
                    str(rounds.processor_ratio(name, _KERAS)),
                )
    if not has_onnx:
        print("ONNX Runtime is left out: the extra onnx is not installed.")


def _onnx(path: str, images: np.ndarray) -> InProcess:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return InProcess(
        lambda: session.run([onnx_model.OUTPUT], {onnx_model.INPUT: images})
    )


def _wait(features: tf.Tensor) -> None:
    """Waits until TensorFlow has computed the features."""
    features.numpy()
