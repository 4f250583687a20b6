"""Imitates Slurm on one machine: commands `scontrol` and `srun` with what the tests need.

The nodes are loopback addresses. `srun` starts the command once per node, with the
variables of a job step. When a task ends, `srun` kills the others after `--wait` seconds,
or immediately if the task failed (--kill-on-bad-exit). It passes SIGTERM on. Its exit
status is the highest of its tasks; a task that it killed counts only if all were killed.
"""

from __future__ import annotations

import os
import pathlib
import stat
import sys
import textwrap

_SRUN = """
    #!{python}
    import os, signal, subprocess, sys, time
    options, rest = [], sys.argv[1:]
    while rest[0].startswith("--"):
        options.append(rest.pop(0))
    assert "--ntasks-per-node=1" in options and "--kill-on-bad-exit=1" in options
    (wait,) = [float(o.split("=")[1]) for o in options if o.startswith("--wait=")]
    count = int(os.environ["SLURM_JOB_NUM_NODES"])
    step = {{"SLURM_NTASKS": str(count), "SLURM_STEP_NUM_TASKS": str(count)}}
    tasks = [
        subprocess.Popen(
            rest,
            env={{**os.environ, **step, "SLURM_PROCID": str(n), "SLURM_NODEID": str(n)}},
        )
        for n in range(count)
    ]
    def send_signal(number):
        for task in tasks:
            if task.poll() is None:
                task.send_signal(number)
    signal.signal(signal.SIGTERM, lambda number, _: send_signal(number))
    while all(task.poll() is None for task in tasks):
        time.sleep(0.05)
    end = time.monotonic() + wait
    while any(task.poll() is None for task in tasks):
        if any(task.poll() for task in tasks) or time.monotonic() > end:
            send_signal(signal.SIGKILL)
        time.sleep(0.05)
    ends = [task.poll() for task in tasks]
    sys.exit(max([end for end in ends if end > 0] or [-end for end in ends]))
"""
_SCONTROL = """
    #!{python}
    import os, sys
    if sys.argv[1:] == ["show", "hostnames", "node[1-2]"]:
        print("127.0.0.1\\n127.0.0.2")
    elif sys.argv[1] == "requeue":
        open({folder!r} + "/requeued", "a").write(sys.argv[2] + "\\n")
    else:
        sys.exit("scontrol: unknown arguments: " + " ".join(sys.argv))
"""


def install(folder: pathlib.Path, **variables: str) -> dict[str, str]:
    """Writes the commands to a folder; returns the environment of a batch script.

    Args:
      folder: folder for the commands.
      **variables: more environment variables.
    """
    for name, text in (("srun", _SRUN), ("scontrol", _SCONTROL)):
        write_command(folder, name, text)
    return {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": "1234567",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "node[1-2]",
        **variables,
    }


def write_command(folder: pathlib.Path, name: str, text: str) -> None:
    """Writes an executable Python script."""
    text = textwrap.dedent(text).lstrip()
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.format(python=sys.executable, folder=str(folder)))
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
