"""What a pretraining run tells: terminal, history, TensorBoard, pictures."""

import contextlib
import json
import os

import numpy as np
import tensorflow as tf

from selfsup.common import files
from selfsup.common.history import History
from selfsup.common.png_file import save_png
from selfsup.pretraining import restoring
from selfsup.pretraining.combination_figure import draw
from selfsup.pretraining.display import RunDisplay, TaskProgress
from selfsup.pretraining.health_monitor import HealthMonitor
from selfsup.pretraining.tensorboard_log import Summaries
from selfsup.pretraining.validation import Validator

PICTURES = "pictures"
VALIDATION = "validation.json"


class Reports:
    """Takes in steps; shows them, averages them into rows, validates now and then."""

    def __init__(
        self,
        model_dir,
        config,
        network,
        engine,
        held_out,
        loss_limits,
        validated,
        expected_steps,
    ):
        """
        Args:
          model_dir: folder of the run.
          config: its `RunConfig`.
          network: its `MultiTaskNetwork`.
          engine: its `Engine`, resumed.
          held_out: dict of `pipeline.RecordSource` by task, for the tasks that have one.
          loss_limits: dict of `DamageLimit` by task.
          validated: function that gives the network to validate, up to date; its
            variables may be others than `network`'s, which groups may be moving.
          expected_steps: dict of the steps after which each task will have ended.
        """
        self._model_dir = model_dir
        self._config = config
        self._network = network
        self._engine = engine
        self._limits = expected_steps
        self._loss_limits = loss_limits
        self._validated = validated
        # Of the steps reported so far: groups may be ahead of that.
        self._steps = engine.steps()
        self.progress = self._new_progress()
        self._history = History(model_dir, engine.total_steps())
        self._summaries = Summaries(model_dir)
        self._rows = {name: [] for name in network.tasks}
        self._validators = {
            name: Validator(
                validated(),
                name,
                source,
                network.tasks[name].config.batch_size,
                config.validation_batches,
            )
            for name, source in held_out.items()
        }
        self._health = HealthMonitor(
            network, engine.groups, self._validators, self.progress.say
        )

    def _new_progress(self):
        return RunDisplay(
            {
                name: TaskProgress(
                    task.metric_specs[0],
                    self._limits[name],
                    self._engine.groups[name].examples_per_step,
                    self._engine.groups[name].steps,
                )
                for name, task in self._network.tasks.items()
            },
            self._engine.takes_turns,
            at_most=bool(self._config.end_cost),
        )

    def begin(self, resumed):
        """Says what the run goes on from; held-out numbers of before it are gone."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self._model_dir, VALIDATION))
        if resumed:
            self.progress.say(f"resumed from {resumed}")
        for name in self._network.tasks:
            if name not in self._validators:
                self.progress.say(f"{name}: no held-out records, so no validation")
        self.progress.say(
            "the first step of each task traces its graph: up to a minute"
        )

    def after_step(self, name, logs, seconds):
        """Takes in one step of group `name`."""
        group = self._engine.groups[name]
        self._steps[name] += 1
        self.progress.update(name, self._steps[name], group.skipped, logs, seconds)
        self._watch_losses(name, group)
        if np.all(np.isfinite(list(logs.values()))):
            self._rows[name].append(logs)
        if self._due(name, self._config.log_steps) and self._rows[name]:
            rows, self._rows[name] = self._rows[name], []
            mean = {key: float(np.mean([row[key] for row in rows])) for key in logs}
            counts = {"skipped": group.skipped, "stand_ins": group.stand_ins}
            self._add(name, "train", {**mean, **counts})
            self._add_alpha(name)
        if self._health_is_due(name):
            self._validated()
            if self._due(name, self._config.validation_steps):
                self._validate(name)
            self._add(name, "health", self._health.look(name))

    def _watch_losses(self, name, group):
        """Names each damaged shard when it is met; ends the run beyond the limit."""
        seen = round(self._steps[name] * group.examples_per_step)
        limit = self._loss_limits[name]
        for text in limit.check_during_training(group.stand_ins, seen, group.damaged):
            self.progress.say(f"{name}: a damaged shard: {text}; others stand in")

    def _due(self, name, every):
        steps = self._steps[name]
        return steps % every == 0 or steps == self._limits[name]

    def _health_is_due(self, name):
        """With each validation, and early: what dies does so in the first steps."""
        periods, rest = divmod(self._steps[name], self._config.log_steps)
        doubled = rest == 0 and periods & (periods - 1) == 0
        return doubled or self._due(name, self._config.validation_steps)

    def _add(self, name, split, values):
        step, total = self._steps[name], sum(self._steps.values())
        self._history.add(name, split, step, total, values)
        self._summaries.scalars(name, split, step, values)

    def _add_alpha(self, name):
        combination = self._network.combination
        if combination is not None:
            row = combination.row(name).numpy()
            units = {
                f"alpha/unit_{m:02d}": float(a) for m, a in enumerate(row, start=1)
            }
            self._add(name, "train", units)
            pictures = {"alpha": self._alpha()}
            self._summaries.pictures("combination", self._steps[name], pictures)

    def _alpha(self):
        return draw(self._network.combination.alpha().numpy(), tuple(self._limits))

    def _validate(self, name):
        if name not in self._validators:
            return
        self._add(name, "validation", self._validators[name].measure())
        pictures = self._validators[name].pictures()
        self._summaries.pictures(name, self._steps[name], pictures)

    def say_pauses(self, seconds):
        """Tells for how long of `seconds` of training checkpoints kept tasks waiting."""
        paused = self._engine.pause_seconds
        share = paused / max(seconds, paused, 1e-9)
        self.progress.say(
            f"checkpoints paused the tasks for {paused:.1f} s of {seconds:.0f} s "
            f"({share:.1%})"
        )
        total = sum(self._steps.values())
        values = {"pause_seconds": paused, "seconds": seconds, "pause_share": share}
        self._history.add("all", "run", total, total, values)
        self._summaries.scalars("checkpoints", "train", total, {"pause_share": share})

    def flush(self):
        """Makes everything so far visible, before a checkpoint.

        A disk that is full must not keep the checkpoint from being tried.
        """
        try:
            self._history.flush()
            self._summaries.flush()
        except (OSError, tf.errors.OpError) as error:
            self.progress.say(f"curves not written: {error}")

    def finish(self, stop):
        """Writes the last held-out numbers, with the checkpoint's name, and pictures.

        Returns:
          whether it got to the end before a signal asked to stop.
        """
        folder = os.path.join(self._model_dir, PICTURES)
        os.makedirs(folder, exist_ok=True)
        results = {}
        self._validated()
        for name, validator in self._validators.items():
            if stop.received:
                return False
            results[name] = {**validator.measure(), **self._stand_ins(name)}
            self._say_held_out(name, results[name])
            for picture, pixels in validator.pictures().items():
                save_png(os.path.join(folder, f"{name}-{picture}.png"), pixels)
        if self._network.combination is not None:
            save_png(os.path.join(folder, "alpha.png"), self._alpha())
        path = os.path.join(self._model_dir, VALIDATION)
        checkpoint = restoring.checkpoints(self._model_dir).latest()
        measured = {"checkpoint": checkpoint, "held_out": results}
        files.write_atomically(path, json.dumps(measured, indent=1))
        self.flush()
        return True

    def _stand_ins(self, name):
        """Counts of examples that stood in for lost records, said where there are any."""
        group = self._engine.groups[name]
        counts = {
            "stand_ins": self._validators[name].stand_ins,
            "stand_ins_in_training": group.stand_ins,
        }
        if any(counts.values()):
            self.progress.say(
                f"{name}: {group.stand_ins} of "
                f"{group.examples} training examples and "
                f"{counts['stand_ins']} held-out ones stood in for records lost in "
                "damaged shards"
            )
        return counts

    def _say_held_out(self, name, values):
        metric = self._network.tasks[name].metric_specs[0].name
        self.progress.say(
            f"held out  {name:20s} {metric} {values[metric]:.4f} "
            f"(chance {values[f'chance/{metric}']:.4f})"
        )
