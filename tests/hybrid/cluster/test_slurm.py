"""What the Slurm recipe starts on which machine, with a fake Slurm."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import fake_slurm
import pytest

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster import slurm, tf_config

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECIPE = ROOT / "launch/recipes/slurm.sh"

# Replaces python: stores its arguments and the job that it reads.
_PYTHON = """
    #!{python}
    import json, os, sys
    sys.path.insert(0, os.getcwd())
    from absl import flags
    import launch.slurm
    from selfsup.hybrid.cluster import slurm
    split = sys.argv.index("--")
    flags.FLAGS(sys.argv[2:split])
    job = slurm.from_environment()
    call = dict(main=sys.argv[1:3], pretrain=sys.argv[split + 1:], hosts=job.hosts)
    call.update({{n: flags.FLAGS[n].value for n in
                 ("ps", "workers_per_node", "port", "listen")}})
    json.dump(call, open({folder!r} + f"/{{job.node}}.json", "w"))
    sys.exit(int(os.environ.get("STATUS", 0)))
"""


@pytest.fixture
def batch(tmp_path):
    """A function that runs the recipe in the fake Slurm and returns its exit status."""
    fake_slurm.write_command(tmp_path, "python", _PYTHON)

    def run(*arguments, **variables):
        environment = fake_slurm.install(tmp_path, **variables)
        command = ["bash", str(RECIPE), *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment).returncode

    return run


def test_the_recipe_starts_a_launcher_on_each_node(batch, tmp_path):
    variables = {"DATA": "/some data", "MODEL_DIR": str(tmp_path / "run")}
    assert batch("--preset=tiny", SLURM_GPUS_ON_NODE="4", **variables) == 0
    for node in range(2):
        assert json.loads((tmp_path / f"{node}.json").read_text()) == {
            "main": ["-m", "launch.slurm"],
            "pretrain": [
                "--data=/some data",
                f"--model_dir={tmp_path}/run",
                "--preset=tiny",
            ],
            "hosts": ["127.0.0.1", "127.0.0.2"],
            "ps": 2,
            "workers_per_node": 4,
            "port": 26700,
            "listen": "network",
        }


def test_the_job_is_requeued_until_the_run_is_finished(batch, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    variables = {"DATA": "/data", "MODEL_DIR": str(run)}
    assert batch(STATUS="3", **variables) == 3
    assert not (tmp_path / "requeued").exists()
    assert batch(**variables) == 0
    assert (tmp_path / "requeued").read_text() == "1234567\n"
    (run / "validation.json").write_text("{}")
    assert batch(**variables) == 0
    assert (tmp_path / "requeued").read_text() == "1234567\n"


def test_the_recipe_needs_its_variables(batch):
    assert batch(DATA="/data") != 0


def test_processes_have_places_and_addresses_of_their_own():
    placed = slurm.place(nodes=3, servers=2, workers_per_node=2)
    assert [placed["chief", 0], placed["ps", 0], placed["ps", 1]] == [0, 0, 1]
    assert [placed["worker", index] for index in range(6)] == [0, 0, 1, 1, 2, 2]
    made = slurm.addresses(("a", "b", "c"), placed, 20000)
    assert made["chief"] == ("a:20000",) and made["ps"] == ("a:20001", "b:20002")
    assert made["worker"][-1] == "c:20008"
    for job, index in placed:
        role = tf_config.parse(tf_config.to_json(made, job, index))
        assert (role.job, role.index, role.addresses) == (job, index, made)
    single = slurm.addresses(("a",), slurm.place(1, 1, 1), 20000)
    assert single["worker"] == ("127.0.0.1:20002",)
    with pytest.raises(UserError, match="port 65530: 9 processes need ports up to"):
        slurm.addresses(("a", "b", "c"), placed, 65530)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SLURM_NODEID": None}, "not in a Slurm job step.*SLURM_NODEID"),
        ({"SLURM_NTASKS": "4"}, "SLURM_NTASKS=4 on 2 nodes.*--ntasks-per-node=1"),
        ({"SLURM_JOB_NODELIST": "x"}, "scontrol show hostnames x: "),
    ],
)
def test_an_odd_environment_is_refused(changes, message, tmp_path, monkeypatch):
    environment = fake_slurm.install(tmp_path, SLURM_NODEID="0", SLURM_NTASKS="2")
    monkeypatch.setenv("PATH", environment["PATH"])
    assert slurm.from_environment(environment).hosts == ("127.0.0.1", "127.0.0.2")
    changed = {k: v for k, v in {**environment, **changes}.items() if v is not None}
    with pytest.raises(UserError, match=message):
        slurm.from_environment(changed)


@pytest.mark.slow
def test_the_recipe_trains(tmp_path):
    """All processes are real; the two nodes are addresses of this machine."""
    from built_sets import write_set

    write_set(str(tmp_path / "data"), [6, 3], splits=["train", "validation"])
    environment = fake_slurm.install(
        tmp_path,
        DATA=str(tmp_path / "data"),
        MODEL_DIR=str(tmp_path / "run"),
        CUDA_VISIBLE_DEVICES="-1",
    )
    fake_slurm.write_command(
        tmp_path,
        "python",
        "#!{python}\nimport os, sys\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
    )
    flags = ["--preset=tiny", "--tasks=rotation", "--steps=3", "--groups=rotation:2"]
    flags.append("--task_set=rotation.batch_size=4")
    process = subprocess.Popen(
        ["bash", str(RECIPE), *flags],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=400)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    assert (tmp_path / "run" / "validation.json").exists(), output
    assert "[worker 1] worker 1 serves at 127.0.0.2:26704 (network)" in output
    assert "[chief] done: " in output
    assert not (tmp_path / "requeued").exists()


_MACHINE = """
import sys
from selfsup.hybrid.cluster import local_cluster

server = "import os, time; print('serves', flush=True); time.sleep(600)"
addresses = {"chief": (f"127.0.0.1:{sys.argv[1]}",), "ps": ("127.0.0.1:2",), "worker": ()}
command = [sys.executable, "-c", server]
machine = local_cluster.MachineProcesses(addresses, [("ps", 0)], command)
local_cluster._ENDED_SECONDS = 2.0
sys.exit(machine.run(None))
"""


@pytest.mark.parametrize("asked", [True, False])
def test_servers_outlast_a_chief_on_another_machine(asked):
    """All machines get SIGTERM at the same time, and the chief still has to save."""
    with socket.create_server(("127.0.0.1", 0)) as chief:
        port = str(chief.getsockname()[1])
        machine = subprocess.Popen(
            [sys.executable, "-c", _MACHINE, port],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )
        assert machine.stdout.readline() == "[ps 0] serves\n"
        chief.accept()[0].close()
        if asked:
            machine.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        assert machine.poll() is None
    assert machine.wait(20) == 0
