"""Exports the trunk of a pretraining run as a SavedModel for fine-tuning.

python -m launch.export --model_dir=DIR --output=DIR
"""

from __future__ import annotations

from absl import flags

from selfsup.command_line import command, path_flags

_MODEL_DIR = path_flags.define_path(
    "model_dir", None, "Folder of the pretraining run.", required=True
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder of the SavedModel; created. A folder with files is refused.",
    required=True,
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "Name of a checkpoint or snapshot of the run. Default: the newest checkpoint.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    "saved_model",
    ["saved_model", "onnx"],
    "saved_model: the SavedModel. onnx: the same, and the trunk as trunk.onnx beside it, "
    "for ONNX Runtime; this needs the extra onnx (pip install -e '.[onnx]').",
)
_OUTPUT_STRIDE = flags.DEFINE_enum(
    "output_stride", "8", ["8", "16", "32"], "Input pixels per feature."
)
_RECALIBRATE_BN = path_flags.define_path(
    "recalibrate_bn",
    None,
    "Folder of a built data set. The statistics of batch normalisation are measured "
    "again on its photos. Default: the moving averages over the inputs of all tasks.",
)
_RECALIBRATION_IMAGES = flags.DEFINE_integer(
    "recalibration_images", 1024, "The most images to measure on.", lower_bound=1
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace an existing export.")


def main(_: list[str]) -> None:
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
        onnx=_FORMAT.value == "onnx",
    )
    print(f"exported: {_OUTPUT.value}")


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.export")


if __name__ == "__main__":
    run()
