"""Writes shards on any engine that Apache Beam supports: Flink, Spark, Dataflow, ...

A worker of the engine writes a shard as this machine would: in a child process, which
may crash or hang, and into the output folder, with its sidecar. So all machines must see
that folder and the inputs at the same paths. An engine may run a step twice; the second
time, the shard is finished and left as it is.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from data_prep.build.shards import ShardJob, ShardWriter, read_result
from selfsup.common import processor
from selfsup.common.errors import UserError

if TYPE_CHECKING:
    from types import ModuleType

    from apache_beam.options.pipeline_options import PipelineOptions

# Beam's own engine in this process, with a thread for each worker.
_LOCAL_ENGINE = ("--runner=FnApiRunner", "--direct_running_mode=multi_threading")
_POLL_SECONDS = 2.0


def run(
    jobs: Sequence[ShardJob],
    work: ShardWriter,
    update: Callable[[int], None],
    workers: int,
    time_limit: float | None,
    options: str = "",
) -> None:
    """Writes the shards of `jobs`.

    Args:
      jobs, work, update, time_limit: as in `local_runner.run`.
      workers: number of threads of Beam's local engine; other engines have an option
        of their own.
      options: Beam's options, as on a command line: "--runner=FlinkRunner ...".

    Raises:
      UserError: Beam is not installed or does not know an option; a shard cannot be
        written, or the inputs can no longer be read.
    """
    beam, beam_shard_writer = _import_beam()
    parsed = _parse(options, workers)
    try:
        pipeline = beam.Pipeline(options=parsed)
    except (ImportError, ValueError) as error:
        raise UserError(f"Beam options {options!r}: {error}") from error
    (
        pipeline
        | "Shards" >> beam.Create(jobs)
        | "Spread" >> beam.Reshuffle()
        | "Write" >> beam.ParDo(beam_shard_writer.WriteShard(work, time_limit))
    )
    with _show_progress(jobs, update):
        try:
            pipeline.run().wait_until_finish()
        except KeyboardInterrupt:
            raise
        except Exception as error:
            # Beam wraps the exceptions of a step in types of its own.
            raise UserError(f"Beam: {error}") from error
    _check_all_written(jobs)


def _import_beam() -> tuple[ModuleType, ModuleType]:
    try:
        import apache_beam

        from data_prep.build import beam_shard_writer
    except ImportError as error:
        raise UserError(
            f"this runner needs Apache Beam (pip install -e '.[beam]'): {error}"
        ) from error
    return apache_beam, beam_shard_writer


def _parse(options: str, workers: int) -> PipelineOptions:
    from apache_beam.options import pipeline_options

    try:
        arguments = shlex.split(options)
    except ValueError as error:
        raise UserError(f"Beam options {options!r}: {error}") from error
    if not any(argument.startswith("--runner") for argument in arguments):
        workers = workers or processor.cores()
        arguments = [*_LOCAL_ENGINE, f"--direct_num_workers={workers}", *arguments]
    parsed = pipeline_options.PipelineOptions(arguments)
    try:
        known = parsed.get_all_options()
        unknown = set(parsed.get_all_options(retain_unknown_options=True)) - set(known)
    except SystemExit as error:
        # Beam's parser has printed what is wrong.
        raise UserError(
            f"Beam options {options!r}: Beam does not understand them"
        ) from error
    if unknown:
        raise UserError(f"Beam options {options!r}: Beam knows no --{min(unknown)}")
    return parsed


@contextlib.contextmanager
def _show_progress(
    jobs: Sequence[ShardJob], update: Callable[[int], None]
) -> Iterator[None]:
    """Passes the number of inputs in finished shards to `update` while the block runs."""
    is_over = threading.Event()

    def count() -> None:
        update(sum(job.count for job in jobs if os.path.exists(job.sidecar)))

    def poll() -> None:
        while not is_over.wait(_POLL_SECONDS):
            count()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        count()


def _check_all_written(jobs: Sequence[ShardJob]) -> None:
    missing = [job.path for job in jobs if read_result(job) is None]
    if missing:
        raise UserError(
            f"Beam has finished, but {len(missing)} of {len(jobs)} shards are missing "
            f"({missing[0]}, ...): check that its workers see this folder at the same "
            "path"
        )
