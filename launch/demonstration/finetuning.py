"""Fine-tuning an exported trunk on labelled photos, as its users would with TF-Hub."""

import dataclasses

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from selfsup.data import manifest, pipeline, records
from selfsup.keras import keras

IMAGE_SIZE = 128
BATCH = 16
LEARNING_RATE = 5e-4


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
      losses: mean loss over the first and over the last tenth of the steps.
      accuracy: on the held-out split.
      chance: share of the most frequent class there.
    """

    losses: tuple
    accuracy: float
    chance: float


def finetune(trunk_dir, data_dir, steps):
    """Trains trunk and a linear classifier together on the labels of a built set.

    Args:
      trunk_dir: exported SavedModel.
      data_dir: built set with labels.
      steps: gradient steps.

    Returns:
      a `Result`.
    """
    sets = manifest.find(data_dir)
    classes = len(sets[0].labels)
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            hub.KerasLayer(trunk_dir, trainable=True),
            # Block 3 ends in sums that nothing has normalised (pre-activation units).
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


def _labelled(sets, split):
    source = pipeline.DatasetSplit(sets, split)
    images = pipeline.plain_images(source, IMAGE_SIZE, 1).unbatch()
    labels = pipeline.one_pass(source).map(
        lambda one: records.parse(one, (records.LABEL,))["label"]
    )
    return tf.data.Dataset.zip((images, labels)).cache()
