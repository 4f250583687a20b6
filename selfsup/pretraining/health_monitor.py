"""Looks at the health of a run's networks, and warns of what goes wrong."""

from __future__ import annotations

from typing import Callable

from selfsup.pretraining import health


class HealthMonitor:
    """Counts dead units and measures updates; warns once of each sign of trouble."""

    def __init__(self, network, groups: dict, validators: dict, say: Callable):
        """
        Args:
          network: a `MultiTaskNetwork`.
          groups: what counts each task's steps and knows its last updates.
          validators: dict of `Validator` by task, for the tasks that have one.
          say: takes a line for the user.
        """
        self._network = network
        self._groups = groups
        self._validators = validators
        self._say = say
        self._warned = {name: set() for name in groups}

    def look(self, name: str) -> dict[str, float]:
        """Scalars of `health.Health`, of a task as it is now.

        Dead units are counted on held-out records, so only where there are any.
        """
        dead = {}
        if name in self._validators:
            dead = self._validators[name].dead_units()
        updates = self._groups[name].last_updates()
        found = health.examine(self._network, name, dead, updates)
        rate = self._network.tasks[name].config.learning_rate
        setting = f"--task_set={name}.learning_rate (now {rate:g})"
        warnings = found.warnings(setting)
        for sign, text in warnings.items():
            if sign not in self._warned[name]:
                self._say(f"{name}: {text}")
        # What was well in between is told again.
        self._warned[name] = set(warnings)
        return found.scalars()
