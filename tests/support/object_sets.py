"""Writes tiny built sets with boxes: rectangles in the color of their class, on noise."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from built_sets import write_shard

from selfsup.data import manifest, records

CLASSES = ("red", "green", "blue")
COLORS = np.array([[230, 40, 40], [40, 200, 40], [50, 60, 240]], np.uint8)


@dataclasses.dataclass(frozen=True)
class ColoredBox:
    """An object.

    Attributes:
      box: (ymin, xmin, ymax, xmax) in pixels.
      label: index of its class.
      difficult: whether it is marked as difficult.
    """

    box: tuple[int, int, int, int]
    label: int
    difficult: bool = False


def draw(
    objects: Sequence[ColoredBox], size: tuple[int, int] = (48, 64), seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Draws the objects on gray noise: uint8 [H, W, 3]."""
    random = np.random.default_rng(seed)
    gray = random.integers(90, 160, (*size, 1), np.uint8)
    image = np.repeat(gray, 3, axis=2)
    for colored in objects:
        ymin, xmin, ymax, xmax = colored.box
        image[ymin:ymax, xmin:xmax] = COLORS[colored.label]
    return image


def record(
    key: str, objects: Sequence[ColoredBox], size: tuple[int, int] = (48, 64)
) -> bytes:
    """A serialized record of an image with the objects."""
    return records.serialize(
        key=key,
        encoded=tf.io.encode_png(draw(objects, size)).numpy(),
        height=size[0],
        width=size[1],
        boxes=[colored.box for colored in objects],
        classes=[colored.label for colored in objects],
        difficult=[colored.difficult for colored in objects],
    )


def write(
    directory: str | os.PathLike[str],
    splits: Mapping[str, Sequence[bytes]],
    *,
    labels: Sequence[str] = CLASSES,
    kind: str = manifest.OBJECTS,
    options: Mapping[str, str] | None = None,
) -> str:
    """Writes a set with a shard for each split; returns its folder.

    Args:
      directory: folder to create.
      splits: serialized records of each split.
      labels: names of the classes in the manifest.
      kind: kind of the set in the manifest.
      options: options of the builder in the manifest.
    """
    os.makedirs(directory, exist_ok=True)
    content = manifest.Manifest(
        kind=kind,
        features=("image", "boxes"),
        shards=tuple(
            write_shard(directory, f"{split}-00000.tfrecord", split, serialized)
            for split, serialized in splits.items()
        ),
        labels=tuple(labels),
        options=dict(options or {}),
    )
    manifest.write(content, str(directory))
    return str(directory)


def scattered(
    number: int, prefix: str, seed: int = 0, size: tuple[int, int] = (48, 64)
) -> list[bytes]:
    """Draws records of images with one or two squares at random places.

    Args:
      number: number of records.
      prefix: prefix of their keys.
      seed: seed of the squares.
      size: (height, width) of the images.
    """
    random = np.random.default_rng(seed)
    serialized = []
    for index in range(number):
        objects = []
        for half in range(random.integers(1, 3)):
            side = int(random.integers(14, 26))
            top = int(random.integers(0, size[0] - side))
            left = half * size[1] // 2 + int(random.integers(0, size[1] // 2 - side))
            box = (top, left, top + side, left + side)
            objects.append(ColoredBox(box, int(random.integers(len(CLASSES)))))
        serialized.append(record(f"V/{prefix}{index}", objects, size))
    return serialized
