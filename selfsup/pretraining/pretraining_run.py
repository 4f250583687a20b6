"""A pretraining run: prepares data, network and training loop, resumes, and trains."""

from __future__ import annotations

import os
import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.common import files, provenance
from selfsup.common.errors import SettingError, error_reason
from selfsup.hybrid import aggregation
from selfsup.hybrid.assignment import Assignment, taking_turns
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import DevicePool, LocalPool
from selfsup.hybrid.engine import AfterStep, Engine, StopRequest
from selfsup.hybrid.parallel_engine import ParallelEngine
from selfsup.hybrid.rmsprop import NAMED, RMSProp
from selfsup.hybrid.transfer import TransferOptions
from selfsup.pretraining import configuration, step_costs, training_data, weighting
from selfsup.pretraining.configuration import RunConfig
from selfsup.pretraining.network import MultiTaskNetwork, build_network
from selfsup.pretraining.pretrained_trunk import checkpoint_store
from selfsup.pretraining.reporter import Reporter
from selfsup.pretraining.training_data import TrainingData, translate_data_errors
from selfsup.pretraining.weighting.observer import observe_steps
from selfsup.pretraining.workloads import WorkloadBuilder, on_servers

if TYPE_CHECKING:
    from selfsup.hybrid.timeline import Recorder

_LOCK = ".lock"


class PretrainingRun:
    """Trains a trunk jointly on the tasks of a configuration, in one folder.

    Attributes:
      config: the configuration, with the values that the tasks take from their data.
      network: the network with the master variables.
      engine: the training loop.
      costs: by task, the cost of a step of one replica; tasks whose cost is still to be
        measured are missing.
    """

    def __init__(
        self,
        config: RunConfig,
        data_dir: str,
        model_dir: str,
        assignment: Assignment | None = None,
        pool: DevicePool | None = None,
        step_seconds: float = 600.0,
        transfer: TransferOptions | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Prepares a run, without training a step.

        Args:
          config: a resolved configuration.
          data_dir: folder that contains the built data sets, at any depth.
          model_dir: folder of the run; created if it does not exist.
          assignment: the devices of each task; None for tasks that take turns on one
            device.
          pool: what knows which devices answer; None for the devices of this process.
          step_seconds: see `ParallelEngine`.
          transfer: how values travel between the master variables and the replicas;
            None for the defaults.
          recorder: what measures where the time of a step goes; None for nothing.

        Raises:
          UserError: if the data do not serve the tasks, if the folder holds a run with
            another configuration or on other data, or if another process trains in it.
        """
        self._assignment = assignment or taking_turns(config.tasks)
        self._pool = pool or LocalPool()
        self._step_seconds = step_seconds
        self._model_dir = model_dir
        sets = training_data.find_sets(data_dir, config.tasks)
        self.config = config = configuration.for_data(config, sets)
        with on_servers(self._assignment):
            self.network = build_network(config)
        self._data = TrainingData(sets, config.max_lost_fraction)
        _make_folder(model_dir)
        with self._locked():
            self._save_descriptions()
        self._weighting = weighting.build(config.weighting, self.network.tasks)
        builder = WorkloadBuilder(
            config,
            self.network,
            self._data.train,
            self._assignment,
            transfer or TransferOptions(),
            recorder,
            self._weighting,
        )
        self.engine = self._build_engine(builder)
        self._examples = builder.examples
        self._network_copy: MultiTaskNetwork | None = None

    def _locked(self) -> AbstractContextManager[None]:
        """A context in which no other process may write to the folder of the run."""
        busy = f"{self._model_dir}: another process is training there"
        return files.locked(os.path.join(self._model_dir, _LOCK), busy)

    def _save_descriptions(self) -> None:
        """Writes the configuration and the data sets, or compares them with the stored."""
        configuration.save_or_compare(self.config, self._model_dir)
        has_checkpoint = checkpoint_store(self._model_dir).latest() is not None
        self._data.save(self._model_dir, compare=has_checkpoint)

    def _build_engine(self, builder: WorkloadBuilder) -> Engine:
        config = self.config
        aggregated = aggregation.MODES[config.aggregation](
            [builder.build(name) for name in self.network.tasks],
            NAMED[config.rmsprop],
            self._assignment.groups,
        )
        self.costs = step_costs.step_costs(
            config.costs,
            {name: task.step_cost for name, task in config.tasks.items()},
            {name: task.batch_size for name, task in config.tasks.items()},
            builder.multiply_adds,
        )
        arguments = (
            aggregated.groups,
            config.weights,
            config.planned_steps(),
            CostClock(dict(self.costs), config.snapshot_cost, config.end_cost),
            checkpoint_store(self._model_dir),
            self._trackable(aggregated.optimizers),
        )
        if self._assignment.takes_turns:
            return Engine(*arguments, steppers=aggregated.steppers)
        return ParallelEngine(
            *arguments,
            steppers=aggregated.steppers,
            pool=self._pool,
            step_seconds=self._step_seconds,
            say=_print_to_stderr,
        )

    def _trackable(self, optimizers: dict[str, RMSProp]) -> tf.train.Checkpoint:
        """Returns the object with all variables that a checkpoint contains."""
        parts = {"network": self.network, "optimizers": optimizers}
        if self._weighting is not None:
            parts["weighting"] = self._weighting
        return tf.train.Checkpoint(**parts)

    def run(self, stop: StopRequest) -> bool:
        """Trains until the run is finished, or until a signal asks to stop.

        Args:
          stop: asks to stop before the next step, such as `StopSignals`.

        Returns:
          whether the run is finished, rather than stopped by a signal.

        Raises:
          UserError: if another process trains in the folder, and from training.
        """
        with self._locked():
            # Another process may have written to the folder since the constructor ran.
            self._save_descriptions()
            provenance.record_start(self._model_dir)
            resumed = self.engine.resume()
            reporter = Reporter(
                self._model_dir,
                self.config,
                self.network,
                self.engine,
                self._data,
                self._validation_network,
                self.config.expected_steps(
                    self.costs, self._assignment.replicas, self.engine.takes_turns
                ),
            )
            with reporter.display, translate_data_errors():
                reporter.begin(resumed)
                self._train(stop, reporter)
            return stop.received is None and reporter.finish(stop)

    def _train(self, stop: StopRequest, reporter: Reporter) -> None:
        start = time.monotonic()
        after_step: AfterStep = reporter.after_step
        if self._weighting is not None:
            after_step = observe_steps(
                self._weighting, self.network, self.engine.groups, after_step
            )
        self.engine.run(
            stop, self.config.checkpoint_seconds, after_step, reporter.flush
        )
        reporter.report_pauses(time.monotonic() - start)

    def _validation_network(self) -> MultiTaskNetwork:
        """Returns a network with the current weights that no step changes meanwhile.

        This is the network itself if the tasks take turns. Otherwise it is a copy in
        this process, which each call updates.
        """
        if self._assignment.takes_turns:
            return self.network
        if self._network_copy is None:
            self._network_copy = build_network(self.config)
            for name in self.network.tasks:
                self._network_copy.build(name, self._examples[name])
        pairs = zip(self._network_copy.variables, self.network.variables)
        for variable, master in pairs:
            variable.assign(master.read_value())
        return self._network_copy


def _print_to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _make_folder(model_dir: str) -> None:
    try:
        os.makedirs(model_dir, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"model_dir={model_dir}", f"cannot be created: {error_reason(error)}"
        ) from error
