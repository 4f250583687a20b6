"""Writes the scalars and pictures of a run for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class TensorBoardLog:
    """Writes to the folder "tensorboard" of a run; tags are TASK/SCALAR."""

    def __init__(self, model_dir: str) -> None:
        """Opens the log in the folder of a run."""
        folder = os.path.join(model_dir, "tensorboard")
        self._writers = {
            split: tf.summary.create_file_writer(os.path.join(folder, split))
            for split in ("train", "validation", "health")
        }

    def scalars(
        self, task: str, split: str, step: int, values: Mapping[str, float]
    ) -> None:
        """Writes scalars of one task; `split` is "train", "validation" or "health"."""
        with self._writers[split].as_default(step):
            for name, value in values.items():
                tf.summary.scalar(f"{task}/{name}", value)

    def pictures(
        self, task: str, step: int, pictures: Mapping[str, npt.NDArray[np.uint8]]
    ) -> None:
        """Writes pictures of one task: uint8 [H, W, 3] by name."""
        with self._writers["validation"].as_default(step):
            for name, picture in pictures.items():
                tf.summary.image(f"{task}/{name}", picture[None])

    def flush(self) -> None:
        """Writes everything to the disk that is still in memory."""
        for writer in self._writers.values():
            writer.flush()
