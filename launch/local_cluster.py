"""Runs a whole cluster on this machine: servers, and launch.pretrain as the chief.

  python -m launch.local_cluster --ps=1 --workers=4 -- --data=DIR --model_dir=DIR

What follows -- are flags of launch.pretrain. Each worker has a GPU of its own while
there are some, then none. Every line of output begins with the name of the process that
wrote it. Ctrl-C stops the chief with a checkpoint, then the servers; the same command
goes on from it. The exit status is the chief's.
"""

import sys

from absl import flags

from selfsup.command_line import command

_PS = flags.DEFINE_integer("ps", 1, "Parameter servers.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Workers.", lower_bound=1)
_RESTART_WORKERS = flags.DEFINE_bool(
    "restart_workers",
    True,
    "Start a worker again that has died; its group then takes it back.",
)

_PRETRAIN = "launch.pretrain"


def main(_):
    """Starts the processes and waits for the chief."""
    from selfsup.hybrid.cluster import local_cluster

    command_line = [sys.executable, "-m", _PRETRAIN, *_pretrain_flags]
    return local_cluster.run_local(
        command_line, _PS.value, _WORKERS.value, _RESTART_WORKERS.value
    )


# What followed "--".
_pretrain_flags = []


def run():
    """Entry point of the console command."""
    if "--" in sys.argv:
        at = sys.argv.index("--")
        _pretrain_flags[:] = sys.argv[at + 1 :]
        del sys.argv[at:]
    command.run(main, "launch.local_cluster")


if __name__ == "__main__":
    run()
