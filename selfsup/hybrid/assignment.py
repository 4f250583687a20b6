"""Decides which devices train which task; needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from selfsup.common.errors import UserError

# How gradients are aggregated, see `aggregation.MODES`.
AGGREGATIONS = {
    "hybrid": "synchronous inside a task, asynchronous across tasks, as in the paper",
    "sync": "all tasks' workers in one step, which applies the sum of their gradients",
    "async": "each worker's gradient applied as soon as it arrives",
}


@dataclasses.dataclass(frozen=True)
class Assignment:
    """The devices of a run.

    Attributes:
      groups: names of the devices that train each task, by task. All are empty if the
        tasks take turns on one device, which then holds the master variables too.
      servers: names of the devices that hold the master variables.
    """

    groups: dict[str, tuple[str, ...]]
    servers: tuple[str, ...]

    @property
    def takes_turns(self) -> bool:
        """Whether all tasks share one device."""
        return not any(self.groups.values())

    @property
    def replicas(self) -> dict[str, int]:
        """Number of replicas by task."""
        return {task: max(1, len(names)) for task, names in self.groups.items()}


def taking_turns(tasks: Iterable[str]) -> Assignment:
    """Returns the `Assignment` of tasks that take turns on TensorFlow's default device."""
    return Assignment(dict.fromkeys(tasks, ()), ())


def parse_request(texts: Iterable[str]) -> dict[str, int]:
    """Parses the number of devices by task from strings "TASK:NUMBER".

    Raises:
      UserError: if a string has another form, or a task occurs twice.
    """
    request: dict[str, int] = {}
    for text in texts:
        task, _, number = text.partition(":")
        if not (task and number.isdigit() and int(number) > 0):
            raise UserError(
                f"groups: {text!r}: expected TASK:NUMBER with a number of 1 or more"
            )
        if task in request:
            raise UserError(f"groups: {text!r}: the task {task} occurs twice")
        request[task] = int(number)
    return request


def assign(
    tasks: Iterable[str],
    devices: Sequence[str],
    servers: Sequence[str],
    request: Mapping[str, int] | None = None,
    aggregation: str = "hybrid",
) -> Assignment:
    """Assigns devices to tasks.

    Args:
      tasks: names of the tasks.
      devices: names of the devices to train on.
      servers: names of the devices for the master variables.
      request: number of devices by task, see `parse_request`. If None, the devices are
        distributed evenly, and the tasks take turns on a single device.
      aggregation: of `AGGREGATIONS`. With "sync", a single device has the replicas of
        all tasks.

    Raises:
      UserError: if the request does not fit the tasks or the number of devices.

    Example:
      >>> assign(["a", "b"], ["/GPU:0", "/GPU:1", "/GPU:2"], []).groups
      {'a': ('/GPU:0', '/GPU:1'), 'b': ('/GPU:2',)}
    """
    tasks = list(tasks)
    if not request:
        if len(devices) == 1:
            return _on_one_device(tasks, devices[0], servers, aggregation)
        request = _even_request(tasks, len(devices))
    _check_request(request, tasks, devices)
    free = iter(devices)
    groups = {task: tuple(next(free) for _ in range(request[task])) for task in tasks}
    return Assignment(groups, tuple(servers))


def even_share(total: int, index: int, count: int) -> int:
    """Returns part `index` of `count` of a number; parts differ by at most one.

    Example:
      >>> [even_share(8, index, 3) for index in range(3)]
      [3, 3, 2]
    """
    return (total + count - 1 - index) // count


def _on_one_device(
    tasks: Sequence[str], device: str, servers: Sequence[str], aggregation: str
) -> Assignment:
    if aggregation == "sync":
        return Assignment(dict.fromkeys(tasks, (device,)), tuple(servers))
    if aggregation == "async":
        raise UserError(
            f"aggregation 'async': each task needs a device of its own, but {device} is "
            f"the only device. The {len(tasks)} tasks can take turns on it ('hybrid') or "
            "step together ('sync')"
        )
    return taking_turns(tasks)


def _even_request(tasks: Sequence[str], count: int) -> dict[str, int]:
    """Distributes devices evenly; the first tasks get the remaining devices."""
    if count < len(tasks):
        raise UserError(
            f"{len(tasks)} tasks need a device each, or one device on which they take "
            f"turns, but {count} devices are available. Choose fewer tasks, or hide "
            "devices (CUDA_VISIBLE_DEVICES)"
        )
    return {
        task: even_share(count, index, len(tasks)) for index, task in enumerate(tasks)
    }


def _check_request(
    request: Mapping[str, int], tasks: Sequence[str], devices: Sequence[str]
) -> None:
    unknown = sorted(set(request) - set(tasks))
    missing = [task for task in tasks if task not in request]
    if unknown or missing:
        problem = f"{unknown[0]} is not a task" if unknown else ""
        problem = problem or f"no devices are given for {', '.join(missing)}"
        raise UserError(
            f"groups: {problem}; the tasks of this run are {', '.join(tasks)}"
        )
    total = sum(request.values())
    if total > len(devices):
        terms = " + ".join(str(number) for number in request.values())
        raise UserError(
            f"groups: {terms} = {total} devices are requested, but only {len(devices)} "
            f"available: {', '.join(devices)}"
        )
