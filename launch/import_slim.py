"""Converts a ResNet-v2 checkpoint of TF-Slim to a SavedModel, like launch.export's.

python -m launch.import_slim --checkpoint=DIR/resnet_v2_101.ckpt --output=DIR
"""

from __future__ import annotations

from absl import flags

from selfsup.command_line import command, path_flags

_CHECKPOINT = path_flags.define_readable(
    "checkpoint",
    None,
    "Path of the checkpoint's files without their suffixes.",
    required=True,
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder of the SavedModel with trunk, block 4 and logits; must not exist.",
    required=True,
)
_OUTPUT_STRIDE = flags.DEFINE_enum(
    "output_stride", "8", ["8", "16", "32"], "Input pixels per feature."
)
_DEPTH = flags.DEFINE_enum(
    "depth", "101", ["50", "101", "152"], "Depth of the network in the checkpoint."
)


def main(_: list[str]) -> None:
    """Reads the flags and converts."""
    from selfsup.export import from_slim

    from_slim.export_checkpoint(
        _CHECKPOINT.value,
        _OUTPUT.value,
        depth=_DEPTH.value,
        output_stride=int(_OUTPUT_STRIDE.value),
    )
    print(f"exported: {_OUTPUT.value}")


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.import_slim")


if __name__ == "__main__":
    run()
