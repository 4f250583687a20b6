"""What a machine offers a study: how many cells at once, on which devices."""

from __future__ import annotations

import os
import subprocess

from selfsup.common import processor


def gpus() -> tuple[str, ...]:
    """Returns the GPUs as CUDA_VISIBLE_DEVICES names them; none without NVIDIA's driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return tuple(name for name in names if name and name != "-1")
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(listed.stdout.split())


def environments(jobs: int | None) -> list[dict[str, str]]:
    """Returns the environment variables of each cell that runs at the same time.

    On GPUs each cell has a GPU for itself, or shares it if there are more cells. On CPUs
    the cores are divided: TensorFlow would start a thread for each core in every cell.

    Args:
      jobs: number of cells at once; None for one for each GPU, or one for each two cores.

    Returns:
      a dict for each of the cells.
    """
    devices = gpus()
    if devices:
        count = jobs or len(devices)
        return [
            {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]}
            for slot in range(count)
        ]
    count = jobs or max(1, processor.cores() // 2)
    if count == 1:
        return [{}]
    threads = str(max(1, processor.cores() // count))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return [dict.fromkeys(names, threads) for _ in range(count)]
