"""Pretrains a trunk on your photos and videos, evaluates it, and writes a report.

  python -m launch.quickstart --photos=DIR [--videos=DIR] [--labelled=DIR] --output=DIR

Each stage is one command, which is printed before it starts: build the data sets, measure
the colours, pretrain with a preset that fits this machine, export, evaluate the trunk and a
random trunk on the labelled photos, write the report. Interrupt it at any time, and run the
same command again to resume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from absl import flags

from selfsup import trunk
from selfsup.command_line import command, path_flags
from selfsup.pretraining import presets

if TYPE_CHECKING:
    from launch.pipeline.plan import Settings

_PHOTOS = path_flags.define_path(
    "photos", None, "Folder tree of photos to learn from.", required=True
)
_VIDEOS = path_flags.define_path(
    "videos",
    None,
    "Folder tree of videos; without it, motion segmentation is left out.",
)
_LABELLED = path_flags.define_path(
    "labelled",
    None,
    "Folder with a folder of photos for each class, to compare the trunk with a random "
    "one. It may be the folder of --photos; pretraining does not read the labels.",
)
_OUTPUT = path_flags.define_path(
    "output", None, "Folder for all results.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset",
    None,
    # The preset paper ends by its cost clock, after 16,800 GPU hours.
    [name for name, each in presets.PRESETS.items() if not each.end_cost],
    "Hyperparameters. Default: those that fit this machine.",
)
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Pretraining steps of each task. Default: the preset's. You may change them until the "
    "pretraining has finished.",
    lower_bound=1,
)
_EVALUATIONS = flags.DEFINE_list(
    "evaluations",
    ["imagenet_linear"],
    "What to do with the labelled photos: imagenet_linear (frozen trunk) and few_labels "
    "(all weights, on shares of the labels).",
)
_EVALUATION_STEPS = flags.DEFINE_integer(
    "evaluation_steps",
    None,
    "Training steps of each evaluation. Default: the preset's.",
    lower_bound=1,
)
_TRUNK_SET = flags.DEFINE_multi_string(
    "trunk_set",
    [],
    "KEY=VALUE: sets a field of the trunk's configuration, as in launch.pretrain; may be "
    f"repeated. Kinds of trunks and their depths: {trunk.describe()}. Default: the "
    "preset's trunk.",
)


def main(_: list[str]) -> None:
    """Reads the flags and runs the stages."""
    from launch.pipeline import execution

    settings, reason = _settings()
    print(f"preset {settings.preset}: {reason}")
    print(f"  {presets.PRESETS[settings.preset].description}")
    print(f"  tasks: {', '.join(settings.tasks)}; {settings.steps:,} steps of each")
    execution.run(settings, reason)
    print(f"\n{execution.results(settings)}")


def _settings() -> tuple[Settings, str]:
    """Resolves the flags, after the inputs have been checked.

    Returns:
      (settings, why the preset was chosen).
    """
    from launch.pipeline import inputs, machine, state
    from launch.pipeline.plan import Settings
    from selfsup.common import overrides

    output = _OUTPUT.value
    photos = inputs.find_photos("photos", _PHOTOS.value, output)
    videos = labelled = None
    if _VIDEOS.value:
        videos = inputs.find_videos("videos", _VIDEOS.value, output)
    if _LABELLED.value:
        labelled = inputs.find_labelled("labelled", _LABELLED.value, output)
    steps = (
        {} if _EVALUATION_STEPS.value is None else {"steps": _EVALUATION_STEPS.value}
    )
    known = dict.fromkeys(("imagenet_linear", "few_labels"), steps)
    evaluations = {
        name: overrides.look_up("evaluations", name, known)
        for name in _EVALUATIONS.value
    }
    number = len(presets.default_tasks(videos=videos is not None))
    choice = machine.choose(machine.look(), number)
    preset, reason = choice.preset, choice.reason
    stored = state.read(output)
    if _PRESET.value:
        preset, reason = _PRESET.value, "as --preset says"
    elif stored is not None:
        # The results of a pipeline that resumes elsewhere must not mix presets.
        preset, reason = str(stored["settings"]["preset"]), stored["reason"]
    planned = cast("int", stored["settings"]["steps"]) if stored is not None else None
    settings = Settings(
        output=output,
        photos=photos,
        videos=videos,
        labelled=labelled,
        preset=preset,
        steps=_STEPS.value or planned or presets.PRESETS[preset].steps,
        measures_speed=True,
        visible_gpus=choice.visible_gpus,
        takes_turns=choice.takes_turns,
        evaluations=evaluations if labelled else {},
    )
    return settings.with_trunk(_TRUNK_SET.value), reason


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.quickstart")


if __name__ == "__main__":
    run()
