"""Trains for minutes while workers are killed, stopped and started at random."""

import random
import signal
import time

import pytest
from real_cluster import STARTED, summary

SECONDS = 120
GROUPS = {"a": [0, 1], "bb": [2, 3]}


@pytest.mark.slow
def test_a_run_survives_random_kills(start_cluster):
    cluster = start_cluster(workers=4)
    chief = cluster.chief(
        GROUPS, step_seconds=3.0, probe_seconds=1.0, checkpoint_seconds=2.0
    )
    chief.wait_for("steps ", STARTED)
    chance, done = random.Random(0), {"killed": 0, "stopped": 0}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and chief.poll() is None:
        index = chance.randrange(4)
        worker = cluster.servers["worker", index]
        if chance.random() < 0.7:
            worker.kill()
            time.sleep(chance.uniform(0.0, 3.0))
            cluster.start("worker", index)
            done["killed"] += 1
        else:
            worker.send(signal.SIGSTOP)
            time.sleep(chance.uniform(0.0, 8.0))
            worker.send(signal.SIGCONT)
            done["stopped"] += 1
        time.sleep(chance.uniform(1.0, 6.0))
    assert chief.poll() is None, chief.text()
    chief.send(signal.SIGTERM)
    result = summary(chief, STARTED)
    print(done, {key: result[key] for key in ("steps", "generations", "first", "last")})
    assert result["steps"] == result["accepted_steps"]
    assert all(result["last"][name] < 0.5 * result["first"][name] for name in GROUPS)
