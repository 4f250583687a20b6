"""Which devices train which task."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from selfsup.common.errors import UserError

# How gradients are aggregated, see `aggregation.MODES`.
AGGREGATIONS = {
    "hybrid": "synchronous inside a task, asynchronous across tasks, as in the paper",
    "sync": "all tasks' workers in one step, their gradients added up",
    "async": "each worker's gradient applied as soon as it is there",
}


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Where a run happens.

    Attributes:
      groups: dict of device names by task; all empty when the tasks take turns on one
        device, which then holds the master variables too.
      servers: names of the devices that hold the master variables.
    """

    groups: dict
    servers: tuple

    @property
    def takes_turns(self) -> bool:
        """Whether all tasks share one device."""
        return not any(self.groups.values())

    @property
    def replicas(self) -> dict[str, int]:
        """How many replicas each task has."""
        return {task: max(1, len(names)) for task, names in self.groups.items()}


def taking_turns(tasks):
    """The `Assignment` of tasks that take turns on TensorFlow's default device."""
    return Assignment(dict.fromkeys(tasks, ()), ())


def parse_request(texts):
    """{task: number of devices} from strings "TASK:NUMBER".

    Raises:
      UserError: for anything else.
    """
    request = {}
    for text in texts:
        task, _, number = text.partition(":")
        if not (task and number.isdigit() and int(number) > 0):
            raise UserError(f"--groups={text}: expected TASK:NUMBER, with 1 or more")
        if task in request:
            raise UserError(f"--groups={text}: {task} is there twice")
        request[task] = int(number)
    return request


def assign(
    tasks: Iterable[str],
    devices: Sequence[str],
    servers: Sequence[str],
    request: dict[str, int] | None = None,
    aggregation: str = "hybrid",
) -> Assignment:
    """Assigns devices to tasks.

    Args:
      tasks: their names.
      devices: names of the devices to train on.
      servers: names of the devices for the master variables.
      request: as of `parse_request`; None to share the devices out evenly, and to take
        turns on a single one.
      aggregation: of `AGGREGATIONS`; in the synchronous one a single device has the
        replicas of all tasks.

    Returns:
      an `Assignment`.

    Raises:
      UserError: when the request cannot be met; says by how much.

    Example:
      >>> assign(["a", "b"], ["/GPU:0", "/GPU:1", "/GPU:2"], []).groups
      {'a': ('/GPU:0', '/GPU:1'), 'b': ('/GPU:2',)}
    """
    tasks = list(tasks)
    if not request:
        if len(devices) == 1:
            return _on_one_device(tasks, devices[0], servers, aggregation)
        request = _even_shares(tasks, len(devices))
    _check_request(request, tasks, devices)
    free = list(devices)
    groups = {task: tuple(free.pop(0) for _ in range(request[task])) for task in tasks}
    return Assignment(groups, tuple(servers))


def _on_one_device(tasks, device, servers, aggregation):
    if aggregation == "sync":
        return Assignment(dict.fromkeys(tasks, (device,)), tuple(servers))
    if aggregation == "async":
        raise UserError(
            "--aggregation=async: each worker steps by itself, so each task needs a "
            f"device of its own; there is 1 ({device}), on which the {len(tasks)} tasks "
            "can only take turns (hybrid) or step together (sync)"
        )
    return taking_turns(tasks)


def even_share(total: int, index: int, count: int) -> int:
    """Returns part `index` of `count` of a number; parts differ by at most one.

    Example:
      >>> [even_share(8, index, 3) for index in range(3)]
      [3, 3, 2]
    """
    return (total + count - 1 - index) // count


def _even_shares(tasks, count):
    """The first tasks get what is left over."""
    if count < len(tasks):
        raise UserError(
            f"{len(tasks)} tasks need a device each, or a single one to take turns "
            f"on; there are {count}: use fewer --tasks, or hide devices "
            "(CUDA_VISIBLE_DEVICES)"
        )
    return {
        task: even_share(count, index, len(tasks)) for index, task in enumerate(tasks)
    }


def _check_request(request, tasks, devices):
    unknown = sorted(set(request) - set(tasks))
    missing = [task for task in tasks if task not in request]
    if unknown or missing:
        what = f"{unknown[0]} is no task of this run" if unknown else ""
        what = what or f"{', '.join(missing)} has no devices"
        raise UserError(f"--groups: {what}; the tasks are {', '.join(tasks)}")
    total = sum(request.values())
    if total > len(devices):
        terms = " + ".join(str(number) for number in request.values())
        raise UserError(
            f"--groups: asks for {terms} = {total} devices; there are {len(devices)} "
            f"({', '.join(devices)})"
        )
