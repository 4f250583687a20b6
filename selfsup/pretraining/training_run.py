"""Puts a pretraining run together: data, network, groups, engine."""

import contextlib
import functools
import json
import os
import re
import sys
import time
import zlib

import tensorflow as tf

from selfsup import tasks as task_registry
from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline, records, replica_share
from selfsup.data.damage_limit import DamageLimit
from selfsup.hybrid import aggregation
from selfsup.hybrid.assignment import alone
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool
from selfsup.hybrid.engine import Engine
from selfsup.hybrid.parallel_engine import ParallelEngine
from selfsup.hybrid.placement import own_cpu, spread_over
from selfsup.hybrid.rmsprop import NAMED
from selfsup.hybrid.transfer import TransferOptions
from selfsup.hybrid.workload import Model, Replica, Workload
from selfsup.keras import keras
from selfsup.pretraining import computation, configuration, restoring, step_costs
from selfsup.pretraining.combination import Combination
from selfsup.pretraining.network import MultiTaskNetwork
from selfsup.pretraining.reports import Reports
from selfsup.trunk.resnet_v2 import Trunk

DATA = "data.json"
_LOCK = ".lock"


def build_network(config, names=None):
    """The `MultiTaskNetwork` of a `RunConfig`; the heads' variables come with data.

    Args:
      config: a `RunConfig`.
      names: of the tasks to have heads for; all when None.
    """
    # Dataset.shuffle takes no tensor as its seed under a global seed of 0.
    keras.utils.set_random_seed(config.seed + 1)
    tasks = {
        name: task_registry.task_class(name)(config.tasks[name])
        for name in names or config.tasks
    }
    trunk = Trunk(config.trunk)
    combination = None
    if config.lasso:
        combination = Combination(tuple(tasks), trunk.num_units, l1=config.lasso)
    return MultiTaskNetwork(tasks, trunk, combination)


def _task_seed(seed, name):
    """A seed of the task's own that no other task's presence changes."""
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF


class Pretraining:
    """One run: built, resumed, run."""

    def __init__(
        self,
        config,
        data_dir,
        model_dir,
        assignment=None,
        pool=None,
        step_seconds=600.0,
        wire=None,
        recorder=None,
    ):
        """
        Args:
          config: a resolved `RunConfig`.
          data_dir: folder at or below which the built sets are.
          model_dir: folder of the run; made when missing.
          assignment: a `hybrid.assignment.Assignment`; None for turns on one device.
          pool: what knows which devices answer; None for those of this process.
          step_seconds: as of `ParallelEngine`.
          wire: a `hybrid.transfer.TransferOptions`; None for its defaults.
          recorder: a `hybrid.timeline.Recorder`; None for none.

        Raises:
          UserError: for data that does not serve the tasks, or a folder that holds
            another run or a run on other data, or where another process trains.
        """
        self._assignment = assignment or alone(config.tasks)
        self._pool = pool or LocalPool()
        self._step_seconds = step_seconds
        self._wire = wire or TransferOptions()
        self._recorder = recorder
        # A batch of each task, from which networks learn their shapes.
        self._examples = {}
        # Of a forward pass of one example, by task.
        self._multiply_adds = {}
        found = manifest.find(data_dir)
        self._sets = {name: _sets_for(name, found) for name in config.tasks}
        self.config = config = configuration.for_data(config, self._sets)
        with self._on_servers():
            self.network = build_network(config)
        self._sources = {
            name: pipeline.DatasetSplit(sets, "train")
            for name, sets in self._sets.items()
        }
        self._loss_limits = {
            name: DamageLimit(name, source, config.max_lost_fraction)
            for name, source in self._sources.items()
        }
        for limit in self._loss_limits.values():
            limit.check_before_training()
        self._model_dir = model_dir
        _make_folder(model_dir)
        with self._locked():
            self._take_note()
        self.engine = self._engine()
        self._copy = None

    def _on_servers(self):
        """Where the master variables that are made in the block live."""
        if self._assignment.takes_turns:
            return contextlib.nullcontext()
        return spread_over(self._assignment.servers)

    def _locked(self):
        """Keeps other processes from writing to the folder in the block."""
        busy = f"{self._model_dir}: another process is training there"
        return files.locked(os.path.join(self._model_dir, _LOCK), busy)

    def _take_note(self):
        """Stores what the run is, or compares it with what is stored."""
        configuration.save(self.config, self._model_dir)
        self._note_data()

    def _note_data(self):
        """Stores which sets the run reads, or compares them with those noted.

        On other data a position means other examples: that is another run.
        """
        used = {one.directory: one for sets in self._sets.values() for one in sets}
        noted = [
            {
                "directory": one.directory,
                "kind": one.kind,
                "records": {
                    split: one.records(split) for split in ("train", "validation")
                },
                "shards": {shard.file: shard.sha256 for shard in one.shards},
            }
            for _, one in sorted(used.items())
        ]
        path = os.path.join(self._model_dir, DATA)
        if restoring.checkpoints(self._model_dir).latest() and os.path.exists(path):
            _refuse_other_data(path, noted)
        files.write_atomically(path, json.dumps(noted, indent=1))

    def _engine(self):
        config, assignment = self.config, self._assignment
        aggregated = aggregation.MODES[config.aggregation](
            [self._workload(name) for name in self.network.tasks],
            NAMED[config.rmsprop],
            assignment.groups,
        )
        self.costs = step_costs.step_costs(
            config.costs,
            {name: task.step_cost for name, task in config.tasks.items()},
            {name: task.batch_size for name, task in config.tasks.items()},
            self._multiply_adds,
        )
        make = Engine
        if not assignment.takes_turns:
            make = functools.partial(
                ParallelEngine,
                pool=self._pool,
                step_seconds=self._step_seconds,
                say=_say,
                steppers=aggregated.steppers,
            )
        return make(
            aggregated.groups,
            config.weights,
            config.planned_steps(),
            CostClock(dict(self.costs), config.snapshot_cost, config.end_cost),
            restoring.checkpoints(self._model_dir),
            tf.train.Checkpoint(network=self.network, optimizers=aggregated.optimizers),
        )

    def _workload(self, name):
        config = self.config
        batch_size = config.tasks[name].batch_size
        seed, source = _task_seed(config.seed, name), self._sources[name]
        with input_errors_explained():
            first = next(iter(self._batches(name, source, seed, 0, batch_size)))
        examples = self._examples[name] = pipeline.split_replaced_shard(first)[0]

        with self._on_servers():
            graph = self.network.build(name, examples)
        self._multiply_adds[name] = computation.multiply_adds(graph) / batch_size
        pattern = None
        if not self._assignment.takes_turns:
            pattern = self._pattern(name)

        def copy(index, count):
            share = replica_share.select_share(source, index, count)
            return self._replica(name, pattern, share, seed + index, batch_size)

        whole = replica_share.select_share(source, 0, 1)
        master = _model(name, self.network)
        return Workload(
            name=name,
            master=self._replica(name, master, whole, seed, batch_size),
            learning_rate=self._learning_rate(name),
            seed=seed,
            copy=copy,
            wire=self._wire,
            recorder=self._recorder,
        )

    def _learning_rate(self, name):
        """As of `Workload`; epochs are those of the task's own records."""
        schedule = self.network.tasks[name].learning_rate_schedule()
        if schedule.is_constant:
            return schedule.initial
        epoch = self._sources[name].records

        def at(examples):
            return schedule.learning_rate(tf.cast(examples, tf.float64) / epoch)

        return at

    def _batches(self, name, source, seed, position, batch_size):
        task = self.network.tasks[name]
        return pipeline.training_batches(task, source, seed, position, batch_size)

    def _pattern(self, name):
        """The `Model` of a network over which the replicas' computation is traced.

        It never computes: one in this process, as its machine must outlive theirs.
        """
        with tf.device(own_cpu()):
            network = build_network(self.config, [name])
            network.build(name, self._examples[name])
        return _model(name, network)

    def _replica(self, name, model, share, seed, batch_size):
        def stand_ins(examples):
            return share.source_indices(pipeline.split_replaced_shard(examples)[1])

        return Replica(
            model=model,
            batches=lambda position: self._batches(
                name, share, seed, position, batch_size
            ),
            batch_size=batch_size,
            stand_ins=stand_ins,
        )

    def run(self, stop):
        """Trains to the end, or until a signal asks to stop.

        Args:
          stop: a `StopSignals` that has been entered.

        Returns:
          whether it came to the end.

        Raises:
          UserError: when another process trains in the folder, and from training.
        """
        with self._locked():
            # Another process may have been there since the constructor.
            self._take_note()
            resumed = self.engine.resume()
            reports = Reports(
                self._model_dir,
                self.config,
                self.network,
                self.engine,
                self._held_out(),
                self._loss_limits,
                self._validated,
                self.config.expected_steps(
                    self.costs, self._assignment.replicas, self.engine.takes_turns
                ),
            )
            with reports.progress, input_errors_explained():
                reports.begin(resumed)
                self._train(stop, reports)
            return stop.received is None and reports.finish(stop)

    def _train(self, stop, reports):
        start = time.monotonic()
        seconds = self.config.checkpoint_seconds
        self.engine.run(stop, seconds, reports.after_step, reports.flush)
        reports.say_pauses(time.monotonic() - start)

    def _validated(self):
        """The network to validate: a copy as of now where groups never stand still."""
        if self._assignment.takes_turns:
            return self.network
        if self._copy is None:
            self._copy = build_network(self.config)
            for name in self.network.tasks:
                self._copy.build(name, self._examples[name])
        for ours, master in zip(self._copy.variables, self.network.variables):
            ours.assign(master.read_value())
        return self._copy

    def _held_out(self):
        """Dict of `Source` by task, for the tasks with held-out records."""
        return {
            name: pipeline.DatasetSplit(sets, "validation")
            for name, sets in self._sets.items()
            if sum(one.records("validation") for one in sets)
        }


def _model(name, network):
    def objective(examples, step):
        return network.objective(name, pipeline.split_replaced_shard(examples)[0], step)

    return Model(objective, network.trained_variables(name), network.statistics(name))


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _sets_for(name, found):
    try:
        return pipeline.select_sets(task_registry.task_class(name).features, found)
    except UserError as error:
        raise UserError(f"{name}: {error}; or leave it out of --tasks") from error


@contextlib.contextmanager
def input_errors_explained():
    """Turns TensorFlow's errors for the data into `UserError`s.

    For files that went meanwhile, and for records that a task cannot do with.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(rf"\[({records.BAD_RECORD} .*)\]", error.message)
        if not found:
            raise
        raise UserError(f"{found[1]}; build the set anew") from error
    except (tf.errors.NotFoundError, tf.errors.PermissionDeniedError) as error:
        reason = re.sub(r"{{.*?}} *|\[Op:.*", "", error.message).strip()
        raise UserError(
            f"a file cannot be read or written any more: {reason}; the same command "
            "goes on from the last checkpoint"
        ) from error


def _make_folder(model_dir):
    try:
        os.makedirs(model_dir, exist_ok=True)
    except OSError as error:
        raise UserError(f"--model_dir={model_dir}: cannot be made: {error}") from error


def _refuse_other_data(path, noted):
    with open(path, encoding="utf-8") as file:
        before = json.load(file)
    shards = [sorted(one["shards"].values()) for one in noted]
    if sorted(shards) != sorted(sorted(one["shards"].values()) for one in before):
        raise UserError(
            f"{path}: this run was begun on other data: "
            f"{', '.join(one['directory'] for one in before)} as it was then; now "
            f"{', '.join(one['directory'] for one in noted)}. Give another --model_dir, "
            "or the same data"
        )
