"""Writes tiny built sets for tests, with the schema's own functions."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from selfsup.common import files
from selfsup.data import manifest, records


def write_shard(
    directory: str | os.PathLike[str],
    name: str,
    split: str,
    serialized: Sequence[bytes],
) -> manifest.Shard:
    """Writes a TFRecord file of serialized records; returns its manifest entry."""
    path = os.path.join(directory, name)
    with tf.io.TFRecordWriter(path) as writer:
        for record in serialized:
            writer.write(record)
    size, digest = os.path.getsize(path), files.sha256(path)
    return manifest.Shard(name, split, len(serialized), size, digest)


def write_set(
    directory: str,
    shard_sizes: Sequence[int],
    *,
    kind: str = manifest.PHOTOS,
    splits: Sequence[str] | None = None,
    size: tuple[int, int] = (8, 8),
) -> manifest.Manifest:
    """Writes a set of labelled photos, or of video frames with masks.

    Args:
      directory: folder to create.
      shard_sizes: number of records in each shard; keys are "0", "1", ... in order.
      kind: `manifest.PHOTOS` or `manifest.VIDEO_FRAMES`.
      splits: split of each shard; None puts all in "train".
      size: (height, width) of the images.
    """
    os.makedirs(directory, exist_ok=True)
    frames = kind == manifest.VIDEO_FRAMES
    splits = splits or ["train"] * len(shard_sizes)
    shards, key = [], 0
    for number, (count, split) in enumerate(zip(shard_sizes, splits)):
        serialized = [_record(index, size, frames) for index in range(key, key + count)]
        key += count
        name = f"{split}-{number:05d}.tfrecord"
        shards.append(write_shard(directory, name, split, serialized))
    content = manifest.Manifest(
        kind=kind,
        features=("image", "motion_mask") if frames else ("image", "label"),
        shards=tuple(shards),
        labels=() if frames else ("a", "b", "c"),
    )
    manifest.write(content, directory)
    return manifest.find(directory)[0]


def _record(key: int, size: tuple[int, int], frames: bool) -> bytes:
    random = np.random.default_rng(key)
    coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
    image = coarse.resize(size[::-1], Image.Resampling.BICUBIC)
    mask = b""
    if frames:
        cells = image.convert("L").resize((size[1] // 8, size[0] // 8))
        mask = _encode(
            Image.fromarray((np.asarray(cells) > 128).astype(np.uint8)), "PNG"
        )
    return records.serialize(
        key=str(key),
        encoded=_encode(image, "JPEG"),
        height=size[0],
        width=size[1],
        label=key % 3,
        frame=0 if frames else -1,
        motion_mask=mask,
    )


def _encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()
