"""Builds what the training loop trains: a `Workload` for each task of a run."""

from __future__ import annotations

import contextlib
import functools
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Callable

import tensorflow as tf

from selfsup.data import pipeline, replica_share
from selfsup.data.pipeline import DatasetSplit
from selfsup.data.replica_share import ReplicaShare
from selfsup.hybrid.assignment import Assignment
from selfsup.hybrid.placement import local_cpu, spread_over
from selfsup.hybrid.timeline import Recorder
from selfsup.hybrid.transfer import TransferOptions
from selfsup.hybrid.workload import Model, Replica, Workload
from selfsup.pretraining import multiply_adds
from selfsup.pretraining.configuration import RunConfig
from selfsup.pretraining.network import MultiTaskNetwork, build_network
from selfsup.pretraining.training_data import translate_data_errors
from selfsup.pretraining.weighting.weighting import Weighting


def on_servers(assignment: Assignment) -> AbstractContextManager[object]:
    """A context that creates variables on the devices of the master variables."""
    if assignment.takes_turns:
        return contextlib.nullcontext()
    return spread_over(assignment.servers)


class WorkloadBuilder:
    """Builds the workloads of a run's tasks, and with them the variables of the heads.

    Attributes:
      examples: by task, a batch of examples without the replacement marks. Networks take
        their shapes from it.
      multiply_adds: by task, the multiply-adds of a forward pass of one example.
    """

    def __init__(
        self,
        config: RunConfig,
        network: MultiTaskNetwork,
        sources: Mapping[str, DatasetSplit],
        assignment: Assignment,
        transfer: TransferOptions,
        recorder: Recorder | None = None,
        weighting: Weighting | None = None,
    ) -> None:
        """
        Args:
          config: the configuration of the run.
          network: the network with the master variables.
          sources: the training records by task.
          assignment: the devices of the replicas and of the master variables.
          transfer: how values travel between the master variables and the replicas.
          recorder: what measures where the time of a step goes; None for nothing.
          weighting: factors of the learning rates; None for none.
        """
        self.examples: dict[str, dict[str, tf.Tensor]] = {}
        self.multiply_adds: dict[str, float] = {}
        self._config = config
        self._network = network
        self._sources = sources
        self._assignment = assignment
        self._transfer = transfer
        self._recorder = recorder
        self._weighting = weighting

    def build(self, name: str) -> Workload:
        """Builds the workload of one task and the variables of its head.

        Raises:
          UserError: if a record cannot be used by the task.
        """
        source, batch_size = self._sources[name], self._config.tasks[name].batch_size
        seed = _task_seed(self._config.seed, name)
        whole = replica_share.select_share(source, 0, 1)
        self._read_examples(name, whole, seed, batch_size)
        with on_servers(self._assignment):
            graph = self._network.build(name, self.examples[name])
        self.multiply_adds[name] = multiply_adds.count(graph) / batch_size
        return Workload(
            name=name,
            master=self._replica(name, _model(name, self._network), whole, seed),
            learning_rate=self._learning_rate(name),
            seed=seed,
            make_replica=None
            if self._assignment.takes_turns
            else self._copier(name, seed),
            transfer=self._transfer,
            recorder=self._recorder,
            rate_factor=self._weighting
            and functools.partial(self._weighting.factor, name),
        )

    def _read_examples(
        self, name: str, source: ReplicaShare, seed: int, batch_size: int
    ) -> None:
        batches = self._batches(name, source, seed)(0)
        with translate_data_errors():
            first = next(iter(batches))
        self.examples[name] = pipeline.split_replaced_shard(first)[0]

    def _batches(
        self, name: str, source: ReplicaShare, seed: int
    ) -> Callable[[int], tf.data.Dataset]:
        """Returns a function from a position in the records to the batches from there."""
        task = self._network.tasks[name]
        batch_size = self._config.tasks[name].batch_size

        def batches(position: int) -> tf.data.Dataset:
            return pipeline.training_batches(task, source, seed, position, batch_size)

        return batches

    def _learning_rate(self, name: str) -> float | Callable[[tf.Tensor], tf.Tensor]:
        """The task's learning rate by examples seen; epochs are of its own records."""
        schedule = self._network.tasks[name].learning_rate_schedule()
        if schedule.is_constant:
            return schedule.initial
        epoch = self._sources[name].records

        def rate(examples: tf.Tensor) -> tf.Tensor:
            return schedule.learning_rate(tf.cast(examples, tf.float64) / epoch)

        return rate

    def _copier(self, name: str, seed: int) -> Callable[[int, int], Replica]:
        template, source = self._template_model(name), self._sources[name]

        def copy(index: int, count: int) -> Replica:
            share = replica_share.select_share(source, index, count)
            return self._replica(name, template, share, seed + index)

        return copy

    def _template_model(self, name: str) -> Model:
        """The model over whose variables the computation of the replicas is traced.

        The model itself never computes. It is in this process, because it must exist
        for longer than any machine that a replica runs on.
        """
        with tf.device(local_cpu()):
            network = build_network(self._config, [name])
            network.build(name, self.examples[name])
        return _model(name, network)

    def _replica(
        self, name: str, model: Model, share: ReplicaShare, seed: int
    ) -> Replica:
        def damaged_shards(examples: dict[str, tf.Tensor]) -> tf.Tensor:
            return share.source_indices(pipeline.split_replaced_shard(examples)[1])

        return Replica(
            model=model,
            batches=self._batches(name, share, seed),
            batch_size=self._config.tasks[name].batch_size,
            replaced_shards=damaged_shards,
        )


def _model(name: str, network: MultiTaskNetwork) -> Model:
    def objective(
        examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return network.objective(name, pipeline.split_replaced_shard(examples)[0], seed)

    return Model(objective, network.trained_variables(name), network.statistics(name))


def _task_seed(seed: int, name: str) -> int:
    """A seed for one task that does not depend on the other tasks of the run."""
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF
