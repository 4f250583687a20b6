"""Runs a whole cluster on this machine: servers, and launch.pretrain as the chief.

  python -m launch.local_cluster --ps=1 --workers=4 -- --data=DIR --model_dir=DIR

The arguments after -- are flags of launch.pretrain. Each worker has a GPU of its own, or
no GPU if there are not enough. Every line of output begins with the name of the process
that wrote it. Ctrl-C stops the chief, which writes a checkpoint, and then the servers.
Run the same command again to resume. The exit status is that of the chief.
"""

from __future__ import annotations

import sys

from absl import flags

from selfsup.command_line import command

_PS = flags.DEFINE_integer("ps", 1, "Number of parameter servers.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Number of workers.", lower_bound=1)
_RESTART_WORKERS = flags.DEFINE_bool(
    "restart_workers",
    True,
    "Start a worker again that has died; its group then uses it again.",
)

# The arguments after "--".
_pretrain_flags: list[str] = []


def main(_: list[str]) -> int:
    """Starts the processes and waits for the chief."""
    from selfsup.hybrid.cluster import local_cluster

    command_line = [sys.executable, "-m", "launch.pretrain", *_pretrain_flags]
    return local_cluster.run_local(
        command_line, _PS.value, _WORKERS.value, _RESTART_WORKERS.value
    )


def run() -> None:
    """Entry point of the console command."""
    _pretrain_flags[:] = command.take_arguments_after_dashes()
    command.run(main, "launch.local_cluster")


if __name__ == "__main__":
    run()
