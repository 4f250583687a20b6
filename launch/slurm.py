"""Runs one machine's part of a cluster in a Slurm job; see launch/recipes/slurm.sh.

  srun --ntasks-per-node=1 --wait=60 python -m launch.slurm --ps=2 \\
      --workers_per_node=4 --listen=network -- --data=DIR --model_dir=DIR

The arguments after -- are flags of launch.pretrain, the chief, which runs on the first
machine. Each worker has a GPU of its own, or no GPU if there are not enough. A worker
that dies is started again. On SIGTERM the chief writes a checkpoint before anything ends.

TensorFlow's servers have no authentication. On a cluster with other users, anybody who
can reach the ports can run programs under your name. Use --listen=network only in a
network that is private to the owner of the job.
"""

from __future__ import annotations

import sys

from absl import flags

from selfsup.command_line import command

_PS = flags.DEFINE_integer(
    "ps", 1, "Number of parameter servers on all machines together.", lower_bound=1
)
_WORKERS_PER_NODE = flags.DEFINE_integer(
    "workers_per_node", 1, "Number of workers on each machine.", lower_bound=1
)
_PORT = flags.DEFINE_integer(
    "port",
    22220,
    "Port of the chief; the other processes use the ports after it.",
    lower_bound=1,
)
_LISTEN = flags.DEFINE_enum(
    "listen",
    "loopback",
    ["loopback", "network"],
    "Who may reach the processes: only their machine, or the network.",
)

# The arguments after "--".
_pretrain_flags: list[str] = []


def main(_: list[str]) -> int:
    """Starts the processes of this machine and waits for their end."""
    from selfsup.hybrid.cluster import local_cluster, loopback, slurm, tf_config

    job = slurm.from_environment()
    placed = slurm.place(len(job.hosts), _PS.value, _WORKERS_PER_NODE.value)
    addresses = slurm.addresses(job.hosts, placed, _PORT.value)
    loopback.check(tf_config.Cluster(addresses, tf_config.CHIEF, 0), _LISTEN.value)
    here = [task for task, node in placed.items() if node == job.node]
    listen = f"--listen={_LISTEN.value}"
    server = [sys.executable, "-m", "launch.server", listen]
    chief = [sys.executable, "-m", "launch.pretrain", listen, *_pretrain_flags]
    print(f"{job.hosts[job.node]} runs {len(here)} of {len(placed)} processes")
    return local_cluster.MachineProcesses(addresses, here, server).run(chief)


def run() -> None:
    """Entry point of the console command."""
    _pretrain_flags[:] = command.take_arguments_after_dashes()
    command.run(main, "launch.slurm")


if __name__ == "__main__":
    run()
