"""Puts a pretraining run together: data, network, groups, engine, reports."""

import json
import os
import zlib

import numpy as np
import tensorflow as tf

from launch import configuration
from launch.history import History
from launch.pictures import save_png
from launch.progress import Progress, TaskProgress
from launch.summaries import Summaries
from selfsup import tasks as task_registry
from selfsup.combination import Combination
from selfsup.combination_figure import draw
from selfsup.data import manifest, pipeline
from selfsup.errors import UserError
from selfsup.hybrid.checkpoint import Store
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.engine import Engine
from selfsup.hybrid.group import Group, Workload
from selfsup.hybrid.rmsprop import NAMED
from selfsup.multitask import MultiTaskNetwork
from selfsup.trunk.resnet_v2 import Trunk
from selfsup.validation import Validator

CHECKPOINTS = "checkpoints"
DATA = "data.json"
# Rows of history per task and run; enough for a curve.
_HISTORY_ROWS = 60


def build_network(config):
    """The `MultiTaskNetwork` of a `RunConfig`, its variables seeded but not created."""
    # Dataset.shuffle takes no tensor as its seed under a global seed of 0.
    tf.keras.utils.set_random_seed(config.seed + 1)
    tasks = {
        name: task_registry.task_class(name)(task_config)
        for name, task_config in config.tasks.items()
    }
    trunk = Trunk(config.trunk)
    combination = None
    if config.lasso:
        combination = Combination(tuple(tasks), trunk.num_units, l1=config.lasso)
    return MultiTaskNetwork(tasks, trunk, combination)


def checkpoints(model_dir):
    """The checkpoint `Store` of a run."""
    return Store(os.path.join(model_dir, CHECKPOINTS))


def _task_seed(seed, name):
    """A seed of the task's own that no other task's presence changes."""
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF


class Pretraining:
    """One run on one device: built, resumed, run."""

    def __init__(self, config, data_dir, model_dir):
        """
        Args:
          config: a resolved `RunConfig`.
          data_dir: folder at or below which the built sets are.
          model_dir: folder of the run; made when missing.

        Raises:
          UserError: for data that does not serve the tasks, or a folder that holds
            another run.
        """
        self.config = config
        self._sets = manifest.find(data_dir)
        self.network = build_network(config)
        self._sources = {
            name: self._source(task, "train")
            for name, task in self.network.tasks.items()
        }
        self._model_dir = _prepare(model_dir)
        configuration.save(config, model_dir)
        self._note_data()
        self._groups = {name: self._group(name) for name in self.network.tasks}
        optimizers = {name: group.optimizer for name, group in self._groups.items()}
        costs = {name: task.step_cost for name, task in config.tasks.items()}
        self.engine = Engine(
            self._groups,
            config.weights,
            config.limits(),
            CostClock(
                {name: cost for name, cost in costs.items() if cost},
                config.snapshot_cost,
                config.end_cost,
            ),
            checkpoints(model_dir),
            tf.train.Checkpoint(network=self.network, optimizers=optimizers),
        )

    def _source(self, task, split):
        return pipeline.Source(pipeline.sets_for(task.features, self._sets), split)

    def _note_data(self):
        """Stores which sets the run reads, for the model card."""
        sets = [
            {
                "directory": one.directory,
                "kind": one.kind,
                "records": {
                    split: one.records(split) for split in ("train", "validation")
                },
                "shards": {shard.file: shard.sha256 for shard in one.shards},
            }
            for one in self._sets
        ]
        partial = os.path.join(self._model_dir, f"{DATA}.partial")
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(sets, file, indent=1)
        os.replace(partial, os.path.join(self._model_dir, DATA))

    def _group(self, name):
        network, config = self.network, self.config
        task, source = network.tasks[name], self._sources[name]
        seed, batch_size = _task_seed(config.seed, name), task.config.batch_size

        def batches(position):
            return pipeline.training_batches(task, source, seed, position, batch_size)

        network.build(name, next(iter(batches(0))))
        workload = Workload(
            name=name,
            objective=lambda examples, step: network.objective(name, examples, step),
            variables=network.trained_variables(name),
            statistics=network.statistics(name),
            batches=batches,
            batch_size=batch_size,
            learning_rate=task.config.learning_rate,
            seed=seed,
        )
        return Group(workload, NAMED[config.rmsprop])

    def run(self):
        """Trains to the end, or to a signal.

        Returns:
          the name of the signal that stopped it, or None at the end.
        """
        resumed = self.engine.resume()
        reports = _Reports(self, self._model_dir, self.engine.total_steps())
        with reports.progress as progress:
            if resumed:
                progress.say(f"resumed from {resumed}")
            self.engine.run(
                self.config.checkpoint_seconds, reports.after_step, reports.flush
            )
        if self.engine.interrupted is None:
            reports.finish()
        return self.engine.interrupted

    def validators(self):
        """Dict of `Validator` by task, for the tasks with held-out records."""
        found = {}
        for name, task in self.network.tasks.items():
            try:
                source = self._source(task, "validation")
            except UserError:
                continue
            found[name] = Validator(
                self.network,
                name,
                source,
                task.config.batch_size,
                self.config.validation_batches,
            )
        return found

    def progress(self):
        """A `Progress` of this run's tasks."""
        limits = self.config.limits()
        return Progress(
            {
                name: TaskProgress(
                    task.metric_specs[0],
                    limits[name],
                    task.config.batch_size,
                    self._groups[name].steps,
                )
                for name, task in self.network.tasks.items()
            }
        )


def _prepare(model_dir):
    try:
        os.makedirs(model_dir, exist_ok=True)
    except OSError as error:
        raise UserError(f"--model_dir={model_dir}: cannot be made: {error}") from error
    return model_dir


class _Reports:
    """What a run tells: terminal, history, TensorBoard, pictures."""

    def __init__(self, run, model_dir, total_steps):
        self.progress = run.progress()
        self._run = run
        self._model_dir = model_dir
        self._history = History(model_dir, total_steps)
        self._summaries = Summaries(model_dir)
        self._validators = run.validators()
        self._limits = run.config.limits()
        self._window = {name: [] for name in self._limits}
        for name in self._limits:
            if name not in self._validators:
                self.progress.say(f"{name}: no held-out records, so no validation")

    def after_step(self, name, logs, seconds):
        """Takes in one step of group `name`."""
        group = self._run.engine.groups[name]
        self.progress.update(name, group.steps, group.skipped, logs, seconds)
        self._window[name].append(logs)
        if group.steps % max(1, self._limits[name] // _HISTORY_ROWS) == 0:
            rows, self._window[name] = self._window[name], []
            mean = {key: float(np.mean([row[key] for row in rows])) for key in logs}
            self._add(name, "train", mean)
        every = max(1, self._limits[name] // self._run.config.validations)
        if name in self._validators and group.steps % every == 0:
            self._validate(name)

    def _add(self, name, split, values):
        engine = self._run.engine
        step = engine.groups[name].steps
        self._history.add(name, split, step, engine.total_steps(), values)
        self._summaries.scalars(name, split, step, values)

    def _validate(self, name):
        self._add(name, "validation", self._validators[name].measure())
        step = self._run.engine.groups[name].steps
        self._summaries.pictures(name, step, self._validators[name].pictures())
        self._draw_alpha(step)

    def _draw_alpha(self, step):
        combination = self._run.network.combination
        if combination is not None:
            picture = draw(combination.alpha().numpy(), tuple(self._limits))
            self._summaries.pictures("combination", step, {"alpha": picture})

    def flush(self):
        """Makes everything so far visible, before a checkpoint."""
        self._history.flush()
        self._summaries.flush()

    def finish(self):
        """Writes the last held-out numbers and pictures."""
        folder = os.path.join(self._model_dir, "pictures")
        os.makedirs(folder, exist_ok=True)
        results = {}
        for name, validator in self._validators.items():
            results[name] = validator.measure()
            spec = self._run.network.tasks[name].metric_specs[0]
            self.progress.say(
                f"held out  {name:20s} {spec.name} {results[name][spec.name]:.4f} "
                f"(chance {results[name][f'chance/{spec.name}']:.4f})"
            )
            for picture, pixels in validator.pictures().items():
                save_png(os.path.join(folder, f"{name}-{picture}.png"), pixels)
        with open(
            os.path.join(self._model_dir, "validation.json"), "w", encoding="utf-8"
        ) as file:
            json.dump(results, file, indent=1)
        combination = self._run.network.combination
        if combination is not None:
            alpha = draw(combination.alpha().numpy(), tuple(self._limits))
            save_png(os.path.join(folder, "alpha.png"), alpha)
        self.flush()
