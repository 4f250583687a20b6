"""Serves in a cluster: a parameter server or worker, as TF_CONFIG says.

  TF_CONFIG='{"cluster": ..., "task": {"type": "worker", "index": 0}}' \\
      python -m launch.server

The chief, launch.pretrain with a TF_CONFIG of its own, tells it what to do. It serves
until SIGTERM or SIGINT, and then ends with status 0.

TensorFlow's servers have no authentication: whoever reaches the port can run what they
like. It is kept to this machine unless --listen=network says otherwise, which is for
private networks alone.
"""

import os

from absl import flags

from selfsup.command_line import command

_LISTEN = flags.DEFINE_enum(
    "listen",
    "loopback",
    ["loopback", "network"],
    "Who may reach the server: this machine alone, or the network.",
)


def main(_):
    """Reads TF_CONFIG and serves."""
    from selfsup.common.errors import UserError
    from selfsup.hybrid.cluster import tf_config

    found = tf_config.from_environment()
    if found is None:
        raise UserError(
            f"{tf_config.VARIABLE} is not set, or names no other process than this one: it "
            "has to name the cluster's processes, see docs/cluster.md"
        )
    if found.job == tf_config.SERVER:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from selfsup.hybrid.cluster import server

    server.serve(found, _LISTEN.value, say=lambda line: print(line, flush=True))


def run():
    """Entry point of the console command."""
    command.run(main, "launch.server")


if __name__ == "__main__":
    run()
