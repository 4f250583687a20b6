"""Which devices train which task."""

import dataclasses

from selfsup.errors import UserError

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
    def takes_turns(self):
        """Whether all tasks share one device."""
        return not any(self.groups.values())


def alone(tasks):
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
    batch_sizes, devices, servers, request=None, aggregation="hybrid", least=None
):
    """Assigns devices to tasks.

    Args:
      batch_sizes: dict of each task's examples a step.
      devices: names of the devices to train on.
      servers: names of the devices for the master variables.
      request: as of `parse_request`; None to share the devices out evenly, and to take
        turns on a single one.
      aggregation: of `AGGREGATIONS`; in the synchronous one a single device has the
        replicas of all tasks.
      least: dict of the fewest examples that a task's replica can do with; 1 for those
        not named.

    Returns:
      an `Assignment`.

    Raises:
      UserError: when the request cannot be met; says by how much.

    Example:
      >>> assign({"a": 8, "b": 8}, ["/GPU:0", "/GPU:1", "/GPU:2"], []).groups
      {'a': ('/GPU:0', '/GPU:1'), 'b': ('/GPU:2',)}
    """
    tasks = list(batch_sizes)
    least = {**dict.fromkeys(tasks, 1), **(least or {})}
    if not request:
        if len(devices) == 1:
            return _on_one_device(tasks, devices[0], servers, aggregation)
        request = _even_shares(batch_sizes, len(devices), least)
    _check_request(request, batch_sizes, devices, least)
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
    return alone(tasks)


def _even_shares(batch_sizes, count, least):
    """The first tasks get what is left over; none more than its batch can use."""
    if count < len(batch_sizes):
        raise UserError(
            f"{len(batch_sizes)} tasks need a device each, or a single one to take turns "
            f"on; there are {count}: use fewer --tasks, or hide devices "
            "(CUDA_VISIBLE_DEVICES)"
        )
    most = {task: max(1, size // least[task]) for task, size in batch_sizes.items()}
    return {
        task: min(most[task], (count + len(most) - 1 - index) // len(most))
        for index, task in enumerate(most)
    }


def _check_request(request, batch_sizes, devices, least):
    unknown = sorted(set(request) - set(batch_sizes))
    missing = [task for task in batch_sizes if task not in request]
    if unknown or missing:
        what = f"{unknown[0]} is no task of this run" if unknown else ""
        what = what or f"{', '.join(missing)} has no devices"
        raise UserError(f"--groups: {what}; the tasks are {', '.join(batch_sizes)}")
    total = sum(request.values())
    if total > len(devices):
        terms = " + ".join(str(number) for number in request.values())
        raise UserError(
            f"--groups: asks for {terms} = {total} devices; there are {len(devices)} "
            f"({', '.join(devices)})"
        )
    for task, number in request.items():
        needed = number * least[task]
        if needed > batch_sizes[task]:
            raise UserError(
                f"--groups={task}:{number}: a batch of {batch_sizes[task]} cannot be "
                f"shared by {number} replicas, which take at least {number} * "
                f"{least[task]} = {needed}: give it fewer devices, or "
                f"--task_set={task}.batch_size={needed}"
            )
