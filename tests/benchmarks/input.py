"""Times the input pipeline of each task against bare decoding of the same JPEGs.

  python -m tests.benchmarks.input [--data=DIR]

Counts source images a second: read, decoded, cut by the task and batched, beside
decoded alone, with the same number of threads, in turns. A ratio of 0.8 or more means
that a task costs little beyond the decoding that no pipeline can do without. The
per-pixel work that comes after it, batched on the device, is timed by itself. Without
--data, made-up photos of 500x375 and frames of 320x240 are decoded.
"""

from absl import flags

from selfsup import tasks
from selfsup.command_line import command, path_flags
from selfsup.pretraining import presets

_DATA = path_flags.define_path(
    "data", None, "Folder at or below which built sets of JPEGs are."
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
    "images", 512, "Source images a measurement.", lower_bound=1
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 5, "Measurements of each; their median counts.", lower_bound=1
)


def main(argv):
    del argv
    import os
    import tempfile

    from selfsup.data import manifest, pipeline
    from selfsup.pretraining import configuration
    from tests.benchmarks import input_speed

    config = configuration.resolve(_PRESET.value, _TASKS.value)
    threads = _THREADS.value or len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        if _DATA.value is None:
            input_speed.write_synthetic(folder)
        sets = manifest.find(_DATA.value or folder)
        print(f"source images a second, {threads} threads, medians of {_ROUNDS.value}")
        for name in config.tasks:
            cls = tasks.task_class(name)
            its_sets = pipeline.select_sets(cls.features, sets)
            task = cls(cls.complete_config(config.tasks[name], its_sets))
            source = pipeline.DatasetSplit(its_sets, "train")
            rates = input_speed.measure(
                task, source, threads, _IMAGES.value, _ROUNDS.value
            )
            print(
                f"{name:20s} pipeline {rates.pipeline:7.1f}  decoding "
                f"{rates.decoding:7.1f}  ratio {rates.ratio:4.2f}   then on the device "
                f"{rates.device:7.1f}",
                flush=True,
            )


def run():
    command.run(main, "tests.benchmarks.input")


if __name__ == "__main__":
    run()
