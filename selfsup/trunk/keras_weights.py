"""Reads weights of `keras.applications` into trunks that have the same layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np

from selfsup.common.errors import UserError

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from selfsup.trunk.trunk import Trunk


def import_weights(path: str | os.PathLike[str], trunk: Trunk) -> None:
    """Assigns the weights in a file of `keras.applications` to a trunk.

    The file's layers beyond the trunk, such as a classifier, are ignored. If the file
    does not fit, nothing is assigned.

    Args:
      path: an .h5 file that Keras 2 wrote with `save_weights`, such as
        `vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5`.
      trunk: a trunk of the same kind and depth.

    Raises:
      UserError: if `keras.applications` has no network of the trunk's kind, or the file
        cannot be read or does not fit; the message names the layers.
    """
    layers = trunk.keras_layers()
    if not layers:
        raise UserError(
            f"trunks of kind {trunk.config.kind} have no counterpart in keras.applications"
        )
    stored = _read(path)
    missing = [name for name in layers if name not in stored]
    if missing:
        raise UserError(
            f"{path}: has no weights of {len(missing)} layers of this trunk, such as "
            f"{missing[0]}"
        )
    weights = {name: trunk.convert_keras_weights(name, stored[name]) for name in layers}
    for name, layer in layers.items():
        shapes = [list(value.shape) for value in weights[name]]
        expected = [list(value.shape) for value in layer.weights]
        if shapes != expected:
            raise UserError(
                f"{path}: layer {name} has shapes {shapes}, expected {expected}"
            )
    for name, layer in layers.items():
        layer.set_weights(weights[name])


def _read(
    path: str | os.PathLike[str],
) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Weights of each layer in an .h5 file, in the order of Keras."""
    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            names = [_text(name) for name in group.attrs["layer_names"]]
            return {
                name: [
                    np.asarray(group[name][_text(weight)], np.float32)
                    for weight in group[name].attrs["weight_names"]
                ]
                for name in names
            }
    except (OSError, KeyError) as error:
        raise UserError(
            f"{path}: cannot be read as weights that Keras 2 wrote to .h5: {error}"
        ) from error


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
