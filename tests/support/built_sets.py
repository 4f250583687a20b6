"""Writes tiny built sets for tests, through the schema alone."""

import hashlib
import io
import os

import numpy as np
import tensorflow as tf
from PIL import Image

from selfsup.data import manifest, records


def write_set(
    directory, shard_sizes, *, kind=manifest.PHOTOS, splits=None, size=(8, 8)
):
    """A set of shards of the given sizes, keys "0", "1", ... in order; its `Manifest`."""
    os.makedirs(directory, exist_ok=True)
    frames = kind == manifest.VIDEO_FRAMES
    splits = splits or ["train"] * len(shard_sizes)
    shards, key = [], 0
    for number, (count, split) in enumerate(zip(shard_sizes, splits)):
        name = f"{split}-{number:05d}.tfrecord"
        path = os.path.join(directory, name)
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(count):
                writer.write(_record(key, size, frames))
                key += 1
        with open(path, "rb") as file:
            content = file.read()
        digest = hashlib.sha256(content).hexdigest()
        shards.append(manifest.Shard(name, split, count, len(content), digest))
    features = ("image", "motion_mask") if frames else ("image", "label")
    labels = () if frames else ("a", "b", "c")
    made = manifest.Manifest(
        kind=kind, features=features, shards=tuple(shards), labels=labels
    )
    with open(os.path.join(directory, manifest.FILE_NAME), "w") as file:
        file.write(made.to_json())
    return manifest.find(directory)[0]


def _record(key, size, frames):
    random = np.random.default_rng(key)
    coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
    image = coarse.resize(size[::-1], Image.BICUBIC)
    mask = b""
    if frames:
        mask_size = (size[1] // 8, size[0] // 8)
        pixels = (np.asarray(image.convert("L").resize(mask_size)) > 128).astype(
            np.uint8
        )
        mask = _encode(Image.fromarray(pixels), "PNG")
    return records.serialize(
        key=str(key),
        encoded=_encode(image, "JPEG"),
        height=size[0],
        width=size[1],
        label=key % 3,
        frame=0 if frames else -1,
        motion_mask=mask,
    )


def _encode(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()
