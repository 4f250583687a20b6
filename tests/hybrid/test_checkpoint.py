import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.hybrid.checkpoint import CheckpointStore


def _trackable(value):
    return tf.train.Checkpoint(weights=tf.Variable(tf.fill([1000], float(value))))


def test_round_trip(tmp_path):
    store = CheckpointStore(str(tmp_path))
    store.save("checkpoint-000000007", _trackable(3), {"groups": {"a": 7}})
    target = _trackable(0)
    assert store.restore(store.latest(), target) == {"groups": {"a": 7}}
    np.testing.assert_array_equal(target.weights.numpy(), np.full(1000, 3.0))


def test_a_part_can_be_restored_when_asked_for(tmp_path):
    store = CheckpointStore(str(tmp_path))
    whole = tf.train.Checkpoint(trunk=_trackable(1), head=_trackable(2))
    store.save("checkpoint-000000001", whole, {})
    part = tf.train.Checkpoint(trunk=_trackable(0))
    with pytest.raises(UserError, match="cannot be restored"):
        store.restore("checkpoint-000000001", part)
    part = tf.train.Checkpoint(trunk=_trackable(0))
    store.restore("checkpoint-000000001", part, partial=True)
    assert part.trunk.weights.numpy()[0] == 1.0
    missing = tf.train.Checkpoint(block4=_trackable(0))
    with pytest.raises(UserError, match="cannot be restored"):
        store.restore("checkpoint-000000001", missing, partial=True)


def test_no_checkpoint():
    assert CheckpointStore("/nonexistent").latest() is None


def test_an_unknown_name_lists_the_existing_checkpoints(tmp_path):
    store = CheckpointStore(str(tmp_path))
    store.save("checkpoint-000000007", _trackable(3), {})
    with pytest.raises(UserError, match="checkpoint-000000007"):
        store.path("checkpoint-000000008")


@pytest.mark.parametrize("suffix", ["state.json", "variables.index", "00001"])
def test_a_damaged_checkpoint_is_named(tmp_path, suffix):
    store = CheckpointStore(str(tmp_path))
    store.save("checkpoint-000000007", _trackable(3), {})
    path = store.path("checkpoint-000000007")
    (file,) = [name for name in os.listdir(path) if name.endswith(suffix)]
    with open(os.path.join(path, file), "r+b") as damaged:
        damaged.truncate(10)
    with pytest.raises(UserError, match="checkpoint-000000007: cannot be restored"):
        store.restore("checkpoint-000000007", _trackable(0))


def test_an_incomplete_checkpoint_is_ignored(tmp_path):
    store = CheckpointStore(str(tmp_path))
    store.save("checkpoint-000000001", _trackable(1), {})
    partial = tmp_path / ".checkpoint-000000002.partial"
    partial.mkdir()
    (partial / "state.json").write_text(json.dumps({}))
    assert store.latest() == "checkpoint-000000001"
    store.remove_partial()
    assert os.listdir(tmp_path) == ["checkpoint-000000001"]


_FULL_DISK = """
    import resource, signal, sys
    sys.path.insert(0, sys.argv[2])
    import tensorflow as tf
    from selfsup.common.errors import UserError
    from selfsup.hybrid.checkpoint import CheckpointStore
    def trackable(size):
        return tf.train.Checkpoint(weights=tf.Variable(tf.ones([size])))
    store = CheckpointStore(sys.argv[1])
    store.save("checkpoint-000000001", trackable(1000), {"ok": True})
    # A write beyond the limit fails like a write to a full disk, without root.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        store.save("checkpoint-000000002", trackable(1_000_000), {})
    except UserError as error:
        print(error)
"""


def test_a_full_disk_leaves_the_last_checkpoint_complete(tmp_path):
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_FULL_DISK), str(tmp_path), os.getcwd()],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert "checkpoint-000000002: checkpoint not written" in output
    assert "the last complete checkpoint is checkpoint-000000001" in output
    assert os.listdir(tmp_path) == ["checkpoint-000000001"]
    assert CheckpointStore(str(tmp_path)).restore(
        "checkpoint-000000001", _trackable(0)
    ) == {"ok": True}
