"""Fine-tunes an exported trunk on labelled photos with TensorFlow Hub, as a user would."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from selfsup.data import manifest, pipeline, records
from selfsup.data.manifest import Manifest
from selfsup.keras import keras

IMAGE_SIZE = 128
BATCH = 16
LEARNING_RATE = 5e-4


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a fine-tuning.

    Attributes:
      losses: mean loss over the first tenth and over the last tenth of the steps.
      accuracy: share of the held-out photos that are classified correctly.
      chance: share of the most frequent class in the held-out photos.
    """

    losses: tuple[float, float]
    accuracy: float
    chance: float


def finetune(trunk_dir: str, data_dir: str, steps: int) -> Result:
    """Trains the trunk and a linear classifier together on labelled photos.

    Args:
      trunk_dir: folder of the exported trunk.
      data_dir: folder of a built data set with labels.
      steps: number of gradient steps.
    """
    sets = manifest.find(data_dir)
    classes = len(sets[0].labels)
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            hub.KerasLayer(trunk_dir, trainable=True),
            # The outputs of block 3 are sums that no layer has normalised.
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes),
        ]
    )
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    batches = _labelled(sets, "train").shuffle(1024, seed=1).repeat().batch(BATCH)
    losses = [model.train_on_batch(*batch) for batch in batches.take(steps)]
    held_out = _labelled(sets, "validation").batch(BATCH)
    labels = np.concatenate([labels for _, labels in held_out])
    predicted = np.argmax(model.predict(held_out, verbose=0), axis=-1)
    tenth = max(1, steps // 10)
    return Result(
        losses=(float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))),
        accuracy=float(np.mean(predicted == labels)),
        chance=float(np.bincount(labels).max() / len(labels)),
    )


def _labelled(sets: Sequence[Manifest], split: str) -> tf.data.Dataset:
    """Pairs of a photo, float32 [size, size, 3] in [0, 1], and its label."""
    source = pipeline.DatasetSplit(sets, split)
    images = pipeline.plain_images(source, IMAGE_SIZE, 1).unbatch()
    labels = pipeline.one_pass(source).map(
        lambda record: records.parse(record, (records.LABEL,))["label"]
    )
    return tf.data.Dataset.zip((images, labels)).cache()
