"""Which processes a cluster has, as TF_CONFIG says; needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import os

from selfsup.common.errors import UserError

VARIABLE = "TF_CONFIG"
CHIEF, SERVER, WORKER = "chief", "ps", "worker"
JOBS = (CHIEF, SERVER, WORKER)
_EXAMPLE = (
    '{"cluster": {"chief": ["host0:2222"], "ps": ["host1:2222"], '
    '"worker": ["host2:2222", "host3:2222"]}, "task": {"type": "worker", "index": 0}}'
)
# What the only process of a job of one machine is called.
_ALONE = (CHIEF, "master", WORKER)
# Roles of TensorFlow's convention that this loop has no use for, and what to do.
_UNUSED = {
    "master": "call it chief: the process that runs launch.pretrain",
    "evaluator": "leave it out: validation is the chief's",
}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a cluster, and which of them this one is.

    Attributes:
      addresses: tuple of "host:port" by job, of all of `JOBS`.
      job: this process's, of `JOBS`.
      index: its number in the job.
    """

    addresses: dict
    job: str
    index: int

    @property
    def address(self):
        """ "host:port" of this process."""
        return self.addresses[self.job][self.index]

    def devices(self, job, kind="CPU"):
        """The first device of a kind of each process of a job."""
        return tuple(
            device_name(job, index, kind) for index in range(len(self.addresses[job]))
        )

    def describe(self, device):
        """What to call the process that has a device.

        Example:
          >>> cluster.describe("/job:worker/replica:0/task:1/device:CPU:0")
          'worker 1 at 127.0.0.1:2223'
        """
        job, index = task_of(device)
        return f"{job} {index} at {self.addresses[job][index]}"

    def address_of(self, device):
        """(host, port) of the process that has a device."""
        job, index = task_of(device)
        return split_address(self.addresses[job][index])


def reconnect_quickly():
    """Makes TensorFlow of this process look often for a process that was gone.

    To be called before it connects. Taking a worker back would otherwise wait, and all
    groups with it, for as long as gRPC has last decided to pause: up to two minutes.
    """
    pauses = (
        "initial_reconnect_backoff",
        "min_reconnect_backoff",
        "max_reconnect_backoff",
    )
    options = ",".join(f"grpc.{pause}_ms=500" for pause in pauses)
    os.environ.setdefault("TF_GRPC_DEFAULT_OPTIONS", options)


def device_name(job, index, kind="CPU", number=0):
    """The name by which all of a cluster's processes know a device."""
    return f"/job:{job}/replica:0/task:{index}/device:{kind}:{number}"


def task_of(device):
    """(job, index) of a device name, which is a whole one."""
    parts = dict(part.split(":", 1) for part in device.strip("/").split("/"))
    return parts["job"], int(parts["task"])


def split_address(address):
    """(host, port) of "host:port"; an IPv6 host is in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def from_environment(environ=None) -> Cluster | None:
    """The `Cluster` that TF_CONFIG describes.

    Returns:
      None where it is not set, and where it names no other process than this one, as
      Vertex AI and others set it for jobs of one machine: `{}`, or a chief and nothing
      else.

    Raises:
      UserError: when it does not describe a cluster of a chief, parameter servers and
        workers with this process among them.
    """
    text = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    return parse(text) if text else None


def parse(text: str) -> Cluster | None:
    """The `Cluster` of a TF_CONFIG; returns and raises as `from_environment`."""
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _wrong(f"is not JSON ({error})") from error
    if _is_of_one_machine(config):
        return None
    jobs = _field(config, "cluster", dict)
    addresses = {job: _addresses(jobs, job) for job in JOBS}
    for job in jobs:
        if job not in JOBS:
            advice = _UNUSED.get(job, f"expected {', '.join(JOBS)}")
            raise _wrong(f"has a job {job!r}; {advice}")
    if len(addresses[CHIEF]) != 1:
        raise _wrong(f"names {len(addresses[CHIEF])} chiefs; there can be only one")
    _refuse_doubles(addresses)
    return Cluster(addresses, *_own_task(config, addresses))


def _is_of_one_machine(config):
    """Whether a TF_CONFIG names no process, or this one only."""
    if not isinstance(config, dict):
        return False
    jobs = config.get("cluster", {})
    if not isinstance(jobs, dict):
        return False
    try:
        counts = {job: len(hosts) for job, hosts in jobs.items() if len(hosts)}
    except TypeError:
        return False  # Is told by what reads the addresses.
    if not counts:
        return True
    (job, *others) = counts
    task = config.get("task") or {"type": job}
    is_this = isinstance(task, dict) and task.get("type") == job
    return not others and counts[job] == 1 and job in _ALONE and is_this


def to_json(addresses, job, index):
    """The TF_CONFIG of a process."""
    task = {"type": job, "index": index}
    cluster = {name: list(hosts) for name, hosts in addresses.items()}
    return json.dumps({"cluster": cluster, "task": task})


def _own_task(config, addresses):
    task = _field(config, "task", dict)
    job, index = task.get("type"), task.get("index")
    if job in _UNUSED:
        raise _wrong(f"says that this process is {job!r}; {_UNUSED[job]}")
    if job not in JOBS:
        raise _wrong(f"says that this process is {job!r}; expected {', '.join(JOBS)}")
    # Some launchers write the index as a string.
    if isinstance(index, str) and index.isdigit():
        index = int(index)
    count = len(addresses[job])
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
        raise _wrong(
            f"says that this process is {job} {index!r}; the cluster has {count}, "
            f"numbered from 0"
        )
    return job, index


def _addresses(jobs, job):
    hosts = jobs.get(job, [])
    # TensorFlow's own ClusterSpec takes {"0": "host:port", ...} too.
    if isinstance(hosts, dict):
        keys = [str(index) for index in range(len(hosts))]
        if set(hosts) != set(keys):
            raise _wrong(
                f"numbers {job} {sorted(hosts)}; expected 0 to {len(hosts) - 1}"
            )
        hosts = [hosts[key] for key in keys]
    if not isinstance(hosts, list) or not hosts:
        raise _wrong(f"names no {job}; expected at least one address for it")
    for host in hosts:
        _check_address(job, host)
    return tuple(hosts)


def _check_address(job, address):
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("",) * 3
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise _wrong(f"has the address {address!r} for {job}; expected host:port")


def _refuse_doubles(addresses):
    seen = {}
    for job, hosts in addresses.items():
        for index, host in enumerate(hosts):
            if host in seen:
                raise _wrong(f"gives {host} to both {seen[host]} and {job} {index}")
            seen[host] = f"{job} {index}"


def _field(config, name, kind):
    value = config.get(name) if isinstance(config, dict) else None
    if not isinstance(value, kind):
        raise _wrong(f"has no {name!r}")
    return value


def _wrong(what):
    return UserError(f"{VARIABLE} {what}. An example: {_EXAMPLE}")
