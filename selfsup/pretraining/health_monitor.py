"""Watches the health of a run's networks and warns the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from selfsup.hybrid.step_counts import TaskProgress
from selfsup.pretraining import health
from selfsup.pretraining.network import MultiTaskNetwork
from selfsup.pretraining.validation import Validator


class HealthMonitor:
    """Counts dead units and measures updates; warns once about each problem."""

    def __init__(
        self,
        network: MultiTaskNetwork,
        groups: Mapping[str, TaskProgress],
        validators: Mapping[str, Validator],
        say: Callable[[str], None],
    ) -> None:
        """
        Args:
          network: the network with the master variables.
          groups: the progress of each task by name.
          validators: by task, for the tasks with held-out records.
          say: prints a line for the user.
        """
        self._network = network
        self._groups = groups
        self._validators = validators
        self._say = say
        self._warned: dict[str, set[str]] = {name: set() for name in groups}

    def check(self, name: str) -> dict[str, float]:
        """Checks the network of a task as it is now, and prints new warnings.

        Dead units are counted on held-out records, so only for tasks that have them. A
        warning is repeated only if the problem was absent in an earlier check.

        Returns:
          the scalars of `health.Health`.
        """
        dead = {}
        if name in self._validators:
            dead = self._validators[name].dead_units()
        updates = self._groups[name].last_updates()
        result = health.examine(self._network, name, dead, updates)
        rate = self._network.tasks[name].config.learning_rate
        warnings = result.warnings(f"task_set={name}.learning_rate (now {rate:g})")
        for problem, text in warnings.items():
            if problem not in self._warned[name]:
                self._say(f"{name}: {text}")
        self._warned[name] = set(warnings)
        return result.scalars()
