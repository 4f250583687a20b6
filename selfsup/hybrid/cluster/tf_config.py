"""The processes of a cluster as TF_CONFIG describes them; needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from selfsup.common.errors import UserError

VARIABLE = "TF_CONFIG"
CHIEF, SERVER, WORKER = "chief", "ps", "worker"
JOBS = (CHIEF, SERVER, WORKER)
# "host:port" of each process, by job.
Addresses = Mapping[str, Sequence[str]]
# (job, index) of a process.
Role = tuple[str, int]
_EXAMPLE = (
    '{"cluster": {"chief": ["host0:2222"], "ps": ["host1:2222"], '
    '"worker": ["host2:2222", "host3:2222"]}, "task": {"type": "worker", "index": 0}}'
)
# Names of the only process of a job on one machine.
_SINGLE = (CHIEF, "master", WORKER)
# Roles of TensorFlow's convention that this training loop does not use.
_UNUSED = {
    "master": "call it chief: the process that runs launch.pretrain",
    "evaluator": "leave it out: the chief validates",
}
MAX_PORT = 65535

_Kind = TypeVar("_Kind")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a cluster, and the role of this process.

    Attributes:
      addresses: tuple of "host:port" by job, for all of `JOBS`.
      job: job of this process, of `JOBS`.
      index: index of this process in its job.
    """

    addresses: dict[str, tuple[str, ...]]
    job: str
    index: int

    @property
    def address(self) -> str:
        """Address of this process, "host:port"."""
        return self.addresses[self.job][self.index]

    def devices(self, job: str, kind: str = "CPU") -> tuple[str, ...]:
        """Returns the name of the first device of a kind of each process of a job."""
        return tuple(
            device_name(job, index, kind) for index in range(len(self.addresses[job]))
        )

    def describe(self, device: str) -> str:
        """Describes the process that has a device, for messages.

        Example:
          >>> cluster = Cluster({"worker": ("10.0.0.1:2222", "10.0.0.2:2222")}, "worker", 0)
          >>> cluster.describe("/job:worker/replica:0/task:1/device:CPU:0")
          'worker 1 at 10.0.0.2:2222'
        """
        job, index = role_of(device)
        return f"{job} {index} at {self.addresses[job][index]}"

    def address_of(self, device: str) -> tuple[str, int]:
        """Returns (host, port) of the process that has a device."""
        job, index = role_of(device)
        return split_address(self.addresses[job][index])


def reconnect_quickly() -> None:
    """Makes TensorFlow in this process try often to reconnect to a missing process.

    To be called before TensorFlow connects. Otherwise gRPC increases its pause between
    attempts to up to two minutes. All groups would wait so long for a returning worker.
    """
    pauses = (
        "initial_reconnect_backoff",
        "min_reconnect_backoff",
        "max_reconnect_backoff",
    )
    options = ",".join(f"grpc.{pause}_ms=500" for pause in pauses)
    os.environ.setdefault("TF_GRPC_DEFAULT_OPTIONS", options)


def device_name(job: str, index: int, kind: str = "CPU", number: int = 0) -> str:
    """Returns the name by which all processes of a cluster know a device."""
    return f"/job:{job}/replica:0/task:{index}/device:{kind}:{number}"


def role_of(device: str) -> Role:
    """Returns (job, index) of the process that has a device, from its full name."""
    parts = dict(part.split(":", 1) for part in device.strip("/").split("/"))
    return parts["job"], int(parts["task"])


def split_address(address: str) -> tuple[str, int]:
    """Returns (host, port) of "host:port"; an IPv6 host is in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def from_environment(environ: Mapping[str, str] | None = None) -> Cluster | None:
    """Reads the `Cluster` from the environment variable TF_CONFIG.

    Args:
      environ: environment variables; those of this process if None.

    Returns:
      the cluster. None if the variable is not set, or names no process besides this
      process, as services such as Vertex AI set it for jobs on one machine: `{}`, or
      nothing but a chief.

    Raises:
      UserError: if it does not describe a cluster of a chief, parameter servers and
        workers that includes this process.
    """
    text = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    return parse(text) if text else None


def parse(text: str) -> Cluster | None:
    """Parses the text of a TF_CONFIG; see `from_environment` for result and errors."""
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _invalid(f"is not JSON ({error})") from error
    if _is_single_process(config):
        return None
    jobs = _field(config, "cluster", dict)
    addresses = {job: _addresses(jobs, job) for job in JOBS}
    for job in jobs:
        if job not in JOBS:
            advice = _UNUSED.get(job, f"expected {', '.join(JOBS)}")
            raise _invalid(f"has a job {job!r}; {advice}")
    if len(addresses[CHIEF]) != 1:
        raise _invalid(
            f"names {len(addresses[CHIEF])} chiefs; expected exactly one chief"
        )
    _check_unique(addresses)
    return Cluster(addresses, *_own_role(config, addresses))


def to_json(addresses: Addresses, job: str, index: int) -> str:
    """Returns the TF_CONFIG of a process."""
    task = {"type": job, "index": index}
    cluster = {name: list(hosts) for name, hosts in addresses.items()}
    return json.dumps({"cluster": cluster, "task": task})


# Parsed JSON may be anything, which the following functions check.
def _is_single_process(config: Any) -> bool:
    """Returns whether a TF_CONFIG names no process, or this process only."""
    if not isinstance(config, dict):
        return False
    jobs = config.get("cluster", {})
    if not isinstance(jobs, dict):
        return False
    try:
        counts = {job: len(hosts) for job, hosts in jobs.items() if len(hosts)}
    except TypeError:
        return False  # `_addresses` raises a helpful error.
    if not counts:
        return True
    (job, *others) = counts
    task = config.get("task") or {"type": job}
    is_this = isinstance(task, dict) and task.get("type") == job
    return not others and counts[job] == 1 and job in _SINGLE and is_this


def _own_role(config: Any, addresses: Addresses) -> Role:
    """Returns (job, index) of this process."""
    task = _field(config, "task", dict)
    job, index = task.get("type"), task.get("index")
    if job in _UNUSED:
        raise _invalid(f"gives this process the role {job!r}; {_UNUSED[job]}")
    if job not in JOBS:
        raise _invalid(
            f"gives this process the role {job!r}; expected {', '.join(JOBS)}"
        )
    # Some launchers write the index as a string.
    if isinstance(index, str) and index.isdigit():
        index = int(index)
    count = len(addresses[job])
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
        raise _invalid(
            f"gives this process the role {job} {index!r}; the cluster has {count} "
            f"processes of this job, numbered from 0"
        )
    return job, index


def _addresses(jobs: dict[str, Any], job: str) -> tuple[str, ...]:
    hosts = jobs.get(job, [])
    # TensorFlow's ClusterSpec also accepts {"0": "host:port", ...}.
    if isinstance(hosts, dict):
        keys = [str(index) for index in range(len(hosts))]
        if set(hosts) != set(keys):
            raise _invalid(
                f"numbers {job} {sorted(hosts)}; expected 0 to {len(hosts) - 1}"
            )
        hosts = [hosts[key] for key in keys]
    if not isinstance(hosts, list) or not hosts:
        raise _invalid(f"names no {job}; expected at least one address for it")
    for host in hosts:
        _check_address(job, host)
    return tuple(hosts)


def _check_address(job: str, address: Any) -> None:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("",) * 3
    if not host or not port.isdigit() or not 0 < int(port) <= MAX_PORT:
        raise _invalid(f"has the address {address!r} for {job}; expected host:port")


def _check_unique(addresses: Addresses) -> None:
    users: dict[str, str] = {}
    for job, hosts in addresses.items():
        for index, host in enumerate(hosts):
            if host in users:
                raise _invalid(f"gives {host} to both {users[host]} and {job} {index}")
            users[host] = f"{job} {index}"


def _field(config: Any, name: str, kind: type[_Kind]) -> _Kind:
    value = config.get(name) if isinstance(config, dict) else None
    if not isinstance(value, kind):
        raise _invalid(f"has no {name!r}")
    return value


def _invalid(problem: str) -> UserError:
    return UserError(f"{VARIABLE} {problem}. An example: {_EXAMPLE}")
