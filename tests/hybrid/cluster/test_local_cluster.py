"""The processes of a local cluster: prefixed lines, restarts, all of them end."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

# A cluster of processes without TensorFlow: they print their ids and wait.
_SCRIPT = """
import sys
from selfsup.hybrid.cluster.local_cluster import (
    MachineProcesses, all_roles, local_addresses)

server = "import os, time; print(os.getpid(), os.environ['TF_CONFIG']); time.sleep(600)"
addresses = local_addresses(1, 2)
command = [sys.executable, "-u", "-c", server]
local = MachineProcesses(addresses, all_roles(addresses), command)
sys.exit(local.run([sys.executable, "-u", "-c", sys.argv[1]]))
"""


def _start(chief):
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, chief],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _gone(pid):
    """Returns whether a process ends within 20 seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            state = (
                pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0]
            )
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def _read_pids(process):
    """Returns the process ids of the servers and the chief, as each prints its id."""
    pids = {}
    while len(pids) < 4:
        line = process.stdout.readline()
        assert line, pids
        match = re.match(r"\[(chief|ps 0|worker [01])\] (\d+)", line)
        if match:
            pids[match[1]] = int(match[2])
    return pids


def test_the_exit_status_is_the_chiefs_and_all_lines_have_names():
    chief = "import os, time; print(os.getpid()); time.sleep(1); os._exit(7)"
    process = _start(chief)
    pids = _read_pids(process)
    process.communicate(timeout=30)
    assert process.returncode == 7
    assert all(_gone(pid) for pid in pids.values())


def test_a_killed_worker_is_started_again():
    process = _start("import os, time; print(os.getpid()); time.sleep(600)")
    pids = _read_pids(process)
    os.kill(pids["worker 1"], signal.SIGKILL)
    for line in process.stdout:
        match = re.match(r"\[worker 1\] (\d+)", line)
        if match:
            pids["again"] = int(match[1])
            break
    assert pids["again"] != pids["worker 1"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert all(_gone(pid) for pid in pids.values())


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_nothing_outlives_a_launcher_that_was_killed():
    process = _start("import os, time; print(os.getpid()); time.sleep(600)")
    pids = _read_pids(process)
    process.kill()
    process.wait()
    assert all(_gone(pid) for pid in pids.values())
