"""ImageNet labels: which of the set's classes does a photo show?

Not self-supervised: the paper's upper bound (section 6), a full ResNet-101 trained on
labels; Szegedy et al., "Rethinking the Inception Architecture for Computer Vision"
(CVPR 2016), for the learning rate's schedule. As any task it also joins multi-task runs.
Block 4 and the classifier are its head, and an export of the run holds them too.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from selfsup.data import records
from selfsup.images import inception_augmentation, mosaic
from selfsup.tasks import checks, heads
from selfsup.tasks.task import Metric, Schedule, Task, TaskConfig
from selfsup.trunk.block4 import Block4, Classifier
from selfsup.trunk.resnet_v2 import DEPTHS, EXPANSION, TrunkConfig

TOP = 5


@dataclasses.dataclass(frozen=True)
class Config(TaskConfig):
    """Defaults are the paper's, and those of Szegedy et al. for what it leaves open.

    Attributes:
      image_size: side of the square that is cut from the photo.
      min_crop_area: smallest share of the photo's area that is cut.
      depth: the trunk's, from which block 4's shape follows.
      classes: as many as the data set has labels; 0 to take them from there.
      decay_rate, decay_epochs: the learning rate is multiplied by the one every so many
        epochs.
      label_smoothing: share of the target that is spread evenly over the classes.
    """

    image_size: int = 224
    min_crop_area: float = inception_augmentation.MIN_AREA
    depth: str = "101"
    classes: int = 0
    decay_rate: float = 0.94
    decay_epochs: float = 2.0
    label_smoothing: float = 0.0


def cross_entropy(logits, labels, smoothing=0.0):
    """Mean cross-entropy with smoothed one-hot targets, in nats.

    Args:
      logits: float32 [B, K].
      labels: int32 [B].
      smoothing: share of each target that is spread evenly over all K classes.

    Returns:
      float32 scalar.
    """
    log_probabilities = tf.nn.log_softmax(logits)
    of_label = tf.gather(log_probabilities, labels, batch_dims=1)
    of_all = tf.reduce_mean(log_probabilities, axis=-1)
    return -tf.reduce_mean((1.0 - smoothing) * of_label + smoothing * of_all)


class LabelsHead(heads.ConfiguredHead):
    """Block 4, the mean over the photo, and one logit for each class."""

    Config = Config

    def __init__(self, config, dtype=None, name="imagenet_labels_head", **kwargs):
        super().__init__(config, dtype=dtype, name=name, **kwargs)
        trunk = TrunkConfig(
            depth=config.depth,
            output_stride=ImagenetLabels.output_stride,
            mixed_precision=self.compute_dtype == "bfloat16",
            weight_decay=config.weight_decay,
        )
        self.block4 = Block4(trunk)
        self.logits = Classifier(
            config.classes, self.block4.channels, config.weight_decay
        )

    def call(self, features, training=False):
        """Features [B, h, w, C] to logits, float32 [B, classes]."""
        return self.logits(self.block4(features, training=training))


class ImagenetLabels(Task):
    """See the module's docstring."""

    name = "imagenet_labels"
    Config = Config
    features = (records.IMAGE, records.LABEL)
    output_stride = 32
    exported_parts = ("block4", "logits")
    metric_specs = (
        Metric(
            "accuracy", True, "share of photos whose class is the likeliest (top-1)"
        ),
        Metric("top5", True, "share whose class is among the five likeliest"),
        Metric("cross_entropy", False, "nats a photo, without smoothing"),
    )

    def __init__(self, config=None):
        super().__init__(config)
        config = self.config
        checks.require(
            config.depth in DEPTHS,
            self.name,
            "depth",
            config.depth,
            f"one of {', '.join(DEPTHS)}",
        )
        for key, holds, expected in (
            ("image_size", config.image_size >= 1, "1 or more"),
            ("min_crop_area", 0 < config.min_crop_area <= 1, "above 0, up to 1"),
            ("classes", config.classes >= 0, "0 or more"),
            ("decay_rate", 0 < config.decay_rate <= 1, "above 0, up to 1"),
            ("decay_epochs", config.decay_epochs > 0, "above 0"),
            ("label_smoothing", 0 <= config.label_smoothing < 1, "0 to below 1"),
        ):
            checks.require(holds, self.name, key, getattr(config, key), expected)

    @classmethod
    def complete_config(cls, config, sets):
        """Takes the number of classes from the sets, or compares it with theirs."""
        labels = sets[0].labels
        for one in sets:
            checks.require_set(
                len(one.labels) > 1, cls.name, one, "two classes or more"
            )
            checks.require_set(
                one.labels == labels,
                cls.name,
                one,
                f"the same classes, in the same order, as {sets[0].directory}",
            )
        checks.require(
            config.classes in (0, len(labels)),
            cls.name,
            "classes",
            config.classes,
            f"{len(labels)}, as many as {sets[0].directory} has, or 0 for that",
        )
        return dataclasses.replace(config, classes=len(labels))

    def check_channels(self, channels):
        """Compares the trunk's channels with what block 4 of `depth` takes."""
        expected = EXPANSION * DEPTHS[self.config.depth].bottlenecks[2]
        checks.require(
            channels == expected,
            self.name,
            "depth",
            self.config.depth,
            f"the trunk's depth: block 4 of this one takes {expected} channels, the "
            f"trunk has {channels}",
        )

    def learning_rate_schedule(self):
        config = self.config
        return Schedule(config.learning_rate, config.decay_rate, config.decay_epochs)

    def preprocess_example(self, record, seed):
        """ "image": uint8 [image_size, image_size, 3], cut at random; "label" int32."""
        config = self.config
        label = checks.valid_in_record(
            record["label"],
            (record["label"] >= 0) & (record["label"] < config.classes),
            record,
            f"a label from 0 to {config.classes - 1}",
        )
        image = inception_augmentation.random_crop(
            record["encoded"], config.image_size, seed, config.min_crop_area
        )
        return {"image": image, "label": tf.cast(label, tf.int32)}

    def preprocess_batch(self, examples, seed):
        """Images [B, s, s, 3], some mirrored, of changed colours; "labels" int32 [B]."""
        mirror_seed, color_seed = tf.unstack(tf.random.split(seed))
        images = tf.cast(examples["image"], tf.float32) / 255.0
        images = inception_augmentation.random_mirror(images, mirror_seed)
        images = inception_augmentation.random_color(images, color_seed)
        return images, {"labels": examples["label"]}

    def build_head(self, dtype=None):
        checks.require(
            self.config.classes > 0,
            self.name,
            "classes",
            self.config.classes,
            "the number of the data set's classes",
        )
        return LabelsHead(self.config, dtype=dtype)

    def loss(self, outputs, targets):
        return cross_entropy(outputs, targets["labels"], self.config.label_smoothing)

    def metrics(self, outputs, targets):
        labels = targets["labels"]
        return {
            "accuracy": _hit_rate(outputs, labels, 1),
            "top5": _hit_rate(outputs, labels, TOP),
            "cross_entropy": cross_entropy(outputs, labels),
        }

    def chance(self, targets):
        """Of classes that are equally likely."""
        classes = self.config.classes
        return {
            "accuracy": tf.constant(1.0 / classes),
            "top5": tf.constant(min(TOP, classes) / classes),
            "cross_entropy": tf.math.log(float(classes)),
        }

    def pictures(self, images, outputs, targets):
        """The photos: framed green where the class is the likeliest, yellow where among
        five, red elsewhere."""
        labels = targets["labels"]
        of_label = outputs[np.arange(len(labels)), labels]
        ranks = np.sum(outputs > of_label[:, None], axis=-1)
        framed = [
            mosaic.frame(mosaic.shrink(image, 112), _color(rank), width=5)
            for image, rank in zip(mosaic.to_uint8(images[:24]), ranks)
        ]
        rows = [framed[first : first + 6] for first in range(0, len(framed), 6)]
        return {"first_among_five_wrong": mosaic.grid(rows)}


def _hit_rate(logits, labels, k):
    hits = tf.math.in_top_k(labels, logits, min(k, logits.shape[-1]))
    return tf.reduce_mean(tf.cast(hits, tf.float32))


def _color(rank):
    if rank == 0:
        return mosaic.RIGHT
    return mosaic.MARKED if rank < TOP else mosaic.WRONG
