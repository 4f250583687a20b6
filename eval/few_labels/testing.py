"""The pass over the test photos with the classifiers of all shares, and its pictures."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import pictures, predictions_file
from eval.few_labels.classifier import Classifier
from eval.imagenet_linear.softmax_layers import hits
from eval.trunk_features import trunk_input
from selfsup.images import mosaic

TOP = 5
_COLUMNS = 8
_SIDE = 112


@dataclasses.dataclass(frozen=True)
class Results:
    """Results on N test photos for the classifiers of S shares.

    Attributes:
      keys: keys of the photos, str [N].
      labels: int64 [N].
      top1, top5: whether the true class is the best, or among the 5 best, bool [S, N].
      classes: the k = 5 best classes (all, if there are fewer), best first, int32
        [S, N, k].
      scores: their probabilities, float32 [S, N, k].
      images: the first test photos as the trunk saw them, uint8 [S, S, 3] each.
    """

    keys: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    top1: npt.NDArray[np.bool_]
    top5: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    images: list[npt.NDArray[np.uint8]]


def run(
    classifiers: Sequence[Classifier], batches: Iterable[dict[str, tf.Tensor]]
) -> Results:
    """Tests the classifiers of all shares in one pass.

    Args:
      classifiers: the trained classifiers.
      batches: the photos of the test split, see `photo_streams.in_file_order`.
    """

    @tf.function(reduce_retracing=True)
    def predict(images: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = trunk_input(images)
        logits = tf.stack([classifier(inputs) for classifier in classifiers])
        count = min(TOP, logits.shape[-1])
        scores, classes = tf.math.top_k(tf.nn.softmax(logits), count)
        return {
            "top1": hits(logits, labels, 1) > 0,
            "top5": hits(logits, labels, TOP) > 0,
            "classes": classes,
            "scores": scores,
        }

    rows: list[dict[str, npt.NDArray[Any]]] = []
    keys: list[str] = []
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[npt.NDArray[np.int64]] = []
    for batch in batches:
        predicted = predict(batch["image"], batch["label"])
        rows.append({name: values.numpy() for name, values in predicted.items()})
        keys += [key.decode("utf-8", "replace") for key in batch["key"].numpy()]
        labels.append(batch["label"].numpy())
        images += list(batch["image"].numpy()[: max(0, _COLUMNS - len(images))])
    joined = {
        name: np.concatenate([row[name] for row in rows], axis=1) for name in rows[0]
    }
    return Results(
        keys=np.array(keys), labels=np.concatenate(labels), images=images, **joined
    )


def save_predictions(
    output: str, results: Results, shares: Sequence[float], class_names: Sequence[str]
) -> None:
    """Writes predictions.npz: keys, labels, shares, classes, scores, class_names."""
    arrays = {
        "keys": results.keys,
        "labels": results.labels,
        "shares": np.array(shares),
        "classes": results.classes,
        "scores": results.scores,
        "class_names": np.array(class_names),
    }
    predictions_file.write(output, arrays)


def draw_predictions(
    output: str, results: Results, shares: Sequence[float], class_names: Sequence[str]
) -> None:
    """Draws pictures/predictions.png: some test photos in a row for each share.

    The frame is green if the prediction, which is written above, is correct.
    """
    count = len(results.images)
    figure, axes = pictures.new_figure(len(shares), count, size=(1.4, 1.6))
    for line, share, right, classes in zip(
        axes, shares, results.top1, results.classes[..., 0]
    ):
        for column, axis in enumerate(line):
            color = mosaic.RIGHT if right[column] else mosaic.WRONG
            picture = mosaic.shrink(results.images[column], _SIDE)
            axis.imshow(mosaic.frame(picture, color))
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title(class_names[classes[column]], fontsize=7)
        line[0].set_ylabel(f"{100 * share:g}% of labels", fontsize=7)
    path = os.path.join(pictures.folder(output), "predictions.png")
    pictures.save_figure(path, figure)


def draw_accuracy(
    output: str, results: Results, shares: Sequence[float], chance: Mapping[str, float]
) -> None:
    """Draws pictures/accuracy.png: top-1 and top-5 against the share of labels."""
    figure, axes = pictures.new_figure(columns=2)
    for axis, (name, right) in zip(
        axes[0], (("top1", results.top1), ("top5", results.top5))
    ):
        axis.semilogx([100 * share for share in shares], right.mean(axis=1), "o-")
        axis.axhline(chance[name], color="gray", linestyle=":", label="chance")
        axis.set_xlabel("labels used, %")
        axis.set_ylabel(name)
        axis.legend(fontsize=8)
    path = os.path.join(pictures.folder(output), "accuracy.png")
    pictures.save_figure(path, figure)
