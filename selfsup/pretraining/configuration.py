"""The configuration of a pretraining run, resolved from a preset and overrides."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from selfsup import tasks as task_registry
from selfsup.common import config_file, overrides
from selfsup.common.errors import SettingError
from selfsup.hybrid.assignment import AGGREGATIONS
from selfsup.pretraining import config_checks, presets, step_costs, weighting
from selfsup.pretraining.presets import Preset

if TYPE_CHECKING:
    from selfsup.data.manifest import Manifest
    from selfsup.tasks.task import TaskConfig
    from selfsup.trunk.trunk import TrunkConfig

# The fields in which a resumed run may differ from the run as it was started.
_MAY_CHANGE = ("steps", "end_cost", "checkpoint_seconds", "max_lost_fraction")
# The fields whose default depends on the preset.
_FROM_PRESET = (
    "steps",
    "rmsprop",
    "snapshot_cost",
    "end_cost",
    "validation_batches",
    "validation_steps",
    "log_steps",
)
# Key of an `Option` in the metadata of a field.
_OPTION = "option"


@dataclasses.dataclass(frozen=True)
class Option:
    """What a user needs to know to set a field of `RunConfig`.

    Attributes:
      help: what the value means.
      choices: the allowed strings; empty for any.
      lower_bound: the least allowed number; None for any.
      upper_bound: the greatest allowed number; None for any.
    """

    help: str
    choices: Sequence[str] = ()
    lower_bound: float | None = None
    upper_bound: float | None = None


def _option(text: str, **limits: Any) -> dict[str, Option]:
    """The metadata of a field that a user may set; `limits` are fields of `Option`."""
    return {_OPTION: Option(text, **limits)}


def _explained(choices: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in choices.items())


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that determines a pretraining run.

    The fields with an `Option` are explained there; `launch.pretrain` has a flag for each
    of them.

    Attributes:
      preset: name of the preset that the configuration is based on.
      trunk: configuration of the trunk.
      tasks: configuration of each task, by task name.
      weights: by task name, how many steps a task takes in proportion to the others.
      validation_batches: the most held-out batches that a validation of a task reads.
      validation_steps: steps of a task between two validations.
      log_steps: steps of a task between two rows of the history; a row is their mean.
    """

    preset: str
    trunk: TrunkConfig
    tasks: dict[str, TaskConfig]
    weights: dict[str, float]
    validation_batches: int
    validation_steps: int
    log_steps: int
    steps: int = field(
        metadata=_option(
            "Steps of a task of weight 1. Default: set by the preset.", lower_bound=1
        )
    )
    rmsprop: str = field(
        metadata=_option(
            "Constants of RMSProp: scale_invariant or slim. Default: set by the preset."
        )
    )
    snapshot_cost: float = field(
        metadata=_option(
            "Keep a snapshot at each multiple of this cost. The cost is the sum over the "
            "steps of all tasks and replicas, in the unit that the option "
            "costs chooses. 0: no snapshots. Default: set by the preset.",
            lower_bound=0.0,
        )
    )
    end_cost: float = field(
        metadata=_option(
            "Cost at which the run ends. 0: only the option steps ends it. Default: set "
            "by the preset.",
            lower_bound=0.0,
        )
    )
    lasso: float = field(
        default=0.0,
        metadata=_option(
            "Weight of the L1 penalty on alpha (paper section 3.2). 0, and no "
            "group_lasso: every head receives the output of the trunk's last unit.",
            lower_bound=0.0,
        ),
    )
    group_lasso: float = field(
        default=0.0,
        metadata=_option(
            "Weight of the penalty on blocks of units of alpha (paper section 7), in "
            "addition to the option lasso or without it. 0: no such penalty.",
            lower_bound=0.0,
        ),
    )
    group_units: int = field(
        default=4,
        metadata=_option(
            "With the option group_lasso: consecutive units in a block, from the "
            "shallowest unit.",
            lower_bound=1,
        ),
    )
    weighting: str = field(
        default=weighting.NONE,
        metadata=_option(
            "How tasks are weighted during training (paper section 7), by factors of their "
            f"learning rates with mean 1: {_explained(weighting.descriptions())}.",
            choices=tuple(weighting.descriptions()),
        ),
    )
    augment: bool = field(
        default=False,
        metadata=_option(
            "Augment the training batches of all tasks as in the exemplar task (paper "
            "section 7); docs/extensions.md says which parts each task takes."
        ),
    )
    seed: int = field(
        default=0, metadata=_option("Seed of all random numbers.", lower_bound=0)
    )
    checkpoint_seconds: float = field(
        default=600.0,
        metadata=_option(
            "Seconds between checkpoints: the most work that a crash may lose.",
            lower_bound=0.0,
        ),
    )
    max_lost_fraction: float = field(
        default=0.01,
        metadata=_option(
            "Share of records that may be missing because shards are damaged. It is a "
            "share of the records of an epoch, or of the examples seen if these are more. "
            "Other records replace the missing ones; above this share the run ends.",
            lower_bound=0.0,
            upper_bound=1.0,
        ),
    )
    stop_overfitting: int = field(
        default=0,
        metadata=_option(
            "A task takes no more steps after this number of validations in a row "
            "without a lower held-out loss; the other tasks continue. 0: never.",
            lower_bound=0,
        ),
    )
    aggregation: str = field(
        default="hybrid",
        metadata=_option(
            "How the gradients of the workers are aggregated (paper section 4): "
            f"{_explained(AGGREGATIONS)}.",
            choices=tuple(AGGREGATIONS),
        ),
    )
    costs: str = field(
        default=step_costs.DEFAULT,
        metadata=_option(
            "What a step costs on the cost clock (paper section 6.1): "
            f"{_explained(step_costs.COSTS)}.",
            choices=tuple(step_costs.COSTS),
        ),
    )

    def planned_steps(self) -> dict[str, int]:
        """Returns the most steps that each task takes, in proportion to its weight."""
        return {
            name: max(1, round(self.steps * weight))
            for name, weight in self.weights.items()
        }

    def expected_steps(
        self,
        costs: Mapping[str, float],
        replicas: Mapping[str, int],
        takes_turns: bool,
    ) -> dict[str, int]:
        """Estimates the steps of each task at the end of the run, for progress displays.

        These are the planned steps, or fewer if the cost clock ends the run first.
        Tasks that train in parallel keep no fixed proportion, because only the total
        cost decides (paper section 6.1). The estimate for such a task is the most that
        it could take if the other tasks took none.

        Args:
          costs: by task, the cost of a step of one replica. Tasks whose cost is still
            to be measured are missing.
          replicas: number of replicas by task.
          takes_turns: whether only one task at a time takes a step.

        Returns:
          steps by task, rounded up as the cost clock does.
        """
        planned = self.planned_steps()
        if not self.end_cost or set(costs) != set(planned):
            return planned
        # In asynchronous mode each step is the step of a single replica.
        if self.aggregation != "async":
            costs = {name: cost * replicas[name] for name, cost in costs.items()}
        if takes_turns or self.aggregation == "sync":
            round_cost = sum(self.weights[name] * cost for name, cost in costs.items())
            costs = {name: round_cost / self.weights[name] for name in costs}
        return {
            name: min(steps, math.ceil(self.end_cost / costs[name]))
            for name, steps in planned.items()
        }


def options() -> dict[str, tuple[dataclasses.Field[Any], Option]]:
    """Lists the fields of `RunConfig` that a user may set, by name."""
    return {
        each.name: (each, each.metadata[_OPTION])
        for each in dataclasses.fields(RunConfig)
        if _OPTION in each.metadata
    }


def resolve(
    preset: str,
    task_names: Sequence[str],
    *,
    task_overrides: Iterable[str] = (),
    weights: Iterable[str] = (),
    trunk_overrides: Iterable[str] = (),
    harmonize: bool = False,
    mixed_precision: bool = False,
    **given: bool | int | float | str | None,
) -> RunConfig:
    """Builds the configuration of a run from what a user gives.

    Args:
      preset: name in `presets.PRESETS`.
      task_names: registered names of the tasks to train.
      task_overrides: strings "TASK.KEY=VALUE".
      weights: strings "TASK=NUMBER"; the default weight is 1.
      trunk_overrides: strings "KEY=VALUE".
      harmonize: sets the field of this name in all task configurations that have it
        (paper section 3.3).
      mixed_precision: whether trunk and heads compute in bfloat16.
      **given: values of the fields named by `options`; None for the default.

    Raises:
      UserError: if a name is unknown, if a value has the wrong type, or if a task
        cannot compute with a value.
    """
    base = overrides.look_up("preset", preset, presets.PRESETS)
    if not task_names:
        raise SettingError("tasks", "give at least one task")
    for name in task_names:
        if task_names.count(name) > 1:
            raise SettingError("tasks", f"{name} is listed twice")
    # Any: each of these fields has a type of its own.
    values: dict[str, Any] = {name: getattr(base, name) for name in _FROM_PRESET}
    values.update({name: value for name, value in given.items() if value is not None})
    trunk = _trunk_config(base, trunk_overrides, mixed_precision)
    task_configs = _task_configs(base, task_names, task_overrides, harmonize)
    config = RunConfig(
        preset=preset,
        trunk=trunk,
        tasks={
            name: task_registry.task_class(name).config_for_trunk(task, trunk)
            for name, task in task_configs.items()
        },
        weights=_weights(task_names, weights),
        **values,
    )
    config_checks.check(config)
    return config


def _trunk_config(
    preset: Preset, assignments: Iterable[str], mixed_precision: bool
) -> TrunkConfig:
    from selfsup.trunk import REGISTRY, suitable_depth
    from selfsup.trunk.trunk import TrunkConfig

    assignments = tuple(assignments)
    given = dict(
        overrides.split(text, "=", "trunk_set", "KEY=VALUE") for text in assignments
    )
    if "output_stride" in given:
        raise SettingError(
            f"trunk_set=output_stride={given['output_stride']}",
            "each task has its own output stride; the output stride of an export is an "
            "option of launch.export",
        )
    values = dict(preset.trunk)
    if "kind" in given:
        kind = given["kind"]
        overrides.look_up("trunk_set=kind", kind, REGISTRY)
        values = {
            **values,
            "kind": kind,
            "depth": suitable_depth(kind, values["depth"]),
        }
    config = TrunkConfig(**values, mixed_precision=mixed_precision)
    return overrides.apply(config, assignments, "trunk_set")


def _task_configs(
    preset: Preset,
    task_names: Iterable[str],
    assignments: Iterable[str],
    harmonize: bool,
) -> dict[str, TaskConfig]:
    configs = {}
    for name in task_names:
        config_class = task_registry.task_class(name).Config
        values = dict(preset.tasks.get(name, {}))
        if harmonize and hasattr(config_class, "harmonize"):
            values["harmonize"] = True
        configs[name] = config_class(**values)
    if harmonize and not any(hasattr(each, "harmonize") for each in configs.values()):
        raise SettingError("harmonize", f"none of {', '.join(configs)} has this option")
    for text in assignments:
        path, value = overrides.split(text, "=", "task_set", "TASK.KEY=VALUE")
        name, key = overrides.split(path, ".", "task_set", "TASK.KEY=VALUE")
        config = overrides.look_up("task_set", name, configs)
        configs[name] = overrides.override(config, key, value, f"task_set={text}")
    return configs


def _weights(task_names: Iterable[str], assignments: Iterable[str]) -> dict[str, float]:
    weights = dict.fromkeys(task_names, 1.0)
    for text in assignments:
        name, value = overrides.split(text, "=", "task_weights", "TASK=NUMBER")
        overrides.look_up("task_weights", name, weights)
        weights[name] = overrides.parse(value, float, f"task_weights={text}")
        if not weights[name] > 0:
            raise SettingError(f"task_weights={text}", "expected a number above 0")
    return weights


def for_data(config: RunConfig, sets: Mapping[str, list[Manifest]]) -> RunConfig:
    """Fills in the values that the tasks take from their data.

    Args:
      config: the configuration of the run.
      sets: the manifests of the built data sets by task.

    Raises:
      UserError: if a task cannot use its data.
    """
    tasks = {
        name: task_registry.task_class(name).complete_config(task, sets[name])
        for name, task in config.tasks.items()
    }
    return dataclasses.replace(config, tasks=tasks)


def save_or_compare(config: RunConfig, model_dir: str) -> None:
    """Writes a configuration to the folder of its run, or compares it with the file there.

    Raises:
      UserError: if the folder holds a run with another configuration; the message lists
        the differences.
    """
    config_file.save_or_compare(config, model_dir, "model_dir", _MAY_CHANGE)
