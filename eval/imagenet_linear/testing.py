"""Passes over photos with trained layers: accuracies, predictions, nearest neighbours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import predictions_file
from eval.imagenet_linear.classifier import LinearClassifiers
from eval.imagenet_linear.ladder import Scores
from eval.imagenet_linear.softmax_layers import cross_entropies, hits

if TYPE_CHECKING:
    from sklearn.neighbors import KNeighborsClassifier

TOP = 5

# Arrays of several dtypes by name.
Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Results:
    """Results on N test photos for R rows of features; the last row is the evaluation's.

    Attributes:
      keys: keys of the photos, str [N].
      labels: int64 [N].
      hits1, hits5: whether the true class is the best, or among the 5 best, bool [R, N].
      cross_entropy: mean of the evaluation's row, in nats.
      classes: the k = 5 best classes (all, if there are fewer), best first, int32 [N, k].
      scores: their probabilities, float32 [N, k].
      neighbours: class by the nearest neighbours, int64 [N], or None.
      ladder: scores of the layers at all learning rates.
    """

    keys: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    hits1: npt.NDArray[np.bool_]
    hits5: npt.NDArray[np.bool_]
    cross_entropy: float
    classes: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    neighbours: npt.NDArray[np.int64] | None
    ladder: Scores

    def metrics(self) -> dict[str, float]:
        """Accuracies in [0, 1] and the cross-entropy in nats, by name."""
        metrics = {
            "top5": float(self.hits5[-1].mean()),
            "top1": float(self.hits1[-1].mean()),
            "cross_entropy": self.cross_entropy,
        }
        if self.neighbours is not None:
            metrics["neighbours_top1"] = float(np.mean(self.neighbours == self.labels))
        return metrics


def _judge(logits: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Hits and losses [R, K, B] of all layers at the K learning rates."""
    return {
        "hits1": hits(logits, labels, 1) > 0,
        "hits5": hits(logits, labels, TOP) > 0,
        "losses": cross_entropies(logits, labels),
    }


def _numpy(tensors: dict[str, tf.Tensor]) -> Arrays:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _concatenated(rows: Sequence[Arrays], name: str, axis: int = 0) -> npt.NDArray[Any]:
    return np.concatenate([row[name] for row in rows], axis)


def _summary(rows: Sequence[Arrays]) -> Scores:
    """Averages the results of `_judge` over all batches."""
    top1, top5, nats = (
        np.mean(_concatenated(rows, name, axis=2), axis=2, dtype=np.float64)
        for name in ("hits1", "hits5", "losses")
    )
    photos = sum(row["hits1"].shape[2] for row in rows)
    return Scores(photos, top1, top5, nats)


def compare_rates(
    model: LinearClassifiers, batches: Iterable[dict[str, tf.Tensor]]
) -> Scores:
    """Scores the layers at all learning rates.

    Args:
      model: the trained layers.
      batches: photos that no layer was trained on.
    """

    @tf.function(reduce_retracing=True)
    def judge(features: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return _judge(model.logits(features), labels)

    return _summary(
        [
            _numpy(judge(model.compute_features(batch["image"]), batch["label"]))
            for batch in batches
        ]
    )


def run(
    model: LinearClassifiers,
    batches: Iterable[dict[str, tf.Tensor]],
    chosen: npt.NDArray[np.int64],
    neighbours: KNeighborsClassifier | None = None,
) -> Results:
    """Tests trained layers.

    Args:
      model: the trained layers.
      batches: the photos of the test split.
      chosen: index of the learning rate of each row, int64 [R].
      neighbours: a classifier that was fitted on features of the evaluation's row, or
        None.
    """
    rate = int(chosen[-1])

    @tf.function(reduce_retracing=True)
    def predict(features: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model.logits(features)
        row_logits = logits[-1, rate]
        count = min(TOP, row_logits.shape[-1])
        scores, classes = tf.math.top_k(tf.nn.softmax(row_logits), count)
        return {**_judge(logits, labels), "classes": classes, "scores": scores}

    rows: list[Arrays] = []
    for batch in batches:
        features = model.compute_features(batch["image"])
        row = _numpy(predict(features, batch["label"]))
        row["keys"], row["labels"] = batch["key"].numpy(), batch["label"].numpy()
        if neighbours is not None:
            inputs = model.features.evaluation_row(features, rate)
            row["neighbours"] = neighbours.predict(inputs.numpy())
        rows.append(row)

    ladder, all_rows = _summary(rows), np.arange(len(chosen))
    joined = {
        name: _concatenated(rows, name, axis=2 if name.startswith("hits") else 0)
        for name in rows[0]
        if name != "losses"
    }
    keys = [key.decode("utf-8", "replace") for key in joined["keys"].tolist()]
    return Results(
        keys=np.array(keys),
        labels=joined["labels"],
        hits1=joined["hits1"][all_rows, chosen],
        hits5=joined["hits5"][all_rows, chosen],
        cross_entropy=float(ladder.cross_entropy[-1, rate]),
        classes=joined["classes"],
        scores=joined["scores"],
        neighbours=joined.get("neighbours"),
        ladder=ladder,
    )


def fit_neighbours(
    model: LinearClassifiers,
    batches: Iterable[dict[str, tf.Tensor]],
    count: int,
    rate: int = 0,
) -> tuple[KNeighborsClassifier, int]:
    """Fits a nearest-neighbour classifier on the features of training photos.

    Neighbours are nearest by cosine distance, and their votes are weighted by its
    inverse.

    Args:
      model: the trained layers, whose features are used.
      batches: the training photos.
      count: number of neighbours; all photos if there are fewer.
      rate: index of the learning rate whose row of alpha combines the units.

    Returns:
      (the fitted classifier, the number of photos that it holds).
    """
    from sklearn.neighbors import KNeighborsClassifier

    features, labels = [], []
    for batch in batches:
        groups = model.compute_features(batch["image"])
        features.append(model.features.evaluation_row(groups, rate).numpy())
        labels.append(batch["label"].numpy())
    photos = sum(map(len, labels))
    classifier = KNeighborsClassifier(
        min(count, photos), weights="distance", algorithm="brute", metric="cosine"
    )
    return classifier.fit(np.concatenate(features), np.concatenate(labels)), photos


def save_predictions(output: str, results: Results, class_names: Sequence[str]) -> None:
    """Writes predictions.npz: keys, labels, classes, scores, class_names, neighbours."""
    arrays: Arrays = {
        "keys": results.keys,
        "labels": results.labels,
        "classes": results.classes,
        "scores": results.scores,
        "class_names": np.array(class_names),
    }
    if results.neighbours is not None:
        arrays["neighbours"] = results.neighbours
    predictions_file.write(output, arrays)
