"""Training continues or ends correctly when real processes are killed or stopped."""

import pathlib
import re
import signal
import time

import pytest
from cluster_chief import LOST_DEVICES_LOG
from real_cluster import STARTED, summary, wait_for_steps

GROUPS = {"a": [0, 1], "bb": [2]}


def _end(chief):
    """Ends the run; checks that each step was counted exactly once."""
    chief.send(signal.SIGTERM)
    result = summary(chief)
    assert result["steps"] == result["accepted_steps"]
    # The terminal has a line for each failure, which names the file with the details.
    text = chief.text()
    assert "Exception ignored" not in text and "Traceback" not in text, text
    for line in re.findall(r"^\w+: lost a device: .*$", text, re.MULTILINE):
        assert (
            line.endswith(f"/{LOST_DEVICES_LOG})")
            and "Graph execution error" not in line
        )
    return result


def test_the_group_of_a_killed_worker_continues_and_uses_it_again(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS)
    wait_for_steps(chief, STARTED, a=10, bb=10)
    cluster.servers["worker", 1].kill()
    chief.wait_for(
        "a: continues on /job:worker/replica:0/task:0/device:CPU:0; 1 of", 120
    )
    wait_for_steps(chief, a=10, bb=10)
    cluster.start("worker", 1)
    chief.wait_for(
        "task:0/device:CPU:0, /job:worker/replica:0/task:1/device:CPU:0", 120
    )
    wait_for_steps(chief, a=10, bb=10)
    result = _end(chief)
    (log,) = re.findall(rf"\(details: (\S+{LOST_DEVICES_LOG})\)", chief.text())
    assert "a: " in pathlib.Path(log).read_text()
    assert len(result["devices"]["a"]) == 2 and result["generations"]["bb"] == 0
    assert "bb: lost" not in chief.text()


def test_a_group_without_workers_waits_for_a_worker(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS)
    wait_for_steps(chief, STARTED, a=10, bb=10)
    cluster.servers["worker", 0].kill()
    cluster.servers["worker", 1].kill()
    chief.wait_for("a: none of its devices answers; waiting for a device", 120)
    wait_for_steps(chief, bb=30)
    cluster.start("worker", 1)
    chief.wait_for(
        "a: continues on /job:worker/replica:0/task:1/device:CPU:0; 1 of", 120
    )
    wait_for_steps(chief, a=10, bb=10)
    assert _end(chief)["generations"]["bb"] == 0


def test_a_killed_server_ends_the_run_which_resumes_from_its_checkpoint(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, checkpoint_seconds=0.5)
    wait_for_steps(chief, STARTED, a=50, bb=50)
    cluster.servers["ps", 0].kill()
    assert chief.wait(120) == 1, chief.text()
    address = cluster.addresses["ps"][0]
    assert f"error: parameter server lost: ps 0 at {address}" in chief.text()
    cluster.start("ps", 0)
    again = cluster.chief(GROUPS)
    line = again.wait_for("resumed checkpoint-", STARTED)
    total = int(line.split("resumed checkpoint-")[1][:9])
    wait_for_steps(again, a=10, bb=10)
    assert sum(_end(again)["steps"].values()) >= total + 20


def test_servers_serve_a_new_chief_after_a_chief_was_killed(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, checkpoint_seconds=0.5)
    wait_for_steps(chief, STARTED, a=50, bb=50)
    chief.kill()
    again = cluster.chief(GROUPS)
    again.wait_for("resumed checkpoint-", STARTED)
    wait_for_steps(again, a=10, bb=10)
    _end(again)


@pytest.mark.slow
def test_a_stopped_worker_is_given_up_and_its_step_is_not_applied(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, step_seconds=10.0, probe_seconds=1.0)
    wait_for_steps(chief, STARTED, a=10, bb=10)
    cluster.servers["worker", 1].send(signal.SIGSTOP)
    chief.wait_for("a: lost a device: its step has not returned", 120)
    chief.wait_for(
        "a: continues on /job:worker/replica:0/task:0/device:CPU:0; 1 of", 120
    )
    wait_for_steps(chief, a=10, bb=10)
    cluster.servers["worker", 1].send(signal.SIGCONT)
    chief.wait_for(
        "task:0/device:CPU:0, /job:worker/replica:0/task:1/device:CPU:0", 120
    )
    wait_for_steps(chief, a=10, bb=10)
    result = _end(chief)
    (log,) = re.findall(rf"\(details: (\S+{LOST_DEVICES_LOG})\)", chief.text())
    assert "a: " in pathlib.Path(log).read_text()
    assert len(result["devices"]["a"]) == 2 and result["generations"]["bb"] == 0


@pytest.mark.slow
def test_a_stopped_server_ends_the_run(start_cluster):
    cluster = start_cluster()
    chief = cluster.chief(GROUPS, step_seconds=10.0, probe_seconds=1.0)
    wait_for_steps(chief, STARTED, a=10, bb=10)
    cluster.servers["ps", 0].send(signal.SIGSTOP)
    assert chief.wait(120) == 1, chief.text()
    assert "error: parameter server lost: ps 0" in chief.text()


def test_a_server_ends_with_status_0_after_sigterm(start_cluster):
    cluster = start_cluster(workers=1)
    for server in cluster.servers.values():
        server.wait_for("serves at", STARTED)
        server.send(signal.SIGTERM)
    for server in cluster.servers.values():
        assert server.wait(20) == 0, server.text()


@pytest.mark.slow
def test_a_restarted_worker_is_used_again_when_no_other_hangs(start_cluster):
    """Joining waits for every process: the first limit in docs/cluster.md."""
    cluster = start_cluster(workers=4)
    groups = {"a": [0, 1], "bb": [2, 3]}
    chief = cluster.chief(groups, step_seconds=10.0, probe_seconds=1.0)
    wait_for_steps(chief, STARTED, a=10, bb=10)
    cluster.servers["worker", 1].send(signal.SIGSTOP)
    chief.wait_for(
        "a: continues on /job:worker/replica:0/task:0/device:CPU:0; 1 of", 120
    )
    cluster.servers["worker", 3].kill()
    chief.wait_for(
        "bb: continues on /job:worker/replica:0/task:2/device:CPU:0; 1 of", 120
    )
    both = "task:2/device:CPU:0, /job:worker/replica:0/task:3/device:CPU:0"
    before = chief.text().count(both)
    cluster.start("worker", 3)
    # Long enough for ten checks of the missing devices.
    wait_for_steps(chief, a=10, bb=10)
    time.sleep(20.0)
    assert chief.text().count(both) == before
    wait_for_steps(chief, a=10, bb=10)
    cluster.servers["worker", 1].send(signal.SIGCONT)
    chief.wait_for(both, 120, before + 1)
    wait_for_steps(chief, a=10, bb=10)
    assert all(len(devices) == 2 for devices in _end(chief)["devices"].values())
