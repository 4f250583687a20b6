"""The step that Apache Beam's workers run; imported where Beam is used alone."""

import apache_beam as beam

from data_prep.build import local_runner, worker_pool
from data_prep.build.shards import read_result


class WriteShard(beam.DoFn):
    """Writes a shard in a process that is kept for the next one.

    An input that ends the process, or keeps it for ever, does not end Beam's worker.
    """

    def __init__(self, work, time_limit):
        """
        Args:
          work: a `ShardWriter`.
          time_limit: seconds after which an input is set aside; None for no limit.
        """
        super().__init__()
        self._work = work
        self._time_limit = time_limit
        self._members = None

    def setup(self):
        self._members = []

    def process(self, job):
        """Writes the `ShardJob`, unless it is finished: engines repeat elements."""
        if read_result(job) is None:
            local_runner.run(
                [job],
                self._work,
                1,
                self._time_limit,
                lambda done: None,
                self._members,
            )

    def teardown(self):
        worker_pool.stop_workers(self._members)
