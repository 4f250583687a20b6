"""The pass over the test split: accuracies, predictions, neighbours."""

import dataclasses
import functools
import io
import os

import numpy as np
import tensorflow as tf

from eval.imagenet_linear.classifier import hits
from selfsup.data import files

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
    """

    keys: np.ndarray
    labels: np.ndarray
    hits1: np.ndarray
    hits5: np.ndarray
    cross_entropy: float
    classes: np.ndarray
    scores: np.ndarray
    neighbours: np.ndarray

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


def _judge(layers, features, labels):
    """Tensors by name with the batch last in "hits1" and "hits5", else first."""
    logits = layers(features)
    own = logits[-1]
    scores, classes = tf.math.top_k(tf.nn.softmax(own), min(TOP, own.shape[-1]))
    return {
        "hits1": hits(logits, labels, 1) > 0,
        "hits5": hits(logits, labels, TOP) > 0,
        "losses": tf.nn.sparse_softmax_cross_entropy_with_logits(labels, own),
        "classes": classes,
        "scores": scores,
    }


def run(evaluation, batches, neighbours=None):
    """Tests a trained `LinearEvaluation`.

    Args:
      evaluation: the `LinearEvaluation`.
      batches: iterable of dicts of the test split.
      neighbours: a fitted scikit-learn classifier on features of the evaluation's row,
        or None.

    Returns:
      `Results`.
    """
    judge = functools.partial(_judge, evaluation.layers)
    judge, rows = tf.function(judge, reduce_retracing=True), []
    for batch in batches:
        features = evaluation.look(batch["image"])
        judged = judge(features, batch["label"])
        row = {key: value.numpy() for key, value in judged.items()}
        row["keys"], row["labels"] = batch["key"].numpy(), batch["label"].numpy()
        if neighbours is not None:
            row["neighbours"] = neighbours.predict(features[-1].numpy())
        rows.append(row)

    def joined(name, axis=0):
        return np.concatenate([row[name] for row in rows], axis)

    return Results(
        keys=np.array([key.decode("utf-8", "replace") for key in joined("keys")]),
        labels=joined("labels"),
        hits1=joined("hits1", axis=1),
        hits5=joined("hits5", axis=1),
        cross_entropy=float(joined("losses").mean()),
        classes=joined("classes"),
        scores=joined("scores"),
        neighbours=None if neighbours is None else joined("neighbours"),
    )


def fit_neighbours(evaluation, batches, count):
    """A nearest-neighbour classifier on the features of some training photos.

    Neighbours are the nearest by cosine, and vote by how near they are.

    Args:
      evaluation: the `LinearEvaluation`.
      batches: iterable of dicts of training photos.
      count: of neighbours; all of the photos where these are fewer.

    Returns:
      (a fitted `sklearn.neighbors.KNeighborsClassifier`, photos that it has).
    """
    from sklearn.neighbors import KNeighborsClassifier

    features, labels = [], []
    for batch in batches:
        features.append(evaluation.look(batch["image"])[-1].numpy())
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
