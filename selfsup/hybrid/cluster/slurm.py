"""Which processes of a cluster run where, in a job of the Slurm workload manager."""

import dataclasses
import os
import subprocess

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster import tf_config

_MAX_PORT = 65535


@dataclasses.dataclass(frozen=True)
class Job:
    """The machines of a job step that has one task on each.

    Attributes:
      hosts: their names, in Slurm's order.
      here: index of this one.
    """

    hosts: tuple
    here: int


def from_environment(environ=None):
    """The `Job` that Slurm's variables describe.

    Raises:
      UserError: outside of a job step, or when it has not one task on each node.
    """
    environ = os.environ if environ is None else environ
    try:
        nodes, here = environ["SLURM_JOB_NODELIST"], int(environ["SLURM_NODEID"])
        tasks = int(environ["SLURM_NTASKS"])
    except (KeyError, ValueError) as error:
        raise UserError(
            f"not in a Slurm job step ({error}): launch.slurm is started by srun, see "
            "launch/recipes/slurm.sh"
        ) from error
    hosts = _expand(nodes)
    if tasks != len(hosts) or not 0 <= here < len(hosts):
        raise UserError(
            f"SLURM_NTASKS={tasks} on {len(hosts)} nodes, SLURM_NODEID={here}; expected "
            "one task a node: srun --ntasks-per-node=1"
        )
    return Job(hosts, here)


def _expand(nodes):
    """Host names of Slurm's short form, such as "gpu[01-03,07]"."""
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"{' '.join(command)}: {error}") from error
    return tuple(done.stdout.split())


def place(nodes, servers, workers_per_node):
    """{(job, index): node} of a cluster's processes; `node` counts from 0.

    The chief is on the first node; parameter servers are dealt out to all of them.
    """
    placed = {(tf_config.CHIEF, 0): 0}
    placed.update({(tf_config.SERVER, i): i % nodes for i in range(servers)})
    workers = range(nodes * workers_per_node)
    placed.update({(tf_config.WORKER, i): i // workers_per_node for i in workers})
    return placed


def addresses(hosts, placed, port):
    """Tuple of "host:port" by job, the same on all machines.

    Each process has a port of its own, from `port` upwards.

    Raises:
      UserError: when ports run out.
    """
    last = port + len(placed) - 1
    if last > _MAX_PORT:
        raise UserError(
            f"--port={port}: {len(placed)} processes need ports up to {last}; the last "
            f"one is {_MAX_PORT}"
        )
    # A machine alone has no need to be reached by the others.
    hosts = hosts if len(hosts) > 1 else ("127.0.0.1",)
    found = {name: [] for name in tf_config.JOBS}
    for number, ((name, _), node) in enumerate(placed.items()):
        found[name].append(f"{hosts[node]}:{port + number}")
    return {name: tuple(all_of_job) for name, all_of_job in found.items()}
