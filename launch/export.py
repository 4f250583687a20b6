"""Exports the trunk of a pretraining run as a SavedModel for fine-tuning.

python -m launch.export --model_dir=DIR --output=DIR
"""

from absl import flags

from selfsup.command_line import command, path_flags

_MODEL_DIR = path_flags.define_path(
    "model_dir", None, "Folder of the pretraining run.", required=True
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder of the SavedModel; made, and refused if it has files.",
    required=True,
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "Name of a checkpoint or snapshot of the run; the newest checkpoint by default.",
)
_OUTPUT_STRIDE = flags.DEFINE_enum(
    "output_stride", "8", ["8", "16", "32"], "Input pixels per feature of the export."
)
_RECALIBRATE_BN = path_flags.define_path(
    "recalibrate_bn",
    None,
    "Built data set whose photos the BN statistics are measured on anew; without it "
    "they are the moving averages over all tasks' inputs.",
)
_RECALIBRATION_IMAGES = flags.DEFINE_integer(
    "recalibration_images", 1024, "Images to measure on, at most.", lower_bound=1
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace an export that is there.")


def main(_):
    """Reads the flags and exports."""
    from selfsup.export import from_run

    from_run.export_run(
        _MODEL_DIR.value,
        _OUTPUT.value,
        checkpoint=_CHECKPOINT.value,
        output_stride=int(_OUTPUT_STRIDE.value),
        recalibrate_on=_RECALIBRATE_BN.value,
        recalibration_images=_RECALIBRATION_IMAGES.value,
        overwrite=_OVERWRITE.value,
    )
    print(f"exported: {_OUTPUT.value}")


def run():
    """Entry point of the console command."""
    command.run(main, "launch.export")


if __name__ == "__main__":
    run()
