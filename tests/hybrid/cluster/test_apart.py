"""Processes that share neither network nor disk: cut links and invisible files."""

import signal
import time

import pytest
import separate_network
from fork_server import ForkServer
from real_cluster import STARTED, RealCluster, steps, summary, wait_for_steps

GROUPS = {"a": [0, 1], "bb": [2]}


@pytest.fixture(scope="module")
def namespaces():
    """A `ForkServer` that controls the network of its processes."""
    reason = separate_network.why_not()
    if reason:
        pytest.skip(f"this machine lets us make no network namespaces: {reason}")
    made = ForkServer(separate_network.PREFIX)
    yield made
    made.close()


@pytest.mark.slow
def test_a_worker_with_a_cut_link_is_given_up_and_used_again(namespaces, tmp_path):
    """The link is cut during steps, for longer than TCP retries could hide."""
    apart = separate_network.SeparateNetwork(namespaces, tmp_path, "worker", 1)
    cluster = RealCluster(namespaces, tmp_path, network=apart)
    try:
        chief = cluster.chief(GROUPS, step_seconds=10.0, probe_seconds=1.0)
        wait_for_steps(chief, STARTED, a=20, bb=20)
        apart.cut()
        before = steps(chief)["bb"]
        chief.wait_for("a: lost a device: its step has not returned", 120)
        assert steps(chief)["bb"] > before
        chief.wait_for(
            "a: continues on /job:worker/replica:0/task:0/device:CPU:0; 1 of", 120
        )
        wait_for_steps(chief, a=20, bb=20)
        time.sleep(5.0)
        apart.heal()
        both = "task:0/device:CPU:0, /job:worker/replica:0/task:1/device:CPU:0"
        chief.wait_for(both, 120)
        wait_for_steps(chief, a=20, bb=20)
        chief.send(signal.SIGTERM)
        result = summary(chief)
        assert result["steps"] == result["accepted_steps"]
        assert len(result["devices"]["a"]) == 2 and result["generations"]["bb"] == 0
        assert "bb: lost" not in chief.text()
    finally:
        cluster.close()
        apart.close()


def test_servers_do_not_need_the_chiefs_disk(namespaces, tmp_path):
    cluster = RealCluster(namespaces, tmp_path, 2, 1, own_disks=True)
    try:
        result = summary(cluster.chief({"a": [0]}, limits={"a": 30}), STARTED)
        (written,) = (tmp_path / "checkpoints").iterdir()
        again = cluster.chief({"a": [0]}, limits={"a": 40})
        assert summary(again, STARTED)["steps"] == {"a": 40}
        assert f"resumed {written.name}" in again.text()
    finally:
        cluster.close()
    assert result["steps"] == result["accepted_steps"] == {"a": 30}
    assert {path.name for path in written.iterdir()} == {
        "state.json",
        "variables.index",
        "variables.data-00000-of-00001",
    }
