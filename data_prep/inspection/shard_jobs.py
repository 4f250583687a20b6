"""Reads the shards of a data set in worker processes."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from data_prep.build import worker_pool
from selfsup.common.progress import ProgressBar
from selfsup.data.manifest import Manifest, Shard

_Result = TypeVar("_Result")

if TYPE_CHECKING:
    # Reads a shard in a worker process; yields the number of records read so far.
    ShardWork = worker_pool.Work["InspectionJob", int, _Result]


@dataclasses.dataclass(frozen=True)
class InspectionJob:
    """A shard to read.

    Attributes:
      index: index in `Manifest.shards`.
      path: path of the shard.
      shard: its entry in the manifest.
      num_records: number of records to read, from the beginning.
    """

    index: int
    path: str
    shard: Shard
    num_records: int


def make_jobs(
    manifest: Manifest, num_records: Sequence[int]
) -> collections.deque[InspectionJob]:
    """Makes a job for each shard of a data set.

    Args:
      manifest: the data set.
      num_records: number of records to read from each shard, in the manifest's order.
    """
    return collections.deque(
        InspectionJob(
            index,
            os.path.join(manifest.directory, shard.file),
            shard,
            count,
        )
        for index, (shard, count) in enumerate(zip(manifest.shards, num_records))
    )


def run_shards(
    work: ShardWork[_Result],
    jobs: collections.deque[InspectionJob],
    workers: int,
) -> Iterator[tuple[InspectionJob, _Result | str]]:
    """Runs jobs in worker processes and shows the progress in records.

    Args:
      work: reads a shard.
      jobs: the shards to read.
      workers: number of processes; 0 starts one for each CPU.

    Yields:
      (job, result), in the order in which they finish. The result is a str, which says
      what happened, if a record crashed the process.
    """
    total = sum(job.num_records for job in jobs)
    done: dict[int, int] = {}
    events = worker_pool.run(work, jobs, workers)
    with contextlib.closing(events), ProgressBar("records", total) as progress:
        for event in events:
            if event.job is None:
                continue
            if isinstance(event, worker_pool.StepReport):
                done[event.job.index] = event.value
            else:
                done[event.job.index] = event.job.num_records
                if isinstance(event, worker_pool.JobResult):
                    yield event.job, event.value
                elif isinstance(event, worker_pool.WorkerDeath):
                    how = worker_pool.describe_exit(event.exitcode)
                    yield event.job, f"the process that read it {how}"
            progress.update(sum(done.values()))


def describe_error(error: Exception) -> str:
    """The message of an error, without the names of TensorFlow's operations."""
    message = str(getattr(error, "message", error))
    return message.split("}} ")[-1].split(" [Op:")[0]
