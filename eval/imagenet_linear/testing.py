"""Passes over photos with trained layers: accuracies, predictions, neighbours."""

from __future__ import annotations

import dataclasses
import functools
import io
import os

import numpy as np
import tensorflow as tf

from eval.imagenet_linear.ladder import Scores
from eval.imagenet_linear.softmax_layers import cross_entropies, hits
from selfsup.common import files

TOP = 5
PREDICTIONS = "predictions.npz"


@dataclasses.dataclass(frozen=True)
class Results:
    """What the test split says; rows are those of the features, the evaluation's last.

    Attributes:
      keys: str [N], of the photos.
      labels: int64 [N].
      hits1, hits5: bool [R, N], whether the true class is the best, among the 5 best.
      cross_entropy: nats, mean, of the evaluation's row.
      classes: int32 [N, k], the k = 5 best classes, or all where there are fewer, the
        best first.
      scores: float32 [N, k], their probabilities.
      neighbours: int64 [N], class by the nearest neighbours, or None.
      ladder: `Scores` of the layers at all rates.
    """

    keys: np.ndarray
    labels: np.ndarray
    hits1: np.ndarray
    hits5: np.ndarray
    cross_entropy: float
    classes: np.ndarray
    scores: np.ndarray
    neighbours: np.ndarray
    ladder: Scores

    def metrics(self):
        """Dict of shares in [0, 1] by name, and of the cross-entropy in nats."""
        found = {
            "top5": self.hits5[-1].mean(),
            "top1": self.hits1[-1].mean(),
            "cross_entropy": self.cross_entropy,
        }
        if self.neighbours is not None:
            found["neighbours_top1"] = np.mean(self.neighbours == self.labels)
        return {name: float(value) for name, value in found.items()}


def _judge(logits, labels):
    """Tensors [R, rates, B] by name."""
    return {
        "hits1": hits(logits, labels, 1) > 0,
        "hits5": hits(logits, labels, TOP) > 0,
        "losses": cross_entropies(logits, labels),
    }


def _joined(rows, name, axis=0):
    return np.concatenate([row[name] for row in rows], axis)


def _summary(rows):
    """`Scores` of judged batches."""
    top1, top5, nats = (
        _joined(rows, name, axis=2).mean(axis=2, dtype=np.float64)
        for name in ("hits1", "hits5", "losses")
    )
    photos = sum(row["hits1"].shape[2] for row in rows)
    return Scores(photos, top1, top5, nats)


def compare_rates(evaluation, batches) -> Scores:
    """What the layers at all rates reach.

    Args:
      evaluation: a trained `LinearClassifiers`.
      batches: iterable of dicts of photos that no layer was trained on.
    """

    @tf.function(reduce_retracing=True)
    def judged(features, labels):
        return _judge(evaluation.logits(features), labels)

    rows = []
    for batch in batches:
        found = judged(evaluation.look(batch["image"]), batch["label"])
        rows.append({name: value.numpy() for name, value in found.items()})
    return _summary(rows)


def _predict(evaluation, rate, features, labels):
    """As `_judge`; and "classes" and "scores" [B, k] of the evaluation's own layer."""
    logits = evaluation.logits(features)
    own = logits[-1, rate]
    scores, classes = tf.math.top_k(tf.nn.softmax(own), min(TOP, own.shape[-1]))
    return {**_judge(logits, labels), "classes": classes, "scores": scores}


def run(evaluation, batches, chosen, neighbours=None) -> Results:
    """Tests a trained `LinearClassifiers`.

    Args:
      evaluation: the `LinearClassifiers`.
      batches: iterable of dicts of the test split.
      chosen: int [R], index of the learning rate of each row.
      neighbours: a fitted scikit-learn classifier on features of the evaluation's row,
        or None.
    """
    own = int(chosen[-1])
    predict = functools.partial(_predict, evaluation, own)
    predict, rows = tf.function(predict, reduce_retracing=True), []
    for batch in batches:
        features = evaluation.look(batch["image"])
        judged = predict(features, batch["label"])
        row = {key: value.numpy() for key, value in judged.items()}
        row["keys"], row["labels"] = batch["key"].numpy(), batch["label"].numpy()
        if neighbours is not None:
            read = evaluation.features.own(features, own)
            row["neighbours"] = neighbours.predict(read.numpy())
        rows.append(row)

    ladder, picked = _summary(rows), np.arange(len(chosen))
    return Results(
        keys=np.array(
            [key.decode("utf-8", "replace") for key in _joined(rows, "keys")]
        ),
        labels=_joined(rows, "labels"),
        hits1=_joined(rows, "hits1", axis=2)[picked, chosen],
        hits5=_joined(rows, "hits5", axis=2)[picked, chosen],
        cross_entropy=float(ladder.cross_entropy[-1, own]),
        classes=_joined(rows, "classes"),
        scores=_joined(rows, "scores"),
        neighbours=None if neighbours is None else _joined(rows, "neighbours"),
        ladder=ladder,
    )


def fit_neighbours(evaluation, batches, count, rate=0):
    """A nearest-neighbour classifier on the features of some training photos.

    Neighbours are the nearest by cosine, and vote by how near they are.

    Args:
      evaluation: the `LinearClassifiers`.
      batches: iterable of dicts of training photos.
      count: of neighbours; all of the photos where these are fewer.
      rate: index of the learning rate of the evaluation's row.

    Returns:
      (a fitted `sklearn.neighbors.KNeighborsClassifier`, photos that it has).
    """
    from sklearn.neighbors import KNeighborsClassifier

    features, labels = [], []
    for batch in batches:
        found = evaluation.look(batch["image"])
        features.append(evaluation.features.own(found, rate).numpy())
        labels.append(batch["label"].numpy())
    features, labels = np.concatenate(features), np.concatenate(labels)
    classifier = KNeighborsClassifier(
        min(count, len(labels)), weights="distance", algorithm="brute", metric="cosine"
    )
    return classifier.fit(features, labels), len(labels)


def save_predictions(output, results, class_names):
    """Writes predictions.npz: keys, labels, classes, scores, class_names, neighbours."""
    arrays = {
        "keys": results.keys,
        "labels": results.labels,
        "classes": results.classes,
        "scores": results.scores,
        "class_names": np.array(class_names),
    }
    if results.neighbours is not None:
        arrays["neighbours"] = results.neighbours
    content = io.BytesIO()
    np.savez(content, **arrays)
    files.write_atomically(os.path.join(output, PREDICTIONS), content.getvalue())
