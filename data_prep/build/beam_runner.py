"""Writes shards on any engine that Apache Beam runs on: Flink, Spark, Dataflow, ...

An engine's worker writes a shard as this machine would, in a process of its own that
may crash or hang, and leaves it in the output folder with its sidecar: all machines
must see that folder, and the inputs, at the same path. What an engine does twice is
done once, as a finished shard is left alone.
"""

import contextlib
import os
import shlex
import threading

from data_prep.build import worker_pool
from data_prep.build.shards import read_result
from selfsup.common.errors import UserError

# Beam's own engine in this process, with a thread for each worker.
_LOCAL_ENGINE = ("--runner=FnApiRunner", "--direct_running_mode=multi_threading")
_LOOK_SECONDS = 2.0


def run(jobs, work, workers, time_limit, update, options=""):
    """Writes the shards of `jobs`.

    Args:
      jobs, work, time_limit, update: as in `local_runner.run`.
      workers: threads of Beam's local runner; another engine has its own option.
      options: Beam's, as on a command line: "--runner=FlinkRunner ...".

    Raises:
      UserError: Beam is not installed or does not know an option; a shard cannot be
        written, or its inputs are gone.
    """
    beam, beam_shard_writer = _import_beam()
    parsed = _parse(options, workers)
    try:
        pipeline = beam.Pipeline(options=parsed)
    except (ImportError, ValueError) as error:
        raise UserError(f"--beam_options={options!r}: {error}") from error
    (
        pipeline
        | "Shards" >> beam.Create(jobs)
        | "Spread" >> beam.Reshuffle()
        | "Write" >> beam.ParDo(beam_shard_writer.WriteShard(work, time_limit))
    )
    with _followed(jobs, update):
        try:
            pipeline.run().wait_until_finish()
        except KeyboardInterrupt:
            raise
        except Exception as error:
            # Beam wraps what a step raises in types of its own.
            raise UserError(f"Beam: {error}") from error
    _check_all_written(jobs)


def _import_beam():
    try:
        import apache_beam

        from data_prep.build import beam_shard_writer
    except ImportError as error:
        raise UserError(
            f"--runner=beam needs Apache Beam (pip install -e '.[beam]'): {error}"
        ) from error
    return apache_beam, beam_shard_writer


def _parse(options, workers):
    from apache_beam.options import pipeline_options

    try:
        given = shlex.split(options)
    except ValueError as error:
        raise UserError(f"--beam_options={options!r}: {error}") from error
    if not any(one.startswith("--runner") for one in given):
        workers = workers or worker_pool.available_cpus()
        given = [*_LOCAL_ENGINE, f"--direct_num_workers={workers}", *given]
    parsed = pipeline_options.PipelineOptions(given)
    try:
        known = parsed.get_all_options()
        unknown = set(parsed.get_all_options(retain_unknown_options=True)) - set(known)
    except SystemExit as error:
        # Beam's parser has printed what it does not understand.
        raise UserError(f"--beam_options={options!r}: not understood") from error
    if unknown:
        raise UserError(
            f"--beam_options={options!r}: Beam knows no --{sorted(unknown)[0]}"
        )
    return parsed


@contextlib.contextmanager
def _followed(jobs, update):
    """Tells `update` of finished shards while the block runs."""
    ended = threading.Event()

    def tell():
        update(sum(job.count for job in jobs if os.path.exists(job.sidecar)))

    def follow():
        while not ended.wait(_LOOK_SECONDS):
            tell()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        tell()


def _check_all_written(jobs):
    missing = [job.path for job in jobs if read_result(job) is None]
    if missing:
        raise UserError(
            f"Beam has ended, but {len(missing)} of {len(jobs)} shards are not there "
            f"({missing[0]}, ...): do its workers see this folder at the same path?"
        )
