"""Converts weights of keras.applications to a SavedModel, like launch.export's.

python -m launch.import_keras --weights=FILE.h5 --kind=vgg --depth=16 --output=DIR
"""

from __future__ import annotations

from absl import flags

from selfsup import trunk
from selfsup.command_line import command, path_flags

_WEIGHTS = path_flags.define_path(
    "weights",
    None,
    "File of the weights, such as vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5.",
    required=True,
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder of the SavedModel of the trunk; must not exist.",
    required=True,
)
_KIND = flags.DEFINE_enum("kind", "vgg", list(trunk.REGISTRY), "Kind of the network.")
_DEPTH = flags.DEFINE_string(
    "depth",
    None,
    f"Depth of the network, of: {trunk.describe()}. Default: the first depth of the kind.",
)
_OUTPUT_STRIDE = flags.DEFINE_enum(
    "output_stride", "8", ["8", "16", "32"], "Input pixels per feature."
)


def main(_: list[str]) -> None:
    """Reads the flags and converts."""
    from selfsup.export import from_keras

    from_keras.export_weights(
        _WEIGHTS.value,
        _OUTPUT.value,
        kind=_KIND.value,
        depth=_DEPTH.value,
        output_stride=int(_OUTPUT_STRIDE.value),
    )
    print(f"exported: {_OUTPUT.value}")


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.import_keras")


if __name__ == "__main__":
    run()
