"""ImageNet labels: to which class of the data set does a photo belong?

This task is not self-supervised. It is the upper bound of the paper (section 6): a full
ResNet-101 trained on labels. Szegedy et al., "Rethinking the Inception Architecture for
Computer Vision" (CVPR 2016), for the learning rate schedule. Like every task, it can
also join multi-task runs. Its head consists of block 4 and the classifier, and an export
of the run contains them too.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.data import records
from selfsup.images import inception_augmentation, mosaic
from selfsup.tasks import checks, classification, heads
from selfsup.tasks.task import Metric, Schedule, Task, TaskConfig
from selfsup.trunk import REGISTRY, build_tail, trunk_class
from selfsup.trunk.classifier import Classifier
from selfsup.trunk.trunk import TrunkConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selfsup.tasks.task import LabelledSet

TOP = 5


@dataclasses.dataclass(frozen=True)
class ImagenetLabelsConfig(TaskConfig):
    """Sources of the defaults: docs/hyperparameters.md.

    Attributes:
      image_size: side of the square to which the crop is resized, in pixels.
      min_crop_area: smallest share of the photo's area in the crop.
      depth: depth of the trunk, which decides the shape of block 4; empty for the depth
        of the run's trunk.
      classes: number of classes of the data set; 0 to read it from the data set.
      decay_rate: factor of each decay of the learning rate.
      decay_epochs: epochs between two decays.
      label_smoothing: share of the target that is spread evenly over the classes.
      kind: kind of the trunk, a key of `selfsup.trunk.REGISTRY`; empty for the kind of the
        run's trunk.
    """

    image_size: int = 224
    min_crop_area: float = inception_augmentation.MIN_AREA
    depth: str = ""
    classes: int = 0
    decay_rate: float = 0.94
    decay_epochs: float = 2.0
    label_smoothing: float = 0.0
    kind: str = ""


class LabelsHead(heads.ConfiguredHead):
    """The trunk's tail, the mean over all positions, and a logit for each class.

    The tail of the ResNet-v2 is block 4.
    """

    Config = ImagenetLabelsConfig

    def __init__(
        self,
        config: ImagenetLabelsConfig,
        dtype: str | None = None,
        name: str = "imagenet_labels_head",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, dtype=dtype, name=name, **kwargs)
        trunk = TrunkConfig(
            depth=config.depth,
            output_stride=ImagenetLabels.output_stride,
            mixed_precision=self.compute_dtype == "bfloat16",
            weight_decay=config.weight_decay,
            kind=config.kind,
        )
        self.block4 = build_tail(trunk)
        self.logits = Classifier(
            config.classes, self.block4.channels, config.weight_decay
        )

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps features [B, h, w, C] to logits, float32 [B, classes]."""
        return self.logits(self.block4(features, training=training))


class ImagenetLabels(Task):
    """Predicts the class of a photo; see the module's docstring."""

    name = "imagenet_labels"
    Config = ImagenetLabelsConfig
    config: ImagenetLabelsConfig
    features = (records.IMAGE, records.LABEL)
    output_stride = 32
    exported_parts = ("block4", "logits")
    metric_specs = (
        Metric("accuracy", True, "share of photos with the most likely class (top-1)"),
        Metric("top5", True, "share with a class among the five most likely"),
        Metric("cross_entropy", False, "nats per photo, without smoothing"),
    )

    def __init__(self, config: ImagenetLabelsConfig | None = None) -> None:
        super().__init__(config)
        config = self.config
        self._check_network()
        for field, valid, expected in (
            ("image_size", config.image_size >= 1, "1 or more"),
            ("min_crop_area", 0 < config.min_crop_area <= 1, "more than 0, up to 1"),
            ("classes", config.classes >= 0, "0 or more"),
            ("decay_rate", 0 < config.decay_rate <= 1, "more than 0, up to 1"),
            ("decay_epochs", config.decay_epochs > 0, "more than 0"),
            ("label_smoothing", 0 <= config.label_smoothing < 1, "0 to below 1"),
        ):
            checks.require(valid, self.name, field, getattr(config, field), expected)

    def _check_network(self) -> None:
        """Raises UserError unless kind and depth are empty or exist."""
        kind, depth = self.config.kind, self.config.depth
        kinds = f"one of {', '.join(REGISTRY)}, or empty for that of the trunk"
        checks.require(not kind or kind in REGISTRY, self.name, "kind", kind, kinds)
        depths = [
            known
            for name in ([kind] if kind else REGISTRY)
            for known in trunk_class(name).depths
        ]
        expected = f"one of {', '.join(depths)}, or empty for that of the trunk"
        checks.require(
            not depth or depth in depths, self.name, "depth", depth, expected
        )

    @classmethod
    def config_for_trunk(
        cls, config: TaskConfig, trunk: TrunkConfig
    ) -> ImagenetLabelsConfig:
        """Fills in the kind and the depth of the trunk, unless they are given."""
        assert isinstance(config, ImagenetLabelsConfig)
        return dataclasses.replace(
            config, kind=config.kind or trunk.kind, depth=config.depth or trunk.depth
        )

    @classmethod
    def complete_config(
        cls, config: TaskConfig, sets: Sequence[LabelledSet]
    ) -> ImagenetLabelsConfig:
        """Fills in the number of classes of the data sets.

        Raises:
          UserError: if a data set has fewer than two classes, data sets have different
            classes, or `config.classes` is another number.
        """
        assert isinstance(config, ImagenetLabelsConfig)
        labels = sets[0].labels
        for data_set in sets:
            checks.require_labels(
                len(data_set.labels) > 1, cls.name, data_set, "two classes or more"
            )
            checks.require_labels(
                data_set.labels == labels,
                cls.name,
                data_set,
                f"the same classes, in the same order, as {sets[0].directory}",
            )
        checks.require(
            config.classes in (0, len(labels)),
            cls.name,
            "classes",
            config.classes,
            f"{len(labels)}, the number of classes of {sets[0].directory}, or 0 to "
            "read it from there",
        )
        return dataclasses.replace(config, classes=len(labels))

    def check_trunk(self, trunk: TrunkConfig) -> None:
        """Raises UserError unless the trunk's tail is that of `kind` and `depth`."""
        for field in ("kind", "depth"):
            value, expected = getattr(self.config, field), getattr(trunk, field)
            checks.require(
                value == expected,
                self.name,
                field,
                value,
                f"{expected}, the {field} of the trunk",
            )

    def learning_rate_schedule(self) -> Schedule:
        """Returns the learning rate, which decays exponentially in steps."""
        config = self.config
        return Schedule(config.learning_rate, config.decay_rate, config.decay_epochs)

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Cuts a random crop out of the photo.

        A label that is not a class makes the input pipeline fail.

        Returns:
          "image": uint8 [image_size, image_size, 3].
          "label": int32 scalar in [0, classes).
        """
        config = self.config
        label = checks.require_in_record(
            record["label"],
            (record["label"] >= 0) & (record["label"] < config.classes),
            record,
            f"a label from 0 to {config.classes - 1}",
        )
        image = inception_augmentation.random_crop(
            record["encoded"], config.image_size, seed, config.min_crop_area
        )
        return {"image": image, "label": tf.cast(label, tf.int32)}

    def preprocess_batch(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Mirrors photos at random and distorts their colours.

        Returns:
          images: float32 [B, image_size, image_size, 3] in [0, 1].
          targets: "labels" int32 [B].
        """
        mirror_seed, color_seed = tf.unstack(tf.random.split(seed))
        images = tf.cast(examples["image"], tf.float32) / 255.0
        images = inception_augmentation.random_mirror(images, mirror_seed)
        images = inception_augmentation.random_color(images, color_seed)
        return images, {"labels": examples["label"]}

    def augment_images(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the images unchanged: the published baseline has its own."""
        del seed
        return images

    def build_head(self, dtype: str | None = None) -> LabelsHead:
        """Returns a new head.

        Raises:
          UserError: if `classes` is 0, or `kind` or `depth` is empty.
        """
        checks.require(
            self.config.classes > 0,
            self.name,
            "classes",
            self.config.classes,
            "the number of classes of the data set",
        )
        for field in ("kind", "depth"):
            value = getattr(self.config, field)
            expected = f"the {field} of the trunk"
            checks.require(bool(value), self.name, field, value, expected)
        return LabelsHead(self.config, dtype=dtype)

    def loss(self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mean cross-entropy with label smoothing, in nats."""
        return classification.cross_entropy(
            outputs, targets["labels"], self.config.label_smoothing
        )

    def metrics(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns top-1 and top-5 accuracy, and cross-entropy without smoothing."""
        labels = targets["labels"]
        return {
            "accuracy": _top_k_accuracy(outputs, labels, 1),
            "top5": _top_k_accuracy(outputs, labels, TOP),
            "cross_entropy": classification.cross_entropy(outputs, labels),
        }

    def chance(self, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of equal probabilities for all classes."""
        del targets
        classes = self.config.classes
        return {
            "accuracy": tf.constant(1.0 / classes),
            "top5": tf.constant(min(TOP, classes) / classes),
            "cross_entropy": tf.math.log(float(classes)),
        }

    def pictures(
        self,
        images: npt.NDArray[np.float32],
        outputs: npt.NDArray[np.float32],
        targets: dict[str, npt.NDArray[Any]],
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """Draws the photos with frames that show the rank of the true class.

        The frame is green if the class is the most likely, yellow if it is among the
        five most likely, and red otherwise.
        """
        labels = targets["labels"]
        true_logits = outputs[np.arange(len(labels)), labels]
        ranks = np.sum(outputs > true_logits[:, None], axis=-1)
        framed = [
            mosaic.frame(mosaic.shrink(image, 112), _frame_color(rank), width=5)
            for image, rank in zip(mosaic.to_uint8(images[:24]), ranks)
        ]
        rows = [framed[first : first + 6] for first in range(0, len(framed), 6)]
        return {"first_among_five_wrong": mosaic.grid(rows)}


def _top_k_accuracy(logits: tf.Tensor, labels: tf.Tensor, k: int) -> tf.Tensor:
    """Share of examples whose class is among the k most likely.

    Args:
      logits: float32 [B, K].
      labels: int32 [B].
      k: number of classes; K if it is greater.

    Returns:
      float32 scalar.
    """
    hits = tf.math.in_top_k(labels, logits, min(k, logits.shape[-1]))
    return tf.reduce_mean(tf.cast(hits, tf.float32))


def _frame_color(rank: int) -> tuple[int, int, int]:
    """RGB colour of the frame for the true class's rank, 0 for the most likely."""
    if rank == 0:
        return mosaic.RIGHT
    return mosaic.MARKED if rank < TOP else mosaic.WRONG
