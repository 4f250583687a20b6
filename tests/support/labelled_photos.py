"""Writes tiny labelled sets whose classes can be told apart, through the schema alone."""

import hashlib
import io
import os

import numpy as np
import tensorflow as tf
from PIL import Image

from selfsup.data import manifest, records

CLASSES = ("flat", "across", "down", "checks", "rings", "noise")
SIZE = (56, 64)


def write(directory, splits, classes=CLASSES, kind=manifest.PHOTOS):
    """A set of photos.

    Args:
      directory: to make.
      splits: {split: label of each photo}; -1 for none.
      classes: names of the labels; () for an unlabelled set.
      kind: of the manifest.

    Returns:
      its path as a str.
    """
    os.makedirs(directory)
    shards = []
    for split, labels in splits.items():
        for number in range(2):
            shards.append(_shard(directory, split, number, labels))
    made = manifest.Manifest(
        kind=kind,
        features=("image", "label") if classes else ("image",),
        shards=tuple(shards),
        labels=tuple(classes),
    )
    manifest.write(made, directory)
    return str(directory)


def _shard(directory, split, number, labels):
    name = f"{split}-{number:05d}.tfrecord"
    path = os.path.join(directory, name)
    indices = range(number, len(labels), 2)
    with tf.io.TFRecordWriter(path) as writer:
        for index in indices:
            writer.write(_record(f"{split}/{index}.jpg", labels[index]))
    with open(path, "rb") as file:
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    return manifest.Shard(name, split, len(indices), len(content), digest)


def _record(key, label):
    content = io.BytesIO()
    Image.fromarray(photo(key, label)).save(content, format="JPEG", quality=90)
    height, width = SIZE
    return records.serialize(
        key=key, encoded=content.getvalue(), height=height, width=width, label=label
    )


def photo(key, label):
    """A texture that depends on the label, in colours that do not: uint8 [56, 64, 3]."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little")
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + random.integers(0, 16, (2, 1, 1))
    radius = np.hypot(y - 36, x - 40)
    textures = (
        np.zeros(SIZE),
        y // 4 % 2,
        x // 4 % 2,
        (x // 8 + y // 8) % 2,
        radius // 5 % 2,
        random.random(SIZE),
    )
    share = textures[label][..., None]
    dark, light = random.integers(0, 110, 3), random.integers(145, 256, 3)
    return np.uint8(dark + share * (light - dark))
