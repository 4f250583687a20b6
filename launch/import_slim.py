"""Turns a TF-Slim ResNet-v2 checkpoint into a SavedModel of ours.

python -m launch.import_slim --checkpoint=DIR/resnet_v2_101.ckpt --output=DIR
"""

from absl import flags

from selfsup.command_line import command, path_flags

_CHECKPOINT = path_flags.define_readable(
    "checkpoint", None, "Prefix of the checkpoint's files.", required=True
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder of the SavedModel with trunk, block 4 and logits; must not exist.",
    required=True,
)
_OUTPUT_STRIDE = flags.DEFINE_enum(
    "output_stride", "8", ["8", "16", "32"], "Input pixels per feature of the export."
)
_DEPTH = flags.DEFINE_enum(
    "depth", "101", ["50", "101", "152"], "Depth of the checkpoint's network."
)


def main(_):
    """Reads the flags and imports."""
    from selfsup.export import from_slim

    from_slim.export_checkpoint(
        _CHECKPOINT.value,
        _OUTPUT.value,
        depth=_DEPTH.value,
        output_stride=int(_OUTPUT_STRIDE.value),
    )
    print(f"exported: {_OUTPUT.value}")


def run():
    """Entry point of the console command."""
    command.run(main, "launch.import_slim")


if __name__ == "__main__":
    run()
