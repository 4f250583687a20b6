"""What `tests.benchmarks.loop` measures with, and `launch.pretrain`'s options for it."""

import os
import re
import subprocess
import sys

import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver

from launch import pretrain
from selfsup.common.errors import UserError
from selfsup.hybrid.cluster import tf_config
from selfsup.hybrid.workload import Model, Replica, Workload
from selfsup.pretraining import configuration
from tests.benchmarks import loop_overhead, loop_traffic

ADDRESSES = {
    "chief": ("one:1",),
    "ps": ("one:2",),
    "worker": ("one:3", "two:3", "one:4"),
}
SMALL = ["colorization.batch_size=2", "colorization.image_size=64"]


@pytest.fixture
def parsed_flags():
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def test_the_floor_is_each_value_there_and_back_once_a_replica():
    variables = [tf.Variable(tf.zeros([3, 5])), tf.Variable(tf.zeros([7]))]
    statistics = [tf.Variable(tf.zeros([2]))]
    model = Model(None, variables, statistics)
    workload = Workload("a", Replica(model, None, 8), 0.1, 0)
    assert loop_traffic.floor(workload, 4) == 4 * 2 * 4 * (15 + 7 + 2)


def test_workers_at_one_address_share_a_host(parsed_flags, monkeypatch):
    text = tf_config.to_json(ADDRESSES, "chief", 0)
    monkeypatch.setenv(tf_config.VARIABLE, text)
    found = tf_config.parse(text)
    with flagsaver.flagsaver(sum_in_host=True, wire="bfloat16"):
        wire = pretrain._wire()
    first, second, third = found.devices("worker")
    assert wire.hosts([first, second, third]) == [[first, third], [second]]
    assert wire.dtype == "bfloat16"


def test_without_a_cluster_there_is_no_host_to_sum_in(parsed_flags, monkeypatch):
    monkeypatch.delenv(tf_config.VARIABLE, raising=False)
    refused = pytest.raises(UserError, match="--sum_in_host")
    with flagsaver.flagsaver(sum_in_host=True), refused:
        pretrain._wire()


def test_a_trace_goes_beside_the_run_when_it_is_asked_for(parsed_flags, tmp_path):
    with flagsaver.flagsaver(model_dir=str(tmp_path), trace_steps=0):
        assert pretrain._recorder() is None
    with flagsaver.flagsaver(model_dir=str(tmp_path), trace_steps=2):
        recorder = pretrain._recorder()
    for number in range(8):
        if recorder.wants(("a",)):
            recorder.add(("a",), number, 0.0, 1.0, {})
    assert (tmp_path / "trace.json").exists() and recorder.is_done


@pytest.mark.slow
def test_the_loop_is_timed_against_the_bare_step():
    config = configuration.resolve("tiny", ["colorization"], task_overrides=SMALL)
    found = loop_overhead.measure(config, "colorization", steps=1, rounds=4)
    numbers = [found.bare, found.bare_cpu, found.ratio, found.cpu_ratio]
    assert all(number > 0 for number in numbers)
    assert found.quartiles[0] <= found.cpu_ratio <= found.quartiles[1]


@pytest.mark.slow
def test_traffic_is_at_its_floor_and_the_options_cut_it(tmp_path):
    """Bytes of this machine's loopback interface: other programs may add some."""
    trace = tmp_path / "trace.json"
    done = subprocess.run(
        [
            *[sys.executable, "-m", "tests.benchmarks.loop", "--measure=traffic"],
            *["--workers=2", "--ps=1", "--steps=3", f"--trace={trace}"],
            *[f"--task_set={text}" for text in SMALL],
            "--task_set=colorization.head_channels=1024",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shares = [float(one) for one in re.findall(r"step \(([\d.]+) of", done.stdout)]
    plain, bfloat16, _, _ = shares
    assert plain == pytest.approx(1.0, abs=0.1)
    assert bfloat16 == pytest.approx(0.5, abs=0.1)
    assert trace.exists()
