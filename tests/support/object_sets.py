"""Tiny built sets with boxes: plain squares of a class's color on noise."""

import dataclasses
import hashlib
import os

import numpy as np
import tensorflow as tf

from selfsup.data import manifest, records

CLASSES = ("red", "green", "blue")
COLORS = np.array([[230, 40, 40], [40, 200, 40], [50, 60, 240]], np.uint8)


@dataclasses.dataclass(frozen=True)
class ColoredBox:
    """An object: (ymin, xmin, ymax, xmax) in pixels, class index, difficult or not."""

    box: tuple
    label: int
    difficult: bool = False


def draw(things, size=(48, 64), seed=0):
    """uint8 [H, W, 3]: gray noise with the things on it."""
    random = np.random.default_rng(seed)
    gray = random.integers(90, 160, (*size, 1), np.uint8)
    image = np.repeat(gray, 3, axis=2)
    for thing in things:
        ymin, xmin, ymax, xmax = thing.box
        image[ymin:ymax, xmin:xmax] = COLORS[thing.label]
    return image


def record(key, things, size=(48, 64)):
    image = draw(things, size)
    return records.serialize(
        key=key,
        encoded=tf.io.encode_png(image).numpy(),
        height=size[0],
        width=size[1],
        boxes=[thing.box for thing in things],
        classes=[thing.label for thing in things],
        difficult=[thing.difficult for thing in things],
    )


def write(directory, splits, *, labels=CLASSES, kind=manifest.OBJECTS, options=None):
    """Writes a set, one shard a split; returns its folder as str.

    Args:
      directory: of the set.
      splits: {split: list of serialized records}.
      labels, kind, options: of the manifest.
    """
    os.makedirs(directory, exist_ok=True)
    shards = []
    for split, serialized in splits.items():
        name = f"{split}-00000.tfrecord"
        path = os.path.join(directory, name)
        with tf.io.TFRecordWriter(path) as writer:
            for one in serialized:
                writer.write(one)
        with open(path, "rb") as file:
            content = file.read()
        digest = hashlib.sha256(content).hexdigest()
        number = len(serialized)
        shards.append(manifest.Shard(name, split, number, len(content), digest))
    made = manifest.Manifest(
        kind=kind,
        features=("image", "boxes"),
        shards=tuple(shards),
        labels=tuple(labels),
        options=options or {},
    )
    manifest.write(made, directory)
    return str(directory)


def scattered(number, prefix, seed=0, size=(48, 64)):
    """Records of images with one or two squares at random places."""
    random = np.random.default_rng(seed)
    made = []
    for index in range(number):
        things = []
        for half in range(random.integers(1, 3)):
            side = int(random.integers(14, 26))
            top = int(random.integers(0, size[0] - side))
            left = half * size[1] // 2 + int(random.integers(0, size[1] // 2 - side))
            box = (top, left, top + side, left + side)
            things.append(ColoredBox(box, int(random.integers(len(CLASSES)))))
        made.append(record(f"V/{prefix}{index}", things, size))
    return made
