"""Refuses configurations of a run whose values do not fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from selfsup import tasks as task_registry
from selfsup.common import overrides
from selfsup.common.errors import SettingError
from selfsup.hybrid.assignment import AGGREGATIONS
from selfsup.pretraining import step_costs, weighting

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig
    from selfsup.tasks.task import Task


def check(config: RunConfig) -> None:
    """Checks a configuration before anything is built from it.

    Raises:
      UserError: if a name is unknown, if a task cannot compute with a value, or if two
        values exclude each other.
    """
    from selfsup.hybrid.rmsprop import NAMED

    overrides.look_up("rmsprop", config.rmsprop, NAMED)
    overrides.look_up("costs", config.costs, step_costs.COSTS)
    overrides.look_up("aggregation", config.aggregation, AGGREGATIONS)
    overrides.look_up("weighting", config.weighting, weighting.descriptions())
    _check_costs(config)
    # A task checks its configuration when it is constructed.
    tasks = {
        name: task_registry.task_class(name)(task)
        for name, task in config.tasks.items()
    }
    _check_synchronous(config, tasks)


def _check_costs(config: RunConfig) -> None:
    """Refuses a mix of measured and given costs, which have different units."""
    if config.costs != "measured":
        return
    missing = [name for name, task in config.tasks.items() if not task.step_cost]
    if missing and len(missing) < len(config.tasks):
        raise SettingError(
            "costs=measured",
            "step_cost is given for some tasks but not for "
            f"{', '.join(missing)}. Measured costs are in seconds and cannot be added "
            f"to given costs; give task_set={missing[0]}.step_cost=SECONDS too",
        )


def _check_synchronous(config: RunConfig, tasks: Mapping[str, Task]) -> None:
    if config.aggregation != "sync":
        return
    if config.weighting != weighting.NONE:
        raise SettingError(
            f"weighting={config.weighting}",
            "changes the learning rate of each task, but with aggregation=sync all tasks "
            "take their steps together, with one learning rate; use aggregation=hybrid or "
            "weighting=none",
        )
    if config.stop_overfitting:
        raise SettingError(
            f"stop_overfitting={config.stop_overfitting}",
            "with aggregation=sync all tasks take their steps together, so none can stop "
            "before the others; remove one of the two",
        )
    rates = {name: task.learning_rate_schedule() for name, task in tasks.items()}
    for setting, what, values in (
        ("task_weights", "weight", config.weights),
        ("task_set=TASK.learning_rate", "learning rate", rates),
    ):
        if len(set(values.values())) > 1:
            text = ", ".join(f"{name} {value}" for name, value in values.items())
            raise SettingError(
                "aggregation=sync",
                "all tasks take their steps together, so they need the same "
                f"{what}; {setting} gives {text}",
            )
