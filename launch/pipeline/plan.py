"""The plan of a pipeline: its stages, each one command that a person could type."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from launch.pipeline.commands import Command, Value
from launch.pipeline.inputs import Input
from selfsup.pretraining import presets

# Steps of each task after which the speed is known: the first traces the graph.
SPEED_STEPS = 10
PRETRAIN, SPEED, REPORT = "pretrain", "speed", "report"
PRETRAINED, RANDOM = "pretrained", "random"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a pipeline is to do.

    Attributes:
      output: folder of all results.
      photos: the photos.
      videos: the videos; None leaves out the tasks that need them.
      labelled: photos in folders that name their classes; None evaluates nothing.
      preset: name of the preset of pretraining and evaluations.
      steps: pretraining steps of a task of weight 1.
      measures_speed: whether a first stage takes a few of these steps, to estimate how
        long they all take.
      visible_gpus: value of CUDA_VISIBLE_DEVICES for the pretraining; "" leaves it.
      takes_turns: whether only one task at a time takes a step.
      held_out_share: share of photos and videos to hold out; None depends on their
        number.
      pretraining: further flags of `launch.pretrain`.
      evaluations: flags of each evaluation, by its name in `eval.registry`.
    """

    output: str
    photos: Input
    videos: Input | None
    labelled: Input | None
    preset: str
    steps: int
    measures_speed: bool
    visible_gpus: str = ""
    takes_turns: bool = True
    held_out_share: float | None = None
    pretraining: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    evaluations: Mapping[str, Mapping[str, Value]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks to train."""
        return presets.default_tasks(videos=self.videos is not None)

    @property
    def labels_are_photos(self) -> bool:
        """Whether the labelled photos are the photos themselves."""
        return self.labelled is not None and os.path.realpath(
            self.labelled.path
        ) == os.path.realpath(self.photos.path)

    def path(self, *names: str) -> str:
        """Returns a path in the folder of the results."""
        return os.path.join(self.output, *names)

    def with_trunk(self, assignments: Sequence[str]) -> Settings:
        """Returns the settings with another trunk, pretrained and random.

        Args:
          assignments: KEY=VALUE, fields of the trunk's configuration; none for the trunk
            of the preset.

        Raises:
          UserError: for what `launch.pretrain` would refuse.
        """
        if not assignments:
            return self
        # Imports TensorFlow, which a pipeline does not need otherwise.
        from selfsup.pretraining import configuration

        chosen = configuration.resolve(
            self.preset, self.tasks, trunk_overrides=assignments
        ).trunk
        # For the random trunk; a pretrained trunk knows its own kind and depth.
        same = {"trunk_kind": chosen.kind, "depth": chosen.depth}
        return dataclasses.replace(
            self,
            pretraining={**self.pretraining, "trunk_set": tuple(assignments)},
            evaluations={
                name: {**options, **same} for name, options in self.evaluations.items()
            },
        )


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of a pipeline.

    Attributes:
      name: key of the stage.
      title: what it does, in the imperative.
      command: the command.
      result: a file that it writes last.
    """

    name: str
    title: str
    command: Command
    result: str


def stages(settings: Settings) -> tuple[Stage, ...]:
    """Returns the stages in their order."""
    return (
        *_data(settings),
        *_pretraining(settings),
        *_evaluations(settings),
        Stage(
            REPORT,
            "write the report",
            Command(
                "launch.report",
                {"input": settings.output, "output": settings.path("report")},
            ),
            settings.path("report", "report.html"),
        ),
    )


def _data(settings: Settings) -> tuple[Stage, ...]:
    photos: dict[str, Value] = {}
    if settings.labels_are_photos:
        photos["labels"] = "folders"
    built = [_build(settings, "photos", settings.photos, "data/photos", photos)]
    if settings.videos is not None:
        built.append(_build(settings, "videos", settings.videos, "data/videos", {}))
    if settings.labelled is not None and not settings.labels_are_photos:
        labels: dict[str, Value] = {"labels": "folders"}
        built.append(
            _build(settings, "labelled", settings.labelled, "labelled", labels)
        )
    prior = settings.path("data", "color_prior.csv")
    measured = Command(
        "data_prep.color_prior", {"data": settings.path("data"), "output": prior}
    )
    return (
        *built,
        Stage("prior", "measure how often each colour occurs", measured, prior),
    )


def _build(
    settings: Settings, name: str, given: Input, folder: str, flags: Mapping[str, Value]
) -> Stage:
    share = settings.held_out_share
    options: dict[str, Value] = {
        "input": given.path,
        **flags,
        "output": settings.path(folder),
        "validation_fraction": given.held_out_share if share is None else share,
    }
    module = "data_prep.videos" if name == "videos" else "data_prep.photos"
    kind = {"videos": "videos", "photos": "photos", "labelled": "labelled photos"}[name]
    return Stage(
        name,
        f"build the data set of {given.count:,} {kind}",
        Command(module, options),
        settings.path(folder, "manifest.json"),
    )


def _pretraining(settings: Settings) -> tuple[Stage, ...]:
    run = settings.path("run")
    stages = [
        Stage(
            PRETRAIN,
            f"pretrain: {settings.steps:,} steps of each of {len(settings.tasks)} tasks",
            _pretrain(settings, settings.steps),
            os.path.join(run, "validation.json"),
        ),
        Stage(
            "export",
            "export the trunk",
            Command(
                "launch.export",
                {
                    "model_dir": run,
                    "output": settings.path("trunk"),
                    "recalibrate_bn": settings.path("data", "photos"),
                    "overwrite": True,
                },
            ),
            settings.path("trunk", "saved_model.pb"),
        ),
    ]
    if settings.measures_speed:
        command = _pretrain(settings, min(SPEED_STEPS, settings.steps))
        first = Stage(
            SPEED,
            "take the first steps of the pretraining, to measure the speed",
            command,
            os.path.join(run, "history.jsonl"),
        )
        stages.insert(0, first)
    return tuple(stages)


def _pretrain(settings: Settings, steps: int) -> Command:
    prior = settings.path("data", "color_prior.csv")
    options: dict[str, Value] = {
        "data": settings.path("data"),
        "model_dir": settings.path("run"),
        "preset": settings.preset,
        "steps": steps,
        "task_set": tuple(
            f"{field}={prior}" for field in presets.color_prior_fields(settings.tasks)
        ),
        **settings.pretraining,
    }
    if settings.tasks != presets.DEFAULT_TASKS:
        options["tasks"] = ",".join(settings.tasks)
    visible = settings.visible_gpus
    return Command(
        "launch.pretrain",
        options,
        {"CUDA_VISIBLE_DEVICES": visible} if visible else {},
    )


def _evaluations(settings: Settings) -> tuple[Stage, ...]:
    if settings.labelled is None:
        return ()
    data = settings.path("data/photos" if settings.labels_are_photos else "labelled")
    trunks = {PRETRAINED: settings.path("trunk"), RANDOM: "random"}
    stages = []
    for name, flags in settings.evaluations.items():
        for which, trunk in trunks.items():
            output = settings.path("evaluations", name, which)
            options: dict[str, Value] = {
                "trunk": trunk,
                "data": data,
                "output": output,
                "preset": settings.preset,
                **flags,
            }
            stages.append(
                Stage(
                    f"{name}/{which}",
                    f"evaluate the {which} trunk: {name}",
                    Command(f"eval.{name}", options),
                    os.path.join(output, "metrics.json"),
                )
            )
    return tuple(stages)
