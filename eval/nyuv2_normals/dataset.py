"""Photos with their true surface normals, computed from depth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import complete_pass
from eval.nyuv2_depth.dataset import DepthDataset, Examples
from eval.nyuv2_normals import plane_fit
from eval.nyuv2_normals.config import Config
from eval.watched_batches import watched
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.images.resize import resize


class NormalsExamples(Examples):
    """Preprocesses records with depth to photos with normals.

    Normals are computed at the depth map's own size, in training and in the test.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._size = (config.height, config.width)
        self._camera, self._fit = config.camera, config.plane_fit

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Resizes a training example to the config's height H and width W.

        Args:
          record: a parsed record.
          seed: not used, because the device augments whole batches.

        Returns:
          "image" uint8 [H, W, 3] and "normals" float32 [H, W, 3], those of the nearest
          pixels of the depth map, see `plane_fit.normals`.
        """
        del seed
        normals = plane_fit.normals(record["depth"][..., 0], self._camera, self._fit)
        normals = tf.image.resize(normals, self._size, method="nearest")
        return {"image": resize(record["image"], *self._size), "normals": normals}

    def test_example(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Parses a test example, with normals at the size h x w of the depth map.

        Args:
          serialized: a serialized record, scalar string.

        Returns:
          see `Examples.test_example`, with "normals" float32 [h, w, 3] instead of depth.
        """
        example = super().test_example(serialized)
        depth = example.pop("depth")
        normals = plane_fit.normals(depth, self._camera, self._fit)
        return {**example, "normals": normals}


def mean_normal(data: DepthDataset, stop: StopSignals) -> npt.NDArray[np.float64]:
    """Computes the constant prediction with the least loss on the training frames.

    The loss is 1 minus the cosine, so this is the direction of the sum of all normals.

    Args:
      data: the data, with `NormalsExamples`.
      stop: the signals that stop the pass, already entered as a context.

    Returns:
      float64 [3], a unit vector.

    Raises:
      UserError: when a shard is damaged, or no frame has a normal.
      Stopped: when a signal arrives.
    """
    total, batches = np.zeros(3), data.in_file_order(data.train)
    with complete_pass.damage_explained(data.train):
        for batch in watched(batches, "training normals", data.train.records, stop):
            total += batch["normals"].numpy().sum(axis=(0, 1, 2), dtype=np.float64)
    length = float(np.linalg.norm(total))
    if not length:
        raise UserError(
            "no training frame has a surface normal: depth is unknown, or fit_error or "
            "fit_known excludes all pixels"
        )
    return total / length
