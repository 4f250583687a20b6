"""Chooses the preset that fits this machine."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys

from selfsup.common import processor

# GB of memory that the batches of the preset small need, with the room that
# `python -m launch.costs --preset=small --gigabytes=8` leaves to workspaces.
SMALL_GIGABYTES = 8.0
_SECONDS = 60.0
_COUNT = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"


@dataclasses.dataclass(frozen=True)
class Machine:
    """What decides the preset.

    Attributes:
      processors: number of processors that this process may use.
      gpus: memory of each NVIDIA GPU in GB (1e9 bytes).
      usable_gpus: how many GPUs TensorFlow can use.
    """

    processors: int
    gpus: tuple[float, ...] = ()
    usable_gpus: int = 0


@dataclasses.dataclass(frozen=True)
class Choice:
    """A preset for a machine.

    Attributes:
      preset: name in `presets.PRESETS`.
      reason: a sentence that says why.
      visible_gpus: value of CUDA_VISIBLE_DEVICES for the pretraining; "" leaves it.
      takes_turns: whether only one task at a time takes a step.
    """

    preset: str
    reason: str
    visible_gpus: str = ""
    takes_turns: bool = True


def look() -> Machine:
    """Finds out what this machine has, without occupying a GPU."""
    gpus = _gpu_memory()
    return Machine(
        processors=processor.cores(),
        gpus=gpus,
        usable_gpus=_usable_gpus() if gpus else 0,
    )


def choose(machine: Machine, num_tasks: int) -> Choice:
    """Chooses a preset and the GPUs.

    The preset `paper` is never chosen: its cost clock ends at 16,800 GPU hours.

    Args:
      machine: the machine.
      num_tasks: number of tasks to train.
    """
    cpus = f"{machine.processors} processor{'s' if machine.processors != 1 else ''}"
    if not machine.gpus:
        return Choice("tiny", f"there is no NVIDIA GPU, but {cpus}")
    names = f"{len(machine.gpus)} GPU{'s' if len(machine.gpus) > 1 else ''}"
    least = min(machine.gpus)
    if not machine.usable_gpus:
        return Choice(
            "tiny",
            f"there {'is' if len(machine.gpus) == 1 else 'are'} {names}, but TensorFlow "
            "cannot use it: install this package with pip install -e '.[gpu]'",
        )
    # Each task needs a GPU of its own, or all take turns on one.
    visible = "0" if 1 < machine.usable_gpus < num_tasks else ""
    shared = f", of which one is used, because {num_tasks} tasks need as many or one"
    if least < SMALL_GIGABYTES:
        return Choice(
            "tiny",
            f"the GPU has {least:.0f} GB, and the preset small needs "
            f"{SMALL_GIGABYTES:.0f} GB",
            visible,
        )
    text = (
        f"there {'is' if len(machine.gpus) == 1 else 'are'} {names} with {least:.0f} GB"
    )
    turns = machine.usable_gpus < num_tasks
    return Choice("small", text + (shared if visible else ""), visible, turns)


def _gpu_memory() -> tuple[float, ...]:
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("-1", ""):
        return ()
    query = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS)
        return tuple(float(line) * 2**20 / 1e9 for line in done.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ()


def _usable_gpus() -> int:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _COUNT],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        return int(done.stdout.split()[-1])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return 0
