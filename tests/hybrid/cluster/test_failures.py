"""Processes that are really killed or stopped, and what the others do."""

import signal

import pytest
from real_cluster import summary, wait_for_steps

GROUPS = {"a": [0, 1], "bb": [2]}


def _end(chief):
    """Asks for the run's end; checks that no step was lost or counted twice."""
    chief.send(signal.SIGTERM)
    found = summary(chief)
    assert found["steps"] == found["landed"]
    return found


def test_a_killed_worker_leaves_its_group_to_the_others_and_comes_back(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS)
    wait_for_steps(chief, 60, a=10, bb=10)
    cluster.servers["worker", 1].kill()
    chief.wait_for(
        "a: goes on with /job:worker/replica:0/task:0/device:CPU:0; 1 do", 30
    )
    wait_for_steps(chief, a=10, bb=10)
    cluster.start("worker", 1)
    chief.wait_for("task:0/device:CPU:0, /job:worker/replica:0/task:1/device:CPU:0", 30)
    wait_for_steps(chief, a=10, bb=10)
    found = _end(chief)
    assert len(found["devices"]["a"]) == 2 and found["generations"]["bb"] == 0
    assert "bb: lost" not in chief.text()


def test_a_group_whose_workers_are_all_killed_waits_for_one(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS)
    wait_for_steps(chief, 60, a=10, bb=10)
    cluster.servers["worker", 0].kill()
    cluster.servers["worker", 1].kill()
    chief.wait_for("a: none of its devices answers; waiting for one", 30)
    wait_for_steps(chief, bb=30)
    cluster.start("worker", 1)
    chief.wait_for(
        "a: goes on with /job:worker/replica:0/task:1/device:CPU:0; 1 do", 30
    )
    wait_for_steps(chief, a=10, bb=10)
    assert _end(chief)["generations"]["bb"] == 0


def test_a_killed_server_ends_the_run_which_goes_on_from_its_checkpoint(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, checkpoint_seconds=0.5)
    wait_for_steps(chief, 60, a=50, bb=50)
    cluster.servers["ps", 0].kill()
    assert chief.wait(40) == 1, chief.text()
    address = cluster.addresses["ps"][0]
    assert f"error: parameter server gone: ps 0 at {address}" in chief.text()
    cluster.start("ps", 0)
    again = cluster.chief(GROUPS)
    told = again.wait_for("resumed checkpoint-", 60)
    total = int(told.split("resumed checkpoint-")[1][:9])
    wait_for_steps(again, a=10, bb=10)
    assert sum(_end(again)["steps"].values()) >= total + 20


def test_servers_serve_a_new_chief_when_theirs_was_killed(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, checkpoint_seconds=0.5)
    wait_for_steps(chief, 60, a=50, bb=50)
    chief.kill()
    again = cluster.chief(GROUPS)
    again.wait_for("resumed checkpoint-", 60)
    wait_for_steps(again, a=10, bb=10)
    _end(again)


@pytest.mark.slow
def test_a_stopped_worker_is_given_up_and_its_step_does_not_land(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, step_seconds=2.0, probe_seconds=1.0)
    wait_for_steps(chief, 60, a=10, bb=10)
    cluster.servers["worker", 1].send(signal.SIGSTOP)
    chief.wait_for("a: lost a device: its step has not come back", 40)
    chief.wait_for(
        "a: goes on with /job:worker/replica:0/task:0/device:CPU:0; 1 do", 30
    )
    wait_for_steps(chief, a=10, bb=10)
    cluster.servers["worker", 1].send(signal.SIGCONT)
    chief.wait_for("task:0/device:CPU:0, /job:worker/replica:0/task:1/device:CPU:0", 30)
    wait_for_steps(chief, a=10, bb=10)
    found = _end(chief)
    assert len(found["devices"]["a"]) == 2 and found["generations"]["bb"] == 0


@pytest.mark.slow
def test_a_stopped_server_ends_the_run(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, step_seconds=2.0, probe_seconds=1.0)
    wait_for_steps(chief, 60, a=10, bb=10)
    cluster.servers["ps", 0].send(signal.SIGSTOP)
    assert chief.wait(60) == 1, chief.text()
    assert "error: parameter server gone: ps 0" in chief.text()


def test_a_server_ends_in_order_when_asked_to(start_cluster):
    cluster = start_cluster(workers=1)
    for server in cluster.servers.values():
        server.wait_for("serves at", 60)
        server.send(signal.SIGTERM)
    for server in cluster.servers.values():
        assert server.wait(20) == 0, server.text()
