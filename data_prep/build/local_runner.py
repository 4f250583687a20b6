"""Writes shards in processes of this machine; sets aside inputs that crash or hang them."""

from __future__ import annotations

import collections
import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Mapping

from data_prep.build import worker_pool
from data_prep.build.shards import (
    ShardFailure,
    ShardJob,
    ShardOrder,
    ShardOutcome,
    ShardWriter,
)
from selfsup.common.errors import UserError

# An input that crashes its worker this often is set aside.
_MAX_CRASHES = 2
# The build ends when more workers than this were killed from outside.
_MAX_KILLS = 3


def run(
    jobs: Iterable[ShardJob],
    work: ShardWriter,
    update: Callable[[int], None],
    workers: int,
    time_limit: float | None,
    kept_workers: list[worker_pool.Worker[ShardOrder]] | None = None,
) -> None:
    """Writes the shards of `jobs`.

    Args:
      jobs: the shards to write.
      work: writes a shard.
      update: called with the number of inputs that are done, again and again.
      workers: number of processes; 0 starts one for each CPU.
      time_limit: seconds after which an input is set aside; None for no limit.
      kept_workers: see `worker_pool.run`.

    Raises:
      UserError: a shard cannot be written, or the inputs can no longer be read.
    """
    orders = collections.deque(ShardOrder(job, {}) for job in jobs)
    tracker = _ShardTracker(orders)
    events = worker_pool.run(work, orders, workers, time_limit, kept_workers)
    with contextlib.closing(events):
        for event in events:
            tracker.handle(event)
            update(tracker.num_done)


class _ShardTracker:
    """Follows the workers; orders a shard again when an input ended its worker.

    Attributes:
      num_done: number of inputs that are done.
    """

    def __init__(self, orders: collections.deque[ShardOrder]) -> None:
        self._orders = orders
        # All by shard file: the key of the input that is being converted, None between
        # two inputs; and the number of inputs that are done.
        self._current: dict[str, str | None] = {}
        self._done: collections.Counter[str] = collections.Counter()
        self._crashes: collections.Counter[str] = collections.Counter()
        self._kills = 0

    @property
    def num_done(self) -> int:
        return sum(self._done.values())

    def handle(
        self, event: worker_pool.Event[ShardOrder, str | None, ShardOutcome]
    ) -> None:
        """Handles an event of the workers.

        Raises:
          UserError: the build cannot continue.
        """
        if event.job is None:
            return  # A worker that died while it was idle had no shard.
        job, unusable = event.job
        if isinstance(event, worker_pool.StepReport):
            self._done[job.file] += event.value is None
            self._current[job.file] = event.value
        elif isinstance(event, worker_pool.WorkerDeath):
            self._handle_death(job, unusable, event.exitcode)
        elif isinstance(event, worker_pool.WorkerTimeout):
            reason = f"took more than {event.seconds:g} s"
            self._order_again(job, unusable, f"the worker {reason}", reason)
        elif isinstance(event.value, ShardFailure):
            raise UserError(event.value.reason)
        else:
            self._done[job.file] = job.count

    def _handle_death(
        self, job: ShardJob, unusable: Mapping[str, str], exitcode: int | None
    ) -> None:
        """Orders the shard again, without an input that crashed its worker twice."""
        how = worker_pool.describe_exit(exitcode)
        if exitcode == -signal.SIGKILL:
            # This signal comes from outside: no input is to blame.
            self._kills += 1
            if self._kills > _MAX_KILLS:
                raise UserError(
                    f"worker processes were killed {self._kills} times by SIGKILL; the "
                    "system does this when memory runs out: try fewer workers"
                )
            self._order_again(job, unusable, f"the worker {how}")
            return
        key = self._current.get(job.file)
        culprit = job.file if key is None else key
        self._crashes[culprit] += 1
        reason = ""
        if self._crashes[culprit] >= _MAX_CRASHES:
            if key is None:
                raise UserError(
                    f"{job.file}: the worker process {how}, again and while it was not "
                    "converting an input"
                )
            reason = f"crashes the decoder: the process {how}"
        self._order_again(job, unusable, f"the worker {how}", reason)

    def _order_again(
        self,
        job: ShardJob,
        unusable: Mapping[str, str],
        event: str,
        reason: str = "",
    ) -> None:
        """Orders a shard again; `reason` says why its current input is set aside."""
        key = self._current.pop(job.file, None)
        self._done[job.file] = 0
        if reason and key is not None:
            unusable = {**unusable, key: reason}
        place = "" if key is None else f" at {key!r}"
        action = "the input is set aside" if reason else "trying again"
        print(f"{job.file}: {event}{place}; {action}", file=sys.stderr)
        self._orders.append(ShardOrder(job, unusable))
