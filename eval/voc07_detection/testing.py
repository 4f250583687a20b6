"""The pass over the test split: detections and truth, as the devkit has them."""

import dataclasses

import numpy as np
import tensorflow as tf

from eval import complete_pass
from eval.voc07_detection import box_conventions as conventions
from eval.voc07_detection import canvases, examples
from eval.voc07_detection.dataset import image_id
from selfsup.common.progress import ProgressBar


@dataclasses.dataclass(frozen=True)
class Tested:
    """What the detector found and what there is, in VOC's pixels.

    Attributes:
      detections: {class: (image ids [D], confidences float32 [D], boxes float32
        [D, 4])}, an entry for each class.
      truth: {class: {image id: (boxes float32 [N, 4], difficult bool [N])}}.
    """

    detections: dict
    truth: dict


def run(detector, dataset, config, stop):
    """Detects in all test images.

    Args:
      detector: a `Detector`.
      dataset: a `Dataset`.
      config: the evaluation's `Config`.
      stop: a `hybrid.stop.StopSignals`.

    Returns:
      a `Tested`, or None when it was stopped.

    Raises:
      UserError: when a shard is damaged.
    """
    detect = tf.function(detector.detect)
    collected = _Collected(dataset.classes)
    batches = examples.whole(complete_pass.serialized_records(dataset.test), config)
    progress = ProgressBar("test images", dataset.test.records)
    with complete_pass.damage_explained(dataset.test), progress:
        for batch in batches:
            if stop.received is not None:
                return None
            collected.add(batch, _detect(detect, batch, config.test_batch_size))
            progress.update(collected.images)
    return collected.tested()


def _detect(detect, batch, size):
    """Numpy arrays of `Detector.detect`; a smaller batch is filled up for its graph."""
    rows = tf.range(size) % tf.shape(batch["image"])[0]
    found = detect(tf.gather(batch["image"], rows), tf.gather(batch["size"], rows))
    found["boxes"] = canvases.scale_boxes(
        found["boxes"],
        tf.gather(batch["size"], rows),
        tf.gather(batch["old_size"], rows),
    )
    return {key: value.numpy() for key, value in found.items()}


class _Collected:
    """Detections and truth of the images so far."""

    def __init__(self, classes):
        self.images = 0
        self._classes = classes
        self._found = {name: [] for name in classes}
        self._truth = {name: {} for name in classes}

    def add(self, batch, found):
        batch = {key: batch[key].numpy() for key in ("key", *_TRUE_FIELDS)}
        for row, key in enumerate(batch["key"]):
            image = image_id(key)
            number = found["number"][row]
            one = {key: found[key][row][:number] for key in _FOUND_FIELDS}
            self._add_found(image, one)
            real = batch["classes"][row] >= 0
            self._add_truth(image, *(batch[key][row][real] for key in _TRUE_FIELDS))
            self.images += 1

    def _add_found(self, image, found):
        voc = conventions.to_voc(found["boxes"])
        for label, score, box in zip(found["classes"], found["scores"], voc):
            self._found[self._classes[label]].append((image, score, box))

    def _add_truth(self, image, boxes, classes, difficult):
        for label in np.unique(classes):
            mine = classes == label
            self._truth[self._classes[label]][image] = (
                conventions.to_voc(boxes[mine]),
                difficult[mine],
            )

    def tested(self):
        """The `Tested`."""
        return Tested(
            {name: _columns(rows) for name, rows in self._found.items()}, self._truth
        )


_FOUND_FIELDS = ("boxes", "scores", "classes")
_TRUE_FIELDS = ("boxes", "classes", "difficult")


def _columns(rows):
    return (
        [image for image, _, _ in rows],
        np.array([score for _, score, _ in rows], np.float32),
        np.array([box for _, _, box in rows], np.float32).reshape([-1, 4]),
    )
