"""Places the processes of a cluster on the machines of a Slurm job."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Mapping, Sequence

from selfsup.common.errors import UserError
from selfsup.hybrid.cluster import tf_config
from selfsup.hybrid.cluster.tf_config import Role


@dataclasses.dataclass(frozen=True)
class Job:
    """The machines of a job step with one Slurm task per machine.

    Attributes:
      hosts: names of the machines, in Slurm's order.
      node: index of this machine among them.
    """

    hosts: tuple[str, ...]
    node: int


def from_environment(environ: Mapping[str, str] | None = None) -> Job:
    """Reads the `Job` from Slurm's environment variables.

    Args:
      environ: environment variables; those of this process if None.

    Raises:
      UserError: outside of a job step, or if it does not have one task per machine.
    """
    environ = os.environ if environ is None else environ
    try:
        nodes, node = environ["SLURM_JOB_NODELIST"], int(environ["SLURM_NODEID"])
        tasks = int(environ["SLURM_NTASKS"])
    except (KeyError, ValueError) as error:
        raise UserError(
            f"not in a Slurm job step ({error}). Start launch.slurm by srun, as "
            "launch/recipes/slurm.sh does"
        ) from error
    hosts = _expand(nodes)
    if tasks != len(hosts) or not 0 <= node < len(hosts):
        raise UserError(
            f"SLURM_NTASKS={tasks} on {len(hosts)} nodes, SLURM_NODEID={node}; expected "
            "one task per node: srun --ntasks-per-node=1"
        )
    return Job(hosts, node)


def _expand(nodes: str) -> tuple[str, ...]:
    """Expands Slurm's short form of host names, such as "gpu[01-03,07]"."""
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"{' '.join(command)}: {error}") from error
    return tuple(done.stdout.split())


def place(nodes: int, servers: int, workers_per_node: int) -> dict[Role, int]:
    """Places the processes of a cluster on machines.

    The chief is on the first machine. The parameter servers are distributed over all
    machines.

    Args:
      nodes: number of machines.
      servers: number of parameter servers in total.
      workers_per_node: number of workers on each machine.

    Returns:
      dict of the index of the machine by (job, index) of the process.
    """
    placed = {(tf_config.CHIEF, 0): 0}
    placed.update({(tf_config.SERVER, i): i % nodes for i in range(servers)})
    workers = range(nodes * workers_per_node)
    placed.update({(tf_config.WORKER, i): i // workers_per_node for i in workers})
    return placed


def addresses(
    hosts: Sequence[str], placed: Mapping[Role, int], port: int
) -> dict[str, tuple[str, ...]]:
    """Returns the addresses of all processes, the same on all machines.

    Args:
      hosts: names of the machines.
      placed: the result of `place`.
      port: port of the first process; each further process has the next port.

    Returns:
      dict of "host:port" by job.

    Raises:
      UserError: if there are not enough ports above `port`.
    """
    last = port + len(placed) - 1
    if last > tf_config.MAX_PORT:
        raise UserError(
            f"port {port}: {len(placed)} processes need ports up to {last}, but the "
            f"highest port is {tf_config.MAX_PORT}"
        )
    # On a single machine, no other machine needs to reach the processes.
    hosts = hosts if len(hosts) > 1 else ("127.0.0.1",)
    by_job: dict[str, list[str]] = {job: [] for job in tf_config.JOBS}
    for number, ((job, _), node) in enumerate(placed.items()):
        by_job[job].append(f"{hosts[node]}:{port + number}")
    return {job: tuple(listed) for job, listed in by_job.items()}
