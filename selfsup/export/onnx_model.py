"""Writes a trunk as an ONNX model, for ONNX Runtime and other programs.

The model has the input "images", float32 [batch, height, width, 3] in [0, 1] of any size,
and the output "features", float32 [batch, ceil(height / s), ceil(width / s), C]. It
computes inference in float32, at the trunk's output stride s.

The conversion needs the packages of the extra `onnx`.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.common.errors import SettingError
from selfsup.trunk.layers import native_dilation

if TYPE_CHECKING:
    from selfsup.trunk.trunk import Trunk

FILE_NAME = "trunk.onnx"
INPUT = "images"
OUTPUT = "features"

# The first opset in which every operation of the trunks has the form that is used here,
# and which every ONNX Runtime since 2022 reads.
_OPSET = 17
_PACKAGES = ("tf2onnx", "onnx")
_DIMENSIONS = {
    INPUT: ("batch", "height", "width"),
    OUTPUT: ("batch", "output_height", "output_width"),
}


def check_installed() -> None:
    """Checks that `write` can convert; call this before long computations.

    Raises:
      UserError: if a package of the extra is missing.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingError(
            "format=onnx",
            f"needs {' and '.join(missing)}, which is not installed; run "
            "pip install --use-pep517 -c constraints.txt -e '.[onnx]' in the folder of "
            "the project (Python 3.10 or newer)",
        )


def write(path: str, trunk: Trunk) -> None:
    """Writes an ONNX model that computes what `trunk(images)` computes.

    Args:
      path: the file; its folder exists.
      trunk: a trunk in float32.

    Raises:
      UserError: if a package of the extra is missing.
    """
    check_installed()
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    spec = tf.TensorSpec([None, None, None, 3], tf.float32, name=INPUT)

    @tf.function(input_signature=[spec], autograph=False)
    def infer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: trunk(images)}

    with native_dilation():
        infer.get_concrete_function()
        model, _ = tf2onnx.convert.from_function(
            infer, input_signature=[spec], opset=_OPSET
        )
    for value in [*model.graph.input, *model.graph.output]:
        dimensions = value.type.tensor_type.shape.dim
        for dimension, name in zip(dimensions, _DIMENSIONS[value.name]):
            dimension.dim_param = name
    model.doc_string = (
        f"{trunk.title}, depth {trunk.config.depth}: images in [0, 1] to features at "
        f"output stride {trunk.config.output_stride}"
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
