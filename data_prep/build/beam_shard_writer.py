"""The step that Apache Beam's workers run; imported only where Beam is used."""

from __future__ import annotations

import apache_beam as beam

from data_prep.build import local_runner, worker_pool
from data_prep.build.shards import ShardJob, ShardOrder, ShardWriter, read_result


class WriteShard(beam.DoFn):
    """Writes each shard in a child process, which is kept for the next shard.

    So an input that crashes or hangs the child process does not end Beam's worker.
    """

    def __init__(self, work: ShardWriter, time_limit: float | None) -> None:
        """
        Args:
          work: writes a shard.
          time_limit: seconds after which an input is set aside; None for no limit.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Beam is not annotated.
        self._work = work
        self._time_limit = time_limit
        self._kept_workers: list[worker_pool.Worker[ShardOrder]] = []

    def process(self, job: ShardJob) -> None:
        """Writes a shard, unless it is finished: engines may repeat elements."""
        if read_result(job) is None:
            local_runner.run(
                [job],
                self._work,
                update=lambda num_done: None,
                workers=1,
                time_limit=self._time_limit,
                kept_workers=self._kept_workers,
            )

    def teardown(self) -> None:
        worker_pool.stop_workers(self._kept_workers)
