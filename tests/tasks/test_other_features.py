"""A task may read boxes and depth, from the data sets that have them."""

from __future__ import annotations

import dataclasses

import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline, records
from selfsup.images import resize
from selfsup.tasks.rotation import Rotation, RotationConfig

SIDE, MOST_BOXES = 32, 4


class DepthInBoxes(Rotation):
    """Reads the image, the depth and a fixed number of boxes of a record."""

    features = (records.IMAGE, records.DEPTH, records.BOXES)

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Resizes image and depth; boxes are shares of the sides, padded with zeros."""
        del seed
        image = record[records.IMAGE]
        sides = tf.cast(tf.tile(tf.shape(image)[:2], [2]), tf.float32)
        boxes = (record["boxes"] / sides)[:MOST_BOXES]
        missing = MOST_BOXES - tf.shape(boxes)[0]
        depth = tf.image.resize(record[records.DEPTH], [SIDE, SIDE], method="nearest")
        return {
            "image": resize.resize(image, SIDE, SIDE),
            "depth": tf.cast(tf.round(depth * 10.0), tf.uint8),
            "boxes": tf.ensure_shape(
                tf.pad(boxes, [[0, missing], [0, 0]]), [MOST_BOXES, 4]
            ),
        }


@pytest.fixture(scope="module")
def task():
    return DepthInBoxes(dataclasses.replace(RotationConfig(), image_size=SIDE))


def test_a_batch_has_depth_and_boxes(task, batch_of):
    batch = batch_of(task)
    assert {key: value.shape for key, value in batch.items()} == {
        "image": (4, SIDE, SIDE, 3),
        "depth": (4, SIDE, SIDE, 1),
        "boxes": (4, MOST_BOXES, 4),
    }
    # In decimetres: the floor from 4 m to 1 m, unknown on the left.
    assert set(batch["depth"][0, :, 0, 0].numpy()) == {0}
    assert batch["depth"][0, 0, -1, 0] == 40 and batch["depth"][0, -1, -1, 0] == 10
    assert batch["boxes"][0].numpy().tolist() == [
        [0.0, 0.0, 1.0, pytest.approx(0.5, abs=0.01)],
        [pytest.approx(0.5, abs=0.01), 0.0, 1.0, 1.0],
        [0.0] * 4,
        [0.0] * 4,
    ]


def test_the_task_gets_the_sets_that_have_them(task):
    def built(name, *features):
        return manifest.Manifest(manifest.RGBD, features, (), directory=name)

    both = built("both", records.IMAGE, records.DEPTH, records.BOXES)
    sets = [built("depth", records.IMAGE, records.DEPTH), both]
    assert pipeline.select_sets(task.features, sets) == [both]
    with pytest.raises(
        UserError, match="no data set has the features image, depth, box"
    ):
        pipeline.select_sets(task.features, sets[:1])
