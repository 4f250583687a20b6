"""Motion segmentation: which pixels of a single video frame will move?

Paper sections 2 and 3.4; Pathak et al., "Learning Features by Watching Objects Move"
(CVPR 2017). The masks come from Improved Dense Trajectories, see
`data_prep.trajectories`; places that it could not track are ignored.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from selfsup.data import records
from selfsup.images import mosaic, resize, square_crops
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Task, TaskConfig


@dataclasses.dataclass(frozen=True)
class Config(TaskConfig):
    """Defaults are the paper's.

    Attributes:
      batch_size: frames.
      height, width: that frames are resized to, whatever their aspect.
      head_channels: of the head's two hidden convolutions.
    """

    batch_size: int = 16
    height: int = 240
    width: int = 320
    head_channels: int = 4096


def sigmoid_cross_entropy(logits, labels, valid):
    """Mean cross-entropy over the valid places, in nats.

    Args:
      logits, labels, valid: float32 of one shape; labels and valid are 0 or 1.

    Returns:
      float32 scalar; 0 where nothing is valid.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return _mean(losses, valid)


def average_precision(scores, labels, valid):
    """Area under the precision-recall curve over the valid places.

    Args:
      scores, labels, valid: float32 of one shape; labels and valid are 0 or 1.

    Returns:
      float32 scalar: the mean, over the foreground places, of the precision among the
      places that score at least as high; 0 where there is no foreground.
    """
    lowest = scores.dtype.min
    flat = tf.reshape(tf.where(valid > 0, scores, lowest), [-1])
    order = tf.argsort(flat, direction="DESCENDING")
    labels = tf.gather(tf.reshape(labels * valid, [-1]), order)
    valid = tf.gather(tf.reshape(valid, [-1]), order)
    precision = tf.math.divide_no_nan(tf.cumsum(labels), tf.cumsum(valid))
    return _mean(precision, labels)


class MotionSegmentation(Task):
    """See the module's docstring."""

    name = "motion_segmentation"
    Config = Config
    features = (records.IMAGE, records.MOTION_MASK)
    metric_specs = (
        Metric("cross_entropy", False, "nats a pixel"),
        Metric("average_precision", True, "area under the precision-recall curve"),
        Metric("iou", True, "of the pixels that are more likely foreground than not"),
    )

    def __init__(self, config=None):
        super().__init__(config)
        for key in ("height", "width"):
            value = getattr(self.config, key)
            checks.require_multiple(self.name, key, value, self.output_stride)

    def preprocess_example(self, record, seed):
        """ "image": uint8 [height, width, 3]; "mask": uint8 [height/8, width/8, 1]."""
        config = self.config
        size = config.height // self.output_stride, config.width // self.output_stride
        image = resize.resize(record[records.IMAGE], config.height, config.width)
        # Labels do not blend.
        mask = tf.image.resize(record[records.MOTION_MASK], size, method="nearest")
        return {"image": image, "mask": mask}

    def preprocess_batch(self, examples, seed):
        """Images [B, height, width, 3]; "labels" and "valid" [B, height/8, width/8].

        Both float32, 0 or 1; the label of a place that is not valid is 0.
        """
        frames = tf.cast(examples["image"], tf.float32) / 255.0
        frames, masks = square_crops.random_mirror([frames, examples["mask"]], seed)
        mask = masks[..., 0]
        targets = {
            "labels": tf.cast(mask == 1, tf.float32),
            "valid": tf.cast(mask != records.MASK_IGNORE, tf.float32),
        }
        return frames, targets

    def build_head(self, dtype=None):
        return heads.DenseHead(
            outputs=1,
            channels=self.config.head_channels,
            kernel_sizes=(1, 1),
            weight_decay=self.config.weight_decay,
            dtype=dtype,
            name="motion_segmentation_head",
        )

    def loss(self, outputs, targets):
        return sigmoid_cross_entropy(
            outputs[..., 0], targets["labels"], targets["valid"]
        )

    def metrics(self, outputs, targets):
        logits, labels, valid = outputs[..., 0], targets["labels"], targets["valid"]
        predicted = tf.cast(logits > 0, tf.float32)
        either = tf.maximum(predicted, labels) * valid
        return {
            "cross_entropy": self.loss(outputs, targets),
            "average_precision": average_precision(logits, labels, valid),
            "iou": _mean(predicted * labels, either),
        }

    def chance(self, targets):
        """Scores of the best constant: the batch's own foreground rate, everywhere.

        For IoU that is to call everything foreground.
        """
        rate = _mean(targets["labels"], targets["valid"])
        entropy = -tf.math.xlogy(rate, rate) - tf.math.xlogy(1 - rate, 1 - rate)
        return {"cross_entropy": entropy, "average_precision": rate, "iou": rate}

    def pictures(self, images, outputs, targets):
        """One row a frame: the frame, predicted and true foreground in red.

        Ignored places are gray.
        """
        rows = []
        for image, logits, labels, valid in zip(
            mosaic.to_uint8(images[:6]), outputs, targets["labels"], targets["valid"]
        ):
            probability = 1.0 / (1.0 + np.exp(-logits[..., 0]))
            predicted, truth, ignored = (
                mosaic.enlarge(plane, self.output_stride)
                for plane in (probability, labels, 1.0 - valid)
            )
            true_picture = mosaic.tint(image, ignored, (128, 128, 128), 0.8)
            row = (
                image,
                mosaic.tint(image, predicted, mosaic.WRONG),
                mosaic.tint(true_picture, truth, mosaic.WRONG),
            )
            rows.append([mosaic.shrink(picture, 160) for picture in row])
        return {"frame_predicted_true": mosaic.grid(rows)}


def _mean(values, weights):
    return tf.math.divide_no_nan(
        tf.reduce_sum(values * weights), tf.reduce_sum(weights)
    )
