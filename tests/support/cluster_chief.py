"""A chief that trains the mock tasks on a cluster, as TF_CONFIG says."""

import json
import time

# Said in the log before the summary of a run.
SUMMARY = "summary "


def main(directory, groups, limits=None, **options):
    """Trains until the limits, or SIGTERM; prints progress and a summary.

    Args:
      directory: of the checkpoints.
      groups: dict of worker numbers by group name.
      limits: dict of steps; endless where there is none.
      **options: step_seconds, probe_seconds, server_seconds, checkpoint_seconds.
    """
    from selfsup import command

    def run(_):
        return _train(directory, groups, limits or {}, **options)

    import sys

    sys.argv[1:] = []
    command.run(run, "cluster_chief")


def _train(
    directory,
    groups,
    limits,
    step_seconds=60.0,
    probe_seconds=5.0,
    server_seconds=60.0,
    checkpoint_seconds=1e9,
):
    import mock_tasks
    import tensorflow as tf

    from selfsup.hybrid import cluster, cluster_pool, placement
    from selfsup.hybrid.checkpoint import Store
    from selfsup.hybrid.cost_clock import CostClock
    from selfsup.hybrid.parallel_engine import ParallelEngine
    from selfsup.hybrid.stop import StopSignals

    found = cluster.from_environment()
    cluster_pool.connect(found, seconds=60.0)
    pool = cluster_pool.ClusterPool(found, probe_seconds, server_seconds)
    with placement.spread_over(found.devices("ps")) as held:
        network = mock_tasks.Network(tuple(groups))
    devices = {
        name: [cluster.device_name("worker", index) for index in workers]
        for name, workers in groups.items()
    }
    made = mock_tasks.groups(network, devices)
    engine = ParallelEngine(
        made,
        dict.fromkeys(groups, 1.0),
        {name: limits.get(name, 10**9) for name in groups},
        CostClock(dict.fromkeys(groups, 1.0)),
        Store(directory),
        tf.train.Checkpoint(
            network=network, optimizers={n: g.optimizer for n, g in made.items()}
        ),
        pool=pool,
        step_seconds=step_seconds,
        say=lambda line: print(line, flush=True),
    )
    print("resumed", engine.resume(), json.dumps(engine.steps()), flush=True)
    losses = {name: [] for name in groups}
    shown = [0.0]

    def after_step(name, logs, seconds):
        losses[name].append(logs["loss"])
        if time.monotonic() - shown[0] > 0.1:
            shown[0] = time.monotonic()
            print("steps", json.dumps(engine.steps()), flush=True)

    with StopSignals() as stop:
        engine.run(stop, checkpoint_seconds, after_step)
    summary = {
        "steps": engine.steps(),
        "landed": {
            name: int(group._landed.read_value()) for name, group in made.items()
        },
        "generations": {name: group.generation for name, group in made.items()},
        "devices": {name: group.devices for name, group in made.items()},
        "losses_of_devices": engine.losses,
        "held": held,
        "first": {name: sum(all[:50]) / 50 for name, all in losses.items()},
        "last": {name: sum(all[-50:]) / 50 for name, all in losses.items()},
        "shared": network.shared.numpy().tolist(),
        "places": [variable.device for variable in network.variables],
        "slots": [made[n].optimizer.momenta[0].device for n in groups],
    }
    print(SUMMARY + json.dumps(summary), flush=True)
