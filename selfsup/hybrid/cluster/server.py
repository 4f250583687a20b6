"""A parameter server or worker: holds variables or computes, as the chief says."""

import signal

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster import loopback
from selfsup.hybrid.cluster.tf_config import (
    CHIEF,
    SERVER,
    reconnect_quickly,
    split_address,
)


def serve(cluster, listen="loopback", say=print):
    """Serves until SIGTERM or SIGINT.

    Args:
      cluster: the `Cluster`, of which this process is a ps or worker.
      listen: "loopback", or "network": TensorFlow's servers do what whoever reaches
        them asks, without authentication.
      say: callable that takes a line for the user.

    Raises:
      UserError: for the chief, and when the port cannot be had.
    """
    if cluster.job == CHIEF:
        raise UserError(
            "TF_CONFIG says that this process is the chief: that is launch.pretrain"
        )
    loopback.check(cluster, listen)
    reconnect_quickly()
    stopping = (signal.SIGTERM, signal.SIGINT)
    # Threads that TensorFlow starts inherit this: the signals wait for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    _prepare_devices(cluster.job)
    server = _make_server(cluster)
    port = split_address(cluster.address)[1]
    if listen == "loopback":
        loopback.keep_to_loopback(port)
    server.start()
    say(f"{cluster.job} {cluster.index} serves at {cluster.address} ({listen})")
    received = signal.sigwait(stopping)
    say(f"{cluster.job} {cluster.index}: {signal.Signals(received).name}, ends")


def _prepare_devices(job):
    if job == SERVER:
        # It holds variables in main memory.
        tf.config.set_visible_devices([], "GPU")
    for gpu in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _make_server(cluster):
    spec = {job: list(all) for job, all in cluster.addresses.items()}
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
