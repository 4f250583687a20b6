"""Writes tiny built sets of labelled photos whose classes can be told apart."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from built_sets import write_shard
from PIL import Image

from selfsup.data import manifest, records

CLASSES = ("flat", "across", "down", "checks", "rings", "noise")
SIZE = (56, 64)
_SHARDS = 2


def write(
    directory: str | os.PathLike[str],
    splits: Mapping[str, Sequence[int]],
    classes: Sequence[str] = CLASSES,
    kind: str = manifest.PHOTOS,
) -> str:
    """Writes a set of photos.

    Args:
      directory: folder to create.
      splits: labels of the photos of each split; -1 for a photo without a label.
      classes: names of the labels; () for an unlabelled set.
      kind: kind of the set in its manifest.

    Returns:
      The path of the folder.
    """
    os.makedirs(directory)
    shards = []
    for split, labels in splits.items():
        serialized = [
            _record(f"{split}/{index}.jpg", label) for index, label in enumerate(labels)
        ]
        for number in range(_SHARDS):
            name = f"{split}-{number:05d}.tfrecord"
            share = serialized[number::_SHARDS]
            shards.append(write_shard(directory, name, split, share))
    content = manifest.Manifest(
        kind=kind,
        features=("image", "label") if classes else ("image",),
        shards=tuple(shards),
        labels=tuple(classes),
    )
    manifest.write(content, str(directory))
    return str(directory)


def _record(key: str, label: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(photo(key, label)).save(content, format="JPEG", quality=90)
    height, width = SIZE
    return records.serialize(
        key=key, encoded=content.getvalue(), height=height, width=width, label=label
    )


def photo(key: str, label: int) -> npt.NDArray[np.uint8]:
    """Draws a texture that depends on the label, in colors that depend on the key only.

    Returns:
      uint8 [56, 64, 3].
    """
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
    return (dark + share * (light - dark)).astype(np.uint8)
