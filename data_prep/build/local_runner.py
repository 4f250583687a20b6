"""Writes shards in processes of this machine, and deals with inputs that end them."""

import collections
import contextlib
import signal
import sys

from data_prep.build import worker_pool
from data_prep.build.shards import ShardFailure
from selfsup.common.errors import UserError

# An input that ends its worker process this often is at fault itself.
_STRIKES = 2
# So many workers may be killed from outside before the build ends.
_KILLS = 3


def run(jobs, work, workers, time_limit, update, kept_workers=None):
    """Writes the shards of `jobs`.

    Args:
      jobs: `ShardJob`s.
      work: a `ShardWriter`.
      workers: processes; 0 takes one for each CPU.
      time_limit: seconds after which an input is set aside; None for no limit.
      update: called with the number of inputs that are done, now and then.
      kept_workers: as in `worker_pool.run`.

    Raises:
      UserError: a shard cannot be written, or its inputs are gone.
    """
    orders = collections.deque((job, {}) for job in jobs)
    tracker = _Tracker(orders)
    workers = workers or worker_pool.available_cpus()
    events = worker_pool.run(work, orders, workers, time_limit, kept_workers)
    with contextlib.closing(events):
        for event in events:
            tracker.see(event)
            update(tracker.done)


class _Tracker:
    """Follows the events of the workers, deals with inputs that kill or keep them.

    Attributes:
      done: inputs that are done.
    """

    def __init__(self, orders):
        self._orders = orders
        self._current = {}
        self._converted = collections.Counter()
        self._strikes = collections.Counter()
        self._kills = 0

    @property
    def done(self):
        return sum(self._converted.values())

    def see(self, event):
        """Takes account of an event of the workers."""
        if event.job is None:
            return  # A worker that died with nothing to do is not missed.
        job, lethal = event.job
        if isinstance(event, worker_pool.StepReport):
            self._converted[job.file] += event.value is None
            self._current[job.file] = event.value
        elif isinstance(event, worker_pool.WorkerDeath):
            self._blame(job, lethal, event.exitcode)
        elif isinstance(event, worker_pool.WorkerTimeout):
            reason = f"took over {event.seconds:g} s"
            self._put_back(job, lethal, f"worker {reason}", reason)
        elif isinstance(event.value, ShardFailure):
            raise UserError(event.value.reason)
        else:
            self._converted[job.file] = job.count

    def _blame(self, job, lethal, exitcode):
        """Puts the shard back; sets an input aside that killed its worker twice."""
        how = worker_pool.describe_exit(exitcode)
        if exitcode == -signal.SIGKILL:
            # Nothing in a process kills itself so; an input is not at fault.
            self._kills += 1
            if self._kills > _KILLS:
                raise UserError(
                    f"worker processes were killed {self._kills} times by SIGKILL, as "
                    "the system does when memory runs out: try fewer --workers"
                )
            self._put_back(job, lethal, f"worker {how}", "")
            return
        key = self._current.get(job.file)
        culprit = job.file if key is None else key
        self._strikes[culprit] += 1
        out = self._strikes[culprit] >= _STRIKES
        if out and key is None:
            raise UserError(f"worker processes end while at no input: {how}")
        reason = f"crashes the decoder: process {how}" if out else ""
        self._put_back(job, lethal, f"worker {how}", reason)

    def _put_back(self, job, lethal, event, reason):
        """Orders the shard anew, without the input it was at if `reason` says why."""
        key = self._current.pop(job.file, None)
        self._converted[job.file] = 0
        if reason:
            lethal = {**lethal, key: reason}
        where = "" if key is None else f" at {key!r}"
        then = "it is set aside" if reason else "trying again"
        print(f"{job.file}: {event}{where}; {then}", file=sys.stderr)
        self._orders.append((job, lethal))
