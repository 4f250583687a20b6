"""TF_CONFIG, the restriction of ports, and the placement of variables."""

import json
import socket

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster import loopback, tf_config
from selfsup.hybrid.placement import spread_over
from selfsup.keras import keras

ADDRESSES = {
    "chief": ("127.0.0.1:1",),
    "ps": ("127.0.0.1:2",),
    "worker": ("127.0.0.1:3", "127.0.0.1:4"),
}


def test_a_configuration_is_read():
    cluster = tf_config.parse(tf_config.to_json(ADDRESSES, "worker", 1))
    assert cluster == tf_config.Cluster(ADDRESSES, "worker", 1)
    device = cluster.devices("worker", "GPU")[1]
    assert device == "/job:worker/replica:0/task:1/device:GPU:0"
    assert cluster.describe(device) == "worker 1 at 127.0.0.1:4"
    assert cluster.address_of(device) == ("127.0.0.1", 4)
    assert tf_config.split_address("[::1]:5") == ("::1", 5)
    assert tf_config.from_environment({}) is None


def _config(jobs=None, task=None):
    named = {"type": "worker", "index": 0} if task is None else task
    return json.dumps({"cluster": {**ADDRESSES, **(jobs or {})}, "task": named})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"cluster": {}, "task": {"type": "chief", "index": 0}}',
        '{"environment": "cloud", "task": {"type": "master", "index": 0}}',
        # As Vertex AI documents it for one machine.
        '{"cluster": {"chief": ["cmle-training-workerpool0-0:2222"]}, "environment": '
        '"cloud", "task": {"type": "chief", "index": 0, "trial": ""}, "job": "{}"}',
        '{"cluster": {"chief": ["a:1"], "ps": [], "worker": []}}',
        '{"cluster": {"worker": {"0": "a:1"}}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_single_process_is_no_cluster(text):
    assert tf_config.parse(text) is None
    assert tf_config.from_environment({"TF_CONFIG": text}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"cluster": {"ps": ["a:1"]}}', "names no chief"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "names no chief"),
        ('{"cluster": {"chief": 7}}', "names no chief"),
        (
            '{"cluster": {"chief": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
            "names no ps",
        ),
        ("[]", "has no 'cluster'"),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}}', "names no ps"),
        (_config({"master": ["a:1"]}), "call it chief"),
        (_config({"evaluator": ["a:1"]}), "leave it out"),
        (_config({"chief": ["a:1", "b:1"]}), "names 2 chiefs"),
        (_config({"worker": ["a"]}), "expected host:port"),
        (_config({"worker": ["a:1", "a:1"]}), "gives a:1 to both"),
        (_config(task={"type": "worker", "index": 2}), "worker 2; the cluster has 2"),
        (_config(task={"type": "master", "index": 0}), "call it chief"),
        (
            _config(task={"type": "gpu", "index": 0}),
            "'gpu'; expected chief, ps, worker",
        ),
    ],
)
def test_a_wrong_configuration_is_refused(text, message):
    with pytest.raises(UserError, match="TF_CONFIG") as error:
        tf_config.parse(text)
    assert message in str(error.value)


def test_a_port_is_restricted_to_this_machine():
    """It still accepts local connections; its socket option refuses the network."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        port = server.getsockname()[1]
        loopback.keep_to_loopback(port)
        bound = server.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert bound.rstrip(b"\0") == b"lo"
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(UserError, match="no socket"):
        loopback.keep_to_loopback(port)


def test_other_machines_need_the_network():
    addresses = {**ADDRESSES, "ps": ("10.0.0.1:2",)}
    with pytest.raises(
        UserError, match=r"ps has the address 10.0.0.1:2.*listen=network"
    ):
        loopback.check(tf_config.Cluster(addresses, "worker", 0), "loopback")
    loopback.check(tf_config.Cluster(addresses, "worker", 0), "network")
    loopback.check(tf_config.Cluster(ADDRESSES, "worker", 0), "loopback")


def test_variables_are_spread_by_bytes():
    """The servers hold equal numbers of bytes, except for the largest variable."""
    devices = [f"/CPU:{index}" for index in range(3)]
    sizes = np.random.default_rng(0).integers(1, 1000, 40)
    with spread_over(devices) as held:
        made = [tf.Variable(tf.zeros([int(size)])) for size in sizes]
        layer = keras.layers.Dense(50)
        layer.build([None, 20])
    by_device = dict.fromkeys(devices, 0)
    for variable in [*made, *layer.variables]:
        by_device["/CPU:" + variable.device[-1]] += 4 * int(tf.size(variable))
    assert by_device == held
    assert max(held.values()) - min(held.values()) <= 4 * max(1000, sizes.max())
