"""A chief that trains the mock tasks on a cluster, as TF_CONFIG says."""

import json
import os
import sys
import time

# Said in the log before the summary of a run.
SUMMARY = "summary "
# File in the folder of the checkpoints.
LOST_DEVICES_LOG = "lost_devices.log"


def main(directory, groups, limits=None, checkpoint_seconds=1e9, **options):
    """Trains until the limits, or SIGTERM; prints progress and a summary.

    Args:
      directory: of the checkpoints.
      groups: dict of worker numbers by group name.
      limits: dict of steps; endless where there is none.
      checkpoint_seconds: seconds between checkpoints.
      **options: step_seconds, probe_seconds, server_seconds, listen.
    """
    from selfsup.command_line import command

    def run(_):
        chief = _Chief(directory, groups, limits or {}, **options)
        chief.train(checkpoint_seconds)
        print(SUMMARY + json.dumps(chief.summary()), flush=True)

    sys.argv[1:] = []
    command.run(run, "cluster_chief")


class _Chief:
    """The mock network on the cluster's servers, and the engine that trains it."""

    def __init__(
        self,
        directory,
        groups,
        limits,
        step_seconds=60.0,
        probe_seconds=5.0,
        server_seconds=60.0,
        listen="loopback",
    ):
        import mock_tasks

        from selfsup.hybrid import lost_device_log, placement
        from selfsup.hybrid.cluster import cluster_pool, tf_config

        lost_device_log.keep_in(os.path.join(directory, LOST_DEVICES_LOG))
        found = tf_config.from_environment()
        cluster_pool.connect(found, seconds=240.0, listen=listen)
        pool = cluster_pool.ClusterPool(found, probe_seconds, server_seconds)
        with placement.spread_over(found.devices("ps")) as self._held:
            self._network = mock_tasks.Network(tuple(groups))
        devices = {
            name: [tf_config.device_name("worker", index) for index in workers]
            for name, workers in groups.items()
        }
        self._groups = mock_tasks.groups(self._network, devices)
        self._engine = self._make_engine(directory, limits, pool, step_seconds)
        self._losses = {name: [] for name in groups}
        self._told = 0.0

    def _make_engine(self, directory, limits, pool, step_seconds):
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

    def train(self, checkpoint_seconds):
        """Goes on from the last checkpoint, until the limits or SIGTERM."""
        from selfsup.common.stop_signals import StopSignals

        resumed = self._engine.resume()
        print("resumed", resumed, json.dumps(self._engine.steps()), flush=True)
        with StopSignals() as stop:
            self._engine.run(stop, checkpoint_seconds, self._after_step)

    def _after_step(self, name, logs, seconds):
        self._losses[name].append(logs["loss"])
        if time.monotonic() - self._told > 0.1:
            self._told = time.monotonic()
            print("steps", json.dumps(self._engine.steps()), flush=True)

    def summary(self):
        """What the tests look at, for JSON."""
        groups, losses = self._groups, self._losses
        return {
            "steps": self._engine.steps(),
            "landed": {name: int(g._landed.read_value()) for name, g in groups.items()},
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
