"""Reports on a pretraining run: terminal, history, TensorBoard, validation, pictures."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.common import files, history
from selfsup.common.history import History
from selfsup.common.png_file import save_png
from selfsup.hybrid.engine import Engine, StopRequest
from selfsup.hybrid.step_counts import TaskProgress
from selfsup.pretraining.combination import Combination
from selfsup.pretraining.combination_figure import draw
from selfsup.pretraining.configuration import RunConfig
from selfsup.pretraining.early_stopping import OverfittingWatch
from selfsup.pretraining.health_monitor import HealthMonitor
from selfsup.pretraining.network import MultiTaskNetwork
from selfsup.pretraining.pretrained_trunk import checkpoint_store
from selfsup.pretraining.progress_display import ProgressDisplay, TaskStatus
from selfsup.pretraining.tensorboard_log import TensorBoardLog
from selfsup.pretraining.training_data import TrainingData
from selfsup.pretraining.validation import Validator

PICTURES_FOLDER = "pictures"
VALIDATION_FILE = "validation.json"


class Reporter:
    """Receives each step of a run, displays it, logs averages, and validates.

    Attributes:
      display: the progress display; a context manager to enter before training.
    """

    def __init__(
        self,
        model_dir: str,
        config: RunConfig,
        network: MultiTaskNetwork,
        engine: Engine,
        data: TrainingData,
        validation_network: Callable[[], MultiTaskNetwork],
        expected_steps: Mapping[str, int],
    ) -> None:
        """
        Args:
          model_dir: folder of the run.
          config: configuration of the run.
          network: network with the master variables.
          engine: training loop, resumed.
          data: records of the run.
          validation_network: returns a network with the current weights that no step
            changes during a validation; always the same object.
          expected_steps: steps of each task at the end of the run.
        """
        self._model_dir = model_dir
        self._config = config
        self._network = network
        self._engine = engine
        self._limits = dict(expected_steps)
        self._damage_limits = data.damage_limits
        self._update_validation_network = validation_network
        # The steps reported so far; the groups may have taken more.
        self._steps = engine.steps()
        self.display = self._build_display()
        self._history = History(model_dir, engine.total_steps())
        self._watch = OverfittingWatch(config.stop_overfitting, history.read(model_dir))
        self._tensorboard = TensorBoardLog(model_dir)
        self._rows: dict[str, list[dict[str, float]]] = {
            name: [] for name in network.tasks
        }
        self._durations: dict[str, list[float]] = {name: [] for name in network.tasks}
        self._validators = {
            name: Validator(
                validation_network(),
                name,
                source,
                network.tasks[name].config.batch_size,
                config.validation_batches,
            )
            for name, source in data.held_out().items()
        }
        self._health = HealthMonitor(
            network, engine.groups, self._validators, self.display.say
        )

    def _build_display(self) -> ProgressDisplay:
        tasks = {
            name: TaskStatus(
                task.metric_specs[0],
                self._limits[name],
                self._engine.groups[name].examples_per_step,
                self._engine.groups[name].steps,
            )
            for name, task in self._network.tasks.items()
        }
        return ProgressDisplay(
            tasks, self._engine.takes_turns, at_most=bool(self._config.end_cost)
        )

    def begin(self, resumed: str | None) -> None:
        """Prints how the run starts, and removes the results of an earlier end.

        Args:
          resumed: name of the checkpoint from which the run was resumed, or None.
        """
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self._model_dir, VALIDATION_FILE))
        if resumed:
            self.display.say(f"resumed from {resumed}")
        for name in self._network.tasks:
            if name not in self._validators:
                self.display.say(f"{name}: no held-out records, so no validation")
        for name in self._watch.stopped():
            self._finish_task(name)
        self.display.say("the first step of each task traces its graph: up to a minute")

    def after_step(self, name: str, logs: dict[str, float], seconds: float) -> None:
        """Records a step of the task `name`.

        Args:
          name: the task.
          logs: scalars of the step.
          seconds: duration of the step.

        Raises:
          UserError: if too many records are missing because of damaged shards.
        """
        group = self._engine.groups[name]
        self._steps[name] += 1
        self.display.update(name, self._steps[name], group.skipped, logs, seconds)
        self._check_damage(name, group)
        self._durations[name].append(seconds)
        if np.all(np.isfinite(list(logs.values()))):
            self._rows[name].append(logs)
        if self._is_due(name, self._config.log_steps) and self._rows[name]:
            rows, self._rows[name] = self._rows[name], []
            mean = {key: float(np.mean([row[key] for row in rows])) for key in logs}
            counts = {"skipped": group.skipped, "stand_ins": group.num_replacements}
            self._log(name, "train", {**mean, **counts, **self._speed(name)})
            self._log_alpha(name)
        if self._health_is_due(name):
            self._update_validation_network()
            if self._is_due(name, self._config.validation_steps):
                self._validate(name)
            self._log(name, "health", self._health.check(name))

    def _speed(self, name: str) -> dict[str, float]:
        """Returns the median duration of the steps since the last call.

        The median does not count the first step, which traces the graph.
        """
        durations, self._durations[name] = self._durations[name], []
        return {"step_seconds": float(np.median(durations))}

    def _check_damage(self, name: str, group: TaskProgress) -> None:
        """Prints the name of each damaged shard once; raises beyond the limit."""
        examples = round(self._steps[name] * group.examples_per_step)
        limit = self._damage_limits[name]
        for shard in limit.check_during_training(
            group.num_replacements, examples, group.damaged_shards
        ):
            self.display.say(
                f"{name}: a damaged shard: {shard}; other records replace the missing "
                "ones"
            )

    def _is_due(self, name: str, period: int) -> bool:
        steps = self._steps[name]
        return steps % period == 0 or steps == self._limits[name]

    def _health_is_due(self, name: str) -> bool:
        """True with each validation, and often at first, when most units die."""
        periods, rest = divmod(self._steps[name], self._config.log_steps)
        is_power_of_two = periods & (periods - 1) == 0
        return (rest == 0 and is_power_of_two) or self._is_due(
            name, self._config.validation_steps
        )

    def _log(self, name: str, split: str, values: Mapping[str, float]) -> None:
        step, total = self._steps[name], sum(self._steps.values())
        self._history.add(name, split, step, total, values)
        self._tensorboard.scalars(name, split, step, values)

    def _log_alpha(self, name: str) -> None:
        combination = self._network.combination
        if combination is None:
            return
        row = combination.row(name).numpy()
        weights = {
            f"alpha/unit_{unit:02d}": float(weight)
            for unit, weight in enumerate(row, start=1)
        }
        self._log(name, "train", weights)
        pictures = {"alpha": self._draw_alpha(combination)}
        self._tensorboard.pictures("combination", self._steps[name], pictures)

    def _draw_alpha(self, combination: Combination) -> npt.NDArray[np.uint8]:
        return draw(combination.alpha().numpy(), tuple(self._limits))

    def _validate(self, name: str) -> None:
        if name not in self._validators:
            return
        values = self._validators[name].measure()
        self._log(name, "validation", values)
        if self._watch.add(name, self._steps[name], values["loss"]):
            total = sum(self._steps.values())
            stop = self._watch.stopped()[name]
            self._history.add(name, "stopped", self._steps[name], total, stop)
            self._finish_task(name)
        pictures = self._validators[name].pictures()
        self._tensorboard.pictures(name, self._steps[name], pictures)

    def _finish_task(self, name: str) -> None:
        """Ends the steps of a task that has stopped learning, and says so."""
        stop = self._watch.stopped()[name]
        self._engine.finish_task(name)
        # A group of its own has taken steps during the validation.
        steps = self._engine.groups[name].steps
        self._limits[name] = self.display.tasks[name].limit = steps
        self.display.say(
            f"{name}: takes no more steps after step {stop['step']}: its lowest held-out "
            f"loss, {stop['best_loss']:.4f}, was at step {stop['best_step']}, and "
            f"{self._watch.patience} validations since have not lowered it "
            "(stop_overfitting)"
        )

    def report_pauses(self, seconds: float) -> None:
        """Prints and logs how much of the training time checkpoints took.

        Args:
          seconds: duration of the training.
        """
        paused = self._engine.pause_seconds
        share = paused / max(seconds, paused, 1e-9)
        self.display.say(
            f"checkpoints paused the tasks for {paused:.1f} s of {seconds:.0f} s "
            f"({share:.1%})"
        )
        total = sum(self._steps.values())
        values = {"pause_seconds": paused, "seconds": seconds, "pause_share": share}
        self._history.add("all", "run", total, total, values)
        self._tensorboard.scalars("checkpoints", "train", total, {"pause_share": share})

    def flush(self) -> None:
        """Writes the logs to the disk, before a checkpoint.

        If this fails, a message is printed and no error raised: a full disk must not
        prevent the attempt to write the checkpoint.
        """
        try:
            self._history.flush()
            self._tensorboard.flush()
        except (OSError, tf.errors.OpError) as error:
            self.display.say(f"the curves were not written: {error}")

    def finish(self, stop: StopRequest) -> bool:
        """Validates all tasks and writes the results and pictures.

        Args:
          stop: asks to stop.

        Returns:
          whether everything was written before a signal asked to stop.
        """
        folder = os.path.join(self._model_dir, PICTURES_FOLDER)
        os.makedirs(folder, exist_ok=True)
        results = {}
        self._update_validation_network()
        for name, validator in self._validators.items():
            if stop.received:
                return False
            scalars = validator.measure()
            results[name] = {**scalars, **self._replacement_counts(name)}
            self._say_metric(name, scalars)
            for picture, pixels in validator.pictures().items():
                save_png(os.path.join(folder, f"{name}-{picture}.png"), pixels)
        if self._network.combination is not None:
            alpha = self._draw_alpha(self._network.combination)
            save_png(os.path.join(folder, "alpha.png"), alpha)
        path = os.path.join(self._model_dir, VALIDATION_FILE)
        checkpoint = checkpoint_store(self._model_dir).latest()
        content = {
            "checkpoint": checkpoint,
            "held_out": results,
            "stopped": self._watch.stopped(),
        }
        files.write_atomically(path, json.dumps(content, indent=1))
        self.flush()
        return True

    def _replacement_counts(self, name: str) -> dict[str, int]:
        """Counts, and prints if there are any, the examples used for missing records."""
        group = self._engine.groups[name]
        held_out = self._validators[name].num_replacements
        if group.num_replacements or held_out:
            self.display.say(
                f"{name}: {group.num_replacements} of {group.examples} training examples "
                f"and {held_out} held-out examples replaced records that are missing "
                "because shards are damaged"
            )
        return {"stand_ins": held_out, "stand_ins_in_training": group.num_replacements}

    def _say_metric(self, name: str, values: Mapping[str, float]) -> None:
        metric = self._network.tasks[name].metric_specs[0].name
        self.display.say(
            f"held out  {name:20s} {metric} {values[metric]:.4f} "
            f"(chance {values[f'chance/{metric}']:.4f})"
        )
