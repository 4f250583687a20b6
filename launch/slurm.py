"""Runs one machine's part of a cluster in a Slurm job, as launch/recipes/slurm.sh does.

  srun --ntasks-per-node=1 --wait=60 python -m launch.slurm --ps=2 \\
      --workers_per_node=4 --listen=network -- --data=DIR --model_dir=DIR

What follows -- are flags of launch.pretrain, the chief, which is on the first machine.
Each worker has a GPU of its own while there are some. A worker that dies is started
again. SIGTERM lets the chief write a checkpoint before anything ends.

TensorFlow's servers have no authentication: on a cluster that others use too, whoever
can reach the ports can run what they like as you. --listen=network is for a network
that is private to the job's owner.
"""

import sys

from absl import flags

from selfsup.command_line import command

_PS = flags.DEFINE_integer("ps", 1, "Parameter servers in all.", lower_bound=1)
_WORKERS_PER_NODE = flags.DEFINE_integer(
    "workers_per_node", 1, "Workers on each machine.", lower_bound=1
)
_PORT = flags.DEFINE_integer(
    "port",
    22220,
    "The chief's port; the other processes have those that follow.",
    lower_bound=1,
)
_LISTEN = flags.DEFINE_enum(
    "listen",
    "loopback",
    ["loopback", "network"],
    "Who may reach the processes: their machine alone, or the network.",
)

# What followed "--".
_pretrain_flags = []


def main(_):
    """Starts this machine's processes and waits for their end."""
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


def run():
    """Entry point of the console command."""
    if "--" in sys.argv:
        at = sys.argv.index("--")
        _pretrain_flags[:] = sys.argv[at + 1 :]
        del sys.argv[at:]
    command.run(main, "launch.slurm")


if __name__ == "__main__":
    run()
