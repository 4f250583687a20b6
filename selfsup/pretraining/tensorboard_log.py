"""TensorBoard scalars and pictures of a run."""

import os

import tensorflow as tf


class TensorBoardLog:
    """Writes below model_dir/tensorboard; tags are TASK/SCALAR."""

    def __init__(self, model_dir):
        folder = os.path.join(model_dir, "tensorboard")
        self._writers = {
            split: tf.summary.create_file_writer(os.path.join(folder, split))
            for split in ("train", "validation", "health")
        }

    def scalars(self, task, split, step, values):
        """Writes a dict of floats of one task."""
        with self._writers[split].as_default(step):
            for name, value in values.items():
                tf.summary.scalar(f"{task}/{name}", value)

    def pictures(self, task, step, pictures):
        """Writes a dict of uint8 [H, W, 3] of one task."""
        with self._writers["validation"].as_default(step):
            for name, picture in pictures.items():
                tf.summary.image(f"{task}/{name}", picture[None])

    def flush(self):
        """Makes everything so far visible."""
        for writer in self._writers.values():
            writer.flush()
