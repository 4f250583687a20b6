"""Checks the loop benchmark, and the options of `launch.pretrain` that it measures."""

from __future__ import annotations

import os
import pathlib
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
from tests.benchmarks.loop import overhead, traffic

ADDRESSES = {
    "chief": ("one:1",),
    "ps": ("one:2",),
    "worker": ("one:3", "two:3", "one:4"),
}
SMALL = ["colorization.batch_size=2", "colorization.image_size=64"]


@pytest.fixture
def parsed_flags() -> None:
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def test_the_least_traffic_is_each_value_there_and_back_once_per_replica() -> None:
    variables = [tf.Variable(tf.zeros([3, 5])), tf.Variable(tf.zeros([7]))]
    statistics = [tf.Variable(tf.zeros([2]))]
    model = Model(None, variables, statistics)
    workload = Workload("a", Replica(model, None, 8), 0.1, 0)
    assert traffic.least_bytes(workload, 4) == 4 * 2 * 4 * (15 + 7 + 2)


def test_workers_at_one_address_share_a_host(
    parsed_flags: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tf_config.to_json(ADDRESSES, "chief", 0)
    monkeypatch.setenv(tf_config.VARIABLE, text)
    cluster = tf_config.parse(text)
    with flagsaver.flagsaver(sum_in_host=True, wire="bfloat16"):
        transfer = pretrain._transfer_options()
    first, second, third = cluster.devices("worker")
    assert transfer.hosts([first, second, third]) == [[first, third], [second]]
    assert transfer.dtype == "bfloat16"


def test_without_a_cluster_sums_in_the_host_are_refused(
    parsed_flags: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(tf_config.VARIABLE, raising=False)
    refused = pytest.raises(UserError, match="--sum_in_host")
    with flagsaver.flagsaver(sum_in_host=True), refused:
        pretrain._transfer_options()


def test_the_trace_is_written_into_the_run_folder_on_request(
    parsed_flags: None, tmp_path: pathlib.Path
) -> None:
    with flagsaver.flagsaver(model_dir=str(tmp_path), trace_steps=0):
        assert pretrain._recorder() is None
    with flagsaver.flagsaver(model_dir=str(tmp_path), trace_steps=2):
        recorder = pretrain._recorder()
    for number in range(8):
        if recorder.wants(("a",)):
            recorder.add(("a",), number, 0.0, 1.0, {})
    assert (tmp_path / "trace.json").exists() and recorder.is_done


@pytest.mark.slow
def test_the_loop_is_compared_with_the_bare_step() -> None:
    config = configuration.resolve("tiny", ["colorization"], task_overrides=SMALL)
    result = overhead.measure(config, "colorization", steps=1, rounds=4)
    numbers = [result.bare, result.bare_cpu, result.ratio, result.cpu_ratio]
    assert all(number > 0 for number in numbers)
    assert result.quartiles[0] <= result.cpu_ratio <= result.quartiles[1]


@pytest.mark.slow
def test_traffic_is_minimal_and_the_options_reduce_it(tmp_path: pathlib.Path) -> None:
    """Other programs may add some bytes on this machine's loopback interface."""
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
    rows = re.findall(
        r"\| colorization \| ([^|]+) \| [\d.]+ \| ([\d.]+) \|", done.stdout
    )
    shares = [float(share) for _, share in rows]
    plain, bfloat16, _, _ = shares
    assert plain == pytest.approx(1.0, abs=0.1)
    assert bfloat16 == pytest.approx(0.5, abs=0.1)
    assert trace.exists()
