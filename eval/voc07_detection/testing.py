"""The pass over the test split: detections and true objects, in VOC's convention."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import complete_pass
from eval.voc07_detection import box_conventions, canvases, examples
from eval.voc07_detection.box_conventions import Boxes
from eval.voc07_detection.config import Config
from eval.voc07_detection.dataset import Dataset, image_id
from eval.voc07_detection.detector import Detector
from eval.voc07_detection.score.average_precision import Detections, TrueObjects
from eval.watched_batches import watched
from selfsup.common.stop_signals import StopSignals

_DETECTED_FIELDS = ("boxes", "scores", "classes")
_TRUE_FIELDS = ("boxes", "classes", "difficult")

# (images, sizes) -> the result of `Detector.detect`.
Detect = Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Results:
    """Detections and true objects, in VOC's pixels.

    Attributes:
      detections: detections of each class.
      truth: true objects of each class.
    """

    detections: Detections
    truth: TrueObjects


def run(
    detector: Detector, dataset: Dataset, config: Config, stop: StopSignals
) -> Results:
    """Detects objects in all test images.

    Args:
      detector: the trained detector.
      dataset: the data set.
      config: the hyperparameters.
      stop: the signals that stop the pass, already entered as a context.

    Raises:
      UserError: when a shard is damaged.
      Stopped: when a signal arrives.
    """
    detect = tf.function(detector.detect)
    collected = _Collected(dataset.classes)
    batches = examples.for_test(complete_pass.serialized_records(dataset.test), config)
    with complete_pass.damage_explained(dataset.test):
        for batch in watched(batches, "test images", dataset.test.records, stop):
            collected.add(batch, _detect(detect, batch, config.test_batch_size))
    return collected.results()


def _detect(
    detect: Detect, batch: dict[str, tf.Tensor], size: int
) -> dict[str, npt.NDArray[Any]]:
    """Runs `Detector.detect` on a batch, with boxes in pixels of the original images.

    A smaller batch is padded to `size` images, so that it needs no other graph.
    """
    rows = tf.range(size) % tf.shape(batch["image"])[0]
    image_sizes = tf.gather(batch["size"], rows)
    detected = detect(tf.gather(batch["image"], rows), image_sizes)
    boxes = canvases.scale_boxes(
        detected["boxes"], image_sizes, tf.gather(batch["old_size"], rows)
    )
    return {
        name: values.numpy() for name, values in {**detected, "boxes": boxes}.items()
    }


class _Collected:
    """Detections and true objects of the images so far."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._rows: dict[str, list[tuple[str, float, Boxes]]] = {
            name: [] for name in classes
        }
        self._truth: TrueObjects = {name: {} for name in classes}

    def add(
        self, batch: dict[str, tf.Tensor], detected: dict[str, npt.NDArray[Any]]
    ) -> None:
        """Adds a batch of `examples.for_test` and the detections in it."""
        truth = {name: batch[name].numpy() for name in _TRUE_FIELDS}
        for row, key in enumerate(batch["key"].numpy()):
            image = image_id(key)
            number = detected["number"][row]
            self._add_detections(
                image, *(detected[name][row][:number] for name in _DETECTED_FIELDS)
            )
            real = truth["classes"][row] >= 0
            self._add_truth(image, *(truth[name][row][real] for name in _TRUE_FIELDS))

    def _add_detections(
        self,
        image: str,
        boxes: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        classes: npt.NDArray[np.int32],
    ) -> None:
        voc_boxes = box_conventions.to_voc(boxes)
        for label, score, box in zip(classes, scores, voc_boxes):
            self._rows[self._classes[label]].append((image, score, box))

    def _add_truth(
        self,
        image: str,
        boxes: npt.NDArray[np.float32],
        classes: npt.NDArray[np.int64],
        difficult: npt.NDArray[np.bool_],
    ) -> None:
        for label in np.unique(classes):
            is_label = classes == label
            self._truth[self._classes[label]][image] = (
                box_conventions.to_voc(boxes[is_label]),
                difficult[is_label],
            )

    def results(self) -> Results:
        """The detections and true objects of all images."""
        detections = {name: _columns(rows) for name, rows in self._rows.items()}
        return Results(detections, self._truth)


def _columns(
    rows: Sequence[tuple[str, float, Boxes]],
) -> tuple[list[str], npt.NDArray[np.float32], Boxes]:
    """Image ids [D], scores float32 [D] and boxes float32 [D, 4] of detections."""
    return (
        [image for image, _, _ in rows],
        np.array([score for _, score, _ in rows], np.float32),
        np.array([box for _, _, box in rows], np.float32).reshape([-1, 4]),
    )
