"""A parameter server or worker: holds variables or computes for the chief."""

from __future__ import annotations

import signal
from typing import Callable

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster import loopback
from selfsup.hybrid.cluster.tf_config import (
    CHIEF,
    SERVER,
    Cluster,
    reconnect_quickly,
    split_address,
)


def serve(
    cluster: Cluster,
    listen: str = "loopback",
    say: Callable[[str], None] = print,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
      cluster: the `Cluster`, in which this process is a parameter server or worker.
      listen: "loopback", or "network" for private networks only: TensorFlow's servers
        have no authentication and obey anyone who can reach them.
      say: called with each line for the user.

    Raises:
      UserError: if this process is the chief, or the port cannot be opened.
    """
    if cluster.job == CHIEF:
        raise UserError(
            "TF_CONFIG gives this process the role of the chief, which runs "
            "launch.pretrain"
        )
    loopback.check(cluster, listen)
    reconnect_quickly()
    stopping = (signal.SIGTERM, signal.SIGINT)
    # The threads that TensorFlow starts inherit this: the signals wait for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    _prepare_devices(cluster.job)
    server = _make_server(cluster)
    port = split_address(cluster.address)[1]
    if listen == "loopback":
        loopback.keep_to_loopback(port)
    server.start()
    say(f"{cluster.job} {cluster.index} serves at {cluster.address} ({listen})")
    received = signal.sigwait(stopping)
    say(f"{cluster.job} {cluster.index}: stopped by {signal.Signals(received).name}")


def _prepare_devices(job: str) -> None:
    if job == SERVER:
        # A parameter server keeps its variables in main memory.
        tf.config.set_visible_devices([], "GPU")
    for gpu in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _make_server(cluster: Cluster) -> tf.distribute.Server:
    spec = {job: list(addresses) for job, addresses in cluster.addresses.items()}
    config = tf.compat.v1.ConfigProto()
    config.gpu_options.allow_growth = True
    try:
        return tf.distribute.Server(
            tf.train.ClusterSpec(spec),
            job_name=cluster.job,
            task_index=cluster.index,
            protocol="grpc",
            config=config,
            start=False,
        )
    except tf.errors.OpError as error:
        raise UserError(
            f"{cluster.job} {cluster.index}: cannot serve at {cluster.address}: "
            f"{error.message.splitlines()[0]}"
        ) from error
