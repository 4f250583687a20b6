"""From a preset and overrides to one resolved configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from selfsup import tasks as task_registry
from selfsup.common import config_file, overrides
from selfsup.common.errors import UserError
from selfsup.hybrid.assignment import AGGREGATIONS
from selfsup.pretraining import presets, step_costs

MAX_LOST_FRACTION = 0.01
# What may differ between a run and its continuation.
_MAY_CHANGE = ("steps", "end_cost", "checkpoint_seconds", "max_lost_fraction")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that shapes a pretraining run.

    Attributes:
      preset: name of the preset that it started from.
      trunk: a `TrunkConfig`.
      tasks: dict of task configs by task name.
      weights: dict of turn weights by task name.
      steps: steps of a task of weight 1.
      rmsprop: name in `hybrid.rmsprop.NAMED`.
      lasso: weight of the L1 penalty on alpha; 0 for no combination layer.
      seed: of everything random.
      checkpoint_seconds: most seconds of work that a crash may lose.
      snapshot_cost: a snapshot at each multiple of this cost; 0 for none.
      end_cost: cost at which the run ends; 0 for steps alone.
      validation_batches: held-out batches a task is validated on, at most.
      validation_steps: steps of a task between validations.
      log_steps: steps of a task between rows of history, each their mean.
      max_lost_fraction: of an epoch's records, or of the examples seen where these are
        more, that damaged shards may lose before the run ends.
      aggregation: name in `hybrid.assignment.AGGREGATIONS`.
      costs: name in `step_costs.COSTS`.
    """

    preset: str
    trunk: object
    tasks: dict
    weights: dict
    steps: int
    rmsprop: str
    lasso: float
    seed: int
    checkpoint_seconds: float
    snapshot_cost: float
    end_cost: float
    validation_batches: int
    validation_steps: int
    log_steps: int
    max_lost_fraction: float = MAX_LOST_FRACTION
    aggregation: str = "hybrid"
    costs: str = step_costs.DEFAULT

    def planned_steps(self) -> dict[str, int]:
        """Steps that each task takes at most, in proportion to its weight."""
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
        """Steps after which each task will have ended, or at most so many: to be shown.

        As planned, and no more than the cost clock's end allows, rounded up, as the
        clock itself ends the run. Tasks that go on side by side are not held to a
        proportion by it (paper section 6.1: the summed cost decides), so each may take
        what it could alone.

        Args:
          costs: of a replica's step by task; those that are still to be measured
            missing.
          replicas: by task; an asynchronous step is of one of them.
          takes_turns: whether one task steps at a time.
        """
        planned = self.planned_steps()
        if not self.end_cost or set(costs) != set(planned):
            return planned
        if self.aggregation != "async":
            costs = {name: cost * replicas[name] for name, cost in costs.items()}
        if takes_turns or self.aggregation == "sync":
            round_cost = sum(self.weights[name] * cost for name, cost in costs.items())
            costs = {name: round_cost / self.weights[name] for name in costs}
        return {
            name: min(steps, math.ceil(self.end_cost / costs[name]))
            for name, steps in planned.items()
        }


def resolve(
    preset,
    task_names,
    *,
    task_overrides=(),
    weights=(),
    trunk_overrides=(),
    harmonize=False,
    mixed_precision=False,
    steps=None,
    rmsprop=None,
    lasso=0.0,
    seed=0,
    checkpoint_seconds=600.0,
    snapshot_cost=None,
    end_cost=None,
    max_lost_fraction=MAX_LOST_FRACTION,
    aggregation="hybrid",
    costs=step_costs.DEFAULT,
):
    """Resolves what the command line gives to a `RunConfig`.

    Args:
      preset: name in `presets.PRESETS`.
      task_names: registered names.
      task_overrides: strings "TASK.KEY=VALUE".
      weights: strings "TASK=NUMBER"; 1 for a task that is not named.
      trunk_overrides: strings "KEY=VALUE".
      harmonize: sets that field of every task that has it (paper section 3.3).
      mixed_precision: bfloat16 in the trunk.
      steps, rmsprop, snapshot_cost, end_cost: None for the preset's.
      lasso, seed, checkpoint_seconds, max_lost_fraction, aggregation, costs: as in
        `RunConfig`.

    Raises:
      UserError: for unknown names, with the list of known ones, for values of the
        wrong type, and for those that a task cannot compute with.
    """
    from selfsup.hybrid import rmsprop as rmsprop_module
    from selfsup.trunk.resnet_v2 import TrunkConfig

    base = overrides.look_up("--preset", preset, presets.PRESETS)
    rmsprop = _or(rmsprop, base.rmsprop)
    overrides.look_up("--rmsprop", rmsprop, rmsprop_module.NAMED)
    overrides.look_up("--costs", costs, step_costs.COSTS)
    if not task_names or len(set(task_names)) != len(task_names):
        raise UserError(f"--tasks: expected distinct tasks, got {list(task_names)}")
    trunk = dataclasses.replace(
        TrunkConfig(), **base.trunk, mixed_precision=mixed_precision
    )
    config = RunConfig(
        preset=preset,
        trunk=_trunk_config(trunk, trunk_overrides),
        tasks=_task_configs(base, task_names, task_overrides, harmonize),
        weights=_weights(task_names, weights),
        steps=_or(steps, base.steps),
        rmsprop=rmsprop,
        lasso=lasso,
        seed=seed,
        checkpoint_seconds=checkpoint_seconds,
        snapshot_cost=_or(snapshot_cost, base.snapshot_cost),
        end_cost=_or(end_cost, base.end_cost),
        validation_batches=base.validation_batches,
        validation_steps=base.validation_steps,
        log_steps=base.log_steps,
        max_lost_fraction=max_lost_fraction,
        aggregation=aggregation,
        costs=costs,
    )
    _check_costs(config)
    tasks = {
        name: task_registry.task_class(name)(task)
        for name, task in config.tasks.items()
    }
    _check_aggregation(config, tasks)
    return config


def _trunk_config(config, texts):
    for text in texts:
        key, value = overrides.split(text, "=", "--trunk_set", "KEY=VALUE")
        if key == "output_stride":
            raise UserError(
                f"--trunk_set={text}: each task has its output stride; that of the "
                "export is a flag of launch.export"
            )
        config = overrides.override(config, key, value, f"--trunk_set={text}")
    return config


def _or(value, default):
    return default if value is None else value


def _task_configs(preset, task_names, texts, harmonize):
    configs = {}
    for name in task_names:
        config = task_registry.task_class(name).Config()
        config = dataclasses.replace(config, **preset.tasks.get(name, {}))
        if harmonize and hasattr(config, "harmonize"):
            config = dataclasses.replace(config, harmonize=True)
        configs[name] = config
    if harmonize and not any(getattr(one, "harmonize", 0) for one in configs.values()):
        raise UserError(f"--harmonize: none of {', '.join(configs)} has such an option")
    for text in texts:
        path, value = overrides.split(text, "=", "--task_set", "TASK.KEY=VALUE")
        name, key = overrides.split(path, ".", "--task_set", "TASK.KEY=VALUE")
        config = overrides.look_up("--task_set", name, configs)
        configs[name] = overrides.override(config, key, value, f"--task_set={text}")
    return configs


def _check_costs(config):
    """Costs that are measured are in another unit than those that are given."""
    if config.costs != "measured":
        return
    without = [name for name, task in config.tasks.items() if not task.step_cost]
    if without and len(without) < len(config.tasks):
        raise UserError(
            "--costs=measured: step_cost is given for some tasks but not for "
            f"{', '.join(without)}: measured costs are seconds and do not add up with "
            f"given ones; give --task_set={without[0]}.step_cost=SECONDS too"
        )


def _check_aggregation(config, tasks):
    overrides.look_up("--aggregation", config.aggregation, AGGREGATIONS)
    if config.aggregation != "sync":
        return
    rates = {name: task.learning_rate_schedule() for name, task in tasks.items()}
    for flag, what, values in (
        ("--task_weights", "weight", config.weights),
        ("--task_set=TASK.learning_rate", "learning rate", rates),
    ):
        if len(set(values.values())) > 1:
            text = ", ".join(f"{name} {value}" for name, value in values.items())
            raise UserError(
                "--aggregation=sync: all tasks step together, so there is one "
                f"{what} for all; {flag} gives {text}"
            )


def _weights(task_names, texts):
    weights = dict.fromkeys(task_names, 1.0)
    for text in texts:
        name, value = overrides.split(text, "=", "--task_weights", "TASK=NUMBER")
        overrides.look_up("--task_weights", name, weights)
        weights[name] = overrides.parse(value, float, f"--task_weights={text}")
        if not weights[name] > 0:
            raise UserError(f"--task_weights={text}: expected a number above 0")
    return weights


def for_data(config, sets):
    """`config` with what the tasks take from their data filled in.

    Args:
      config: a `RunConfig`.
      sets: dict of the `Manifest`s of each task.

    Raises:
      UserError: where a task cannot do with its data.
    """
    tasks = {
        name: task_registry.task_class(name).complete_config(task, sets[name])
        for name, task in config.tasks.items()
    }
    return dataclasses.replace(config, tasks=tasks)


def save(config, model_dir):
    """Writes the resolved config beside the checkpoints, or compares it with what is
    there.

    Raises:
      UserError: when the folder holds a run of another configuration; says what differs.
    """
    config_file.save(config, model_dir, "--model_dir", _MAY_CHANGE)
