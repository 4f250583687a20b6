"""Exports a trunk with weights of `keras.applications`."""

from __future__ import annotations

import os

from selfsup.export import trunk_export
from selfsup.trunk import build_trunk, keras_weights, trunk_class
from selfsup.trunk.trunk import TrunkConfig


def export_weights(
    path: str,
    output: str,
    *,
    kind: str,
    depth: str | None = None,
    output_stride: int = 8,
) -> None:
    """Exports a trunk with the weights in a file of `keras.applications`.

    Args:
      path: the .h5 file; see `keras_weights.import_weights`.
      output: folder of the export, which does not exist or is empty.
      kind: kind of the trunk, a key of `selfsup.trunk.REGISTRY`.
      depth: depth of the network; None for the default of the kind.
      output_stride: that of the exported SavedModel.

    Raises:
      UserError: if `output` has files, or the file cannot be read or does not fit.
    """
    trunk_export.check_output(output)
    depth = depth or next(iter(trunk_class(kind).depths))
    config = TrunkConfig(kind=kind, depth=depth, output_stride=output_stride)
    trunk = build_trunk(config)
    keras_weights.import_weights(path, trunk)
    card = {
        "source": {
            "weights": os.path.basename(path),
            "trained_by": "keras.applications, on labels",
        }
    }
    trunk_export.save(output, trunk, card=card)
