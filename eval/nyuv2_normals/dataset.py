"""Photos with their true surface normals, computed from depth."""

from __future__ import annotations

import tensorflow as tf

from eval.nyuv2_depth.dataset import Examples
from eval.nyuv2_normals import plane_fit
from eval.nyuv2_normals.config import Config
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
