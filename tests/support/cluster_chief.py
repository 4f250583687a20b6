"""A chief that trains the mock tasks on the cluster that TF_CONFIG describes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfsup.hybrid.cluster.cluster_pool import ClusterPool
    from selfsup.hybrid.parallel_engine import ParallelEngine

# Prefix of the line in the log with the summary of a run.
SUMMARY = "summary "
# Name of a file in the folder of the checkpoints.
LOST_DEVICES_LOG = "lost_devices.log"


def main(
    directory: str,
    groups: Mapping[str, Sequence[int]],
    limits: Mapping[str, int] | None = None,
    checkpoint_seconds: float = 1e9,
    **options: Any,
) -> None:
    """Trains until the limits or SIGTERM; prints progress and a summary.

    Args:
      directory: folder of the checkpoints.
      groups: numbers of the workers, by task.
      limits: number of steps by task; a task without a limit trains without end.
      checkpoint_seconds: seconds between checkpoints.
      **options: step_seconds, probe_seconds, server_seconds, listen.
    """
    from selfsup.command_line import command

    def run(_: list[str]) -> None:
        chief = _Chief(directory, groups, limits or {}, **options)
        chief.train(checkpoint_seconds)
        print(SUMMARY + json.dumps(chief.summary()), flush=True)

    sys.argv[1:] = []
    command.run(run, "cluster_chief")


class _Chief:
    """The mock network on the parameter servers, and the engine that trains it."""

    def __init__(
        self,
        directory: str,
        groups: Mapping[str, Sequence[int]],
        limits: Mapping[str, int],
        step_seconds: float = 60.0,
        probe_seconds: float = 5.0,
        server_seconds: float = 60.0,
        listen: str = "loopback",
    ) -> None:
        import mock_tasks

        from selfsup.hybrid import lost_device_log, placement
        from selfsup.hybrid.cluster import cluster_pool, tf_config

        lost_device_log.keep_in(os.path.join(directory, LOST_DEVICES_LOG))
        cluster = tf_config.from_environment()
        assert cluster is not None
        cluster_pool.connect(cluster, seconds=240.0, listen=listen)
        pool = cluster_pool.ClusterPool(cluster, probe_seconds, server_seconds)
        with placement.spread_over(cluster.devices("ps")) as self._held:
            self._network = mock_tasks.Network(tuple(groups))
        devices = {
            name: [tf_config.device_name("worker", index) for index in workers]
            for name, workers in groups.items()
        }
        self._groups = mock_tasks.groups(self._network, devices)
        self._engine = self._make_engine(directory, limits, pool, step_seconds)
        self._losses: dict[str, list[float]] = {name: [] for name in groups}
        self._printed_at = 0.0

    def _make_engine(
        self,
        directory: str,
        limits: Mapping[str, int],
        pool: ClusterPool,
        step_seconds: float,
    ) -> ParallelEngine:
        import tensorflow as tf

        from selfsup.hybrid.checkpoint import CheckpointStore
        from selfsup.hybrid.cost_clock import CostClock
        from selfsup.hybrid.parallel_engine import ParallelEngine

        optimizers = {name: group.optimizer for name, group in self._groups.items()}
        return ParallelEngine(
            self._groups,
            dict.fromkeys(self._groups, 1.0),
            {name: limits.get(name, 10**9) for name in self._groups},
            CostClock(dict.fromkeys(self._groups, 1.0)),
            CheckpointStore(directory),
            tf.train.Checkpoint(network=self._network, optimizers=optimizers),
            steppers=self._groups.values(),
            pool=pool,
            step_seconds=step_seconds,
            say=lambda line: print(line, flush=True),
        )

    def train(self, checkpoint_seconds: float) -> None:
        """Resumes from the last checkpoint and trains until the limits or SIGTERM."""
        from selfsup.common.stop_signals import StopSignals

        resumed = self._engine.resume()
        print("resumed", resumed, json.dumps(self._engine.steps()), flush=True)
        with StopSignals() as stop:
            self._engine.run(stop, checkpoint_seconds, self._after_step)

    def _after_step(self, name: str, logs: dict[str, float], seconds: float) -> None:
        del seconds
        self._losses[name].append(logs["loss"])
        if time.monotonic() - self._printed_at > 0.1:
            self._printed_at = time.monotonic()
            print("steps", json.dumps(self._engine.steps()), flush=True)

    def summary(self) -> dict[str, Any]:
        """Returns the state that the tests check, for JSON."""
        groups, losses = self._groups, self._losses
        return {
            "steps": self._engine.steps(),
            "accepted_steps": {
                name: int(g._accepted_steps.read_value()) for name, g in groups.items()
            },
            "generations": {name: group.generation for name, group in groups.items()},
            "devices": {name: group.devices for name, group in groups.items()},
            "losses_of_devices": self._engine.device_failures,
            "pause_seconds": self._engine.pause_seconds,
            "held": self._held,
            "first": {name: sum(all[:50]) / 50 for name, all in losses.items()},
            "last": {name: sum(all[-50:]) / 50 for name, all in losses.items()},
            "shared": self._network.shared.numpy().tolist(),
            "places": [variable.device for variable in self._network.variables],
            "slots": [g.optimizer.momenta[0].device for g in groups.values()],
        }
