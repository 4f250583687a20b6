"""A Slurm of one machine: `scontrol` and `srun` that do what ours needs of the real ones.

Its nodes are loopback addresses. `srun` starts the command once a node with the
variables of a job step, kills the others `--wait` seconds after the first has ended, at
once when that failed (--kill-on-bad-exit), and passes SIGTERM on; its exit status is the
highest of its tasks', of which those that it killed do not count beside others.
"""

import os
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
    def tell(number):
        for task in tasks:
            if task.poll() is None:
                task.send_signal(number)
    signal.signal(signal.SIGTERM, lambda number, _: tell(number))
    while all(task.poll() is None for task in tasks):
        time.sleep(0.05)
    end = time.monotonic() + wait
    while any(task.poll() is None for task in tasks):
        if any(task.poll() for task in tasks) or time.monotonic() > end:
            tell(signal.SIGKILL)
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
        sys.exit("scontrol: not understood: " + " ".join(sys.argv))
"""


def install(folder, **variables):
    """Writes the commands to `folder`; returns the environment of a batch script."""
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


def write_command(folder, name, text):
    """Writes an executable Python script."""
    text = textwrap.dedent(text).lstrip()
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.format(python=sys.executable, folder=str(folder)))
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
