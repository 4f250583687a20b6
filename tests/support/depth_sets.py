"""Writes tiny built sets of photos with depth."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from built_sets import write_shard

from selfsup.data import manifest, records

UNIT = 0.001
# The depth in metres of black and of white: in these photos, brightness is depth.
NEAR, FAR = 1.0, 5.0

# (photo uint8 [H, W, 3], depth float32 [H', W'] in metres, 0 where unknown).
Scene = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]


def scene(seed: int, size: tuple[int, int]) -> Scene:
    """Draws a smooth surface: (photo [H, W, 3], depth [H, W])."""
    random = np.random.default_rng(seed)
    coarse = random.random([1, 3, 4, 1]).astype(np.float32)
    surface = tf.image.resize(coarse, size, method="bilinear")[0].numpy()
    photo = np.round(surface * 255).astype(np.uint8).repeat(3, axis=-1)
    return photo, NEAR + surface[..., 0] * (FAR - NEAR)


def write_depth_set(
    directory: str | os.PathLike[str],
    scenes: Mapping[str, Sequence[Scene]],
    source: str = "labelled",
) -> manifest.Manifest:
    """Writes a set with a shard for each split.

    Args:
      directory: folder to create.
      scenes: the scenes of each split; depth and photo may differ in size.
      source: value of the option "source" in the manifest.
    """
    os.makedirs(directory, exist_ok=True)
    shards = []
    for split, pairs in scenes.items():
        serialized = [
            _record(f"{split}/{number:03d}", *pair) for number, pair in enumerate(pairs)
        ]
        name = f"{split}-00000-of-00001.tfrecord"
        shards.append(write_shard(directory, name, split, serialized))
    content = manifest.Manifest(
        kind=manifest.RGBD,
        features=("image", "depth"),
        shards=tuple(shards),
        options={"source": source},
    )
    manifest.write(content, str(directory))
    return manifest.read(os.path.join(directory, manifest.FILE_NAME))


def _record(
    key: str, photo: npt.NDArray[np.uint8], depth: npt.NDArray[np.float32]
) -> bytes:
    steps = np.round(depth / UNIT).astype(np.uint16)
    return records.serialize(
        key=key,
        encoded=tf.io.encode_png(photo).numpy(),
        height=photo.shape[0],
        width=photo.shape[1],
        depth=tf.io.encode_png(steps[..., None]).numpy(),
        depth_unit=UNIT,
    )
