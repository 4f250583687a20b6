"""Serves in a cluster: a parameter server or a worker, as TF_CONFIG says.

  TF_CONFIG='{"cluster": ..., "task": {"type": "worker", "index": 0}}' \\
      python -m launch.server

The chief, launch.pretrain with its own TF_CONFIG, sends it the work. The server runs
until SIGTERM or SIGINT and then exits with status 0.

TensorFlow's servers have no authentication: anybody who can reach the port can run
programs here. Only this machine can reach it unless --listen=network is given. Use that
only in private networks.
"""

from __future__ import annotations

import os

from absl import flags

from selfsup.command_line import command

_LISTEN = flags.DEFINE_enum(
    "listen",
    "loopback",
    ["loopback", "network"],
    "Who may reach the server: only this machine, or the network.",
)


def main(_: list[str]) -> None:
    """Reads TF_CONFIG and serves."""
    from selfsup.common.errors import UserError
    from selfsup.hybrid.cluster import tf_config

    cluster = tf_config.from_environment()
    if cluster is None:
        raise UserError(
            f"{tf_config.VARIABLE} is not set, or names no process other than this one. "
            "It must name all processes of the cluster; see docs/cluster.md"
        )
    if cluster.job == tf_config.SERVER:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from selfsup.hybrid.cluster import server

    server.serve(cluster, _LISTEN.value, say=lambda line: print(line, flush=True))


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.server")


if __name__ == "__main__":
    run()
