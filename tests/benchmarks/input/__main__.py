"""Times the input pipeline of each task against bare decoding of the same JPEGs.

  python -m tests.benchmarks.input [--data=DIR]

Prints source images per second: of the whole pipeline, which reads, decodes, cuts and
batches, and of decoding only, with the same number of threads. The two are measured
alternately. A ratio of 0.8 or more means that the task costs little beyond the decoding
that no pipeline can avoid. The preprocessing of batches on the device comes after the
pipeline and is timed by itself. Without --data, the images are synthetic: photos of
500x375 and frames of 320x240 pixels.
"""

from __future__ import annotations

from absl import flags

from selfsup import tasks
from selfsup.command_line import command, path_flags
from selfsup.pretraining import presets

_DATA = path_flags.define_path(
    "data", None, "Folder that contains built sets of JPEGs, at any depth."
)
_TASKS = flags.DEFINE_list(
    "tasks",
    list(presets.DEFAULT_TASKS),
    f"Tasks to time, of: {', '.join(tasks.REGISTRY)}.",
)
_PRESET = flags.DEFINE_enum(
    "preset", "paper", list(presets.PRESETS), "Hyperparameters, such as input sizes."
)
_THREADS = flags.DEFINE_integer(
    "threads", 0, "Threads that decode; 0 takes one for each CPU.", lower_bound=0
)
_IMAGES = flags.DEFINE_integer(
    "images", 512, "Source images per measurement.", lower_bound=1
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 5, "Measurements of each rate; the median is printed.", lower_bound=1
)


def main(argv: list[str]) -> None:
    """Times the tasks that the flags name."""
    del argv
    import os
    import tempfile

    from selfsup.data import manifest, pipeline
    from selfsup.pretraining import configuration
    from tests.benchmarks.input import speed
    from tests.benchmarks.table import Table

    config = configuration.resolve(_PRESET.value, _TASKS.value)
    threads = _THREADS.value or len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        if _DATA.value is None:
            speed.write_synthetic(folder)
        sets = manifest.find(_DATA.value or folder)
        print(f"Source images/s, {threads} threads, medians of {_ROUNDS.value} rounds")
        table = Table("task", "pipeline", "decoding", "ratio", "on the device")
        for name in config.tasks:
            task_class = tasks.task_class(name)
            task_sets = pipeline.select_sets(task_class.features, sets)
            task = task_class(task_class.complete_config(config.tasks[name], task_sets))
            source = pipeline.DatasetSplit(task_sets, "train")
            rates = speed.measure(task, source, threads, _IMAGES.value, _ROUNDS.value)
            table.add(
                name,
                f"{rates.pipeline:.1f}",
                f"{rates.decoding:.1f}",
                f"{rates.ratio:.2f}",
                f"{rates.device:.1f}",
            )


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "tests.benchmarks.input.__main__")


if __name__ == "__main__":
    run()
