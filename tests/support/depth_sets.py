"""Writes tiny built sets of photos with depth, through the schema alone."""

import hashlib
import os

import numpy as np
import tensorflow as tf

from selfsup.data import manifest, records

UNIT = 0.001
# Metres of black and of white: in these photos brightness is depth.
NEAR, FAR = 1.0, 5.0


def scene(seed, size):
    """(photo uint8 [H, W, 3], depth float32 [H, W] in metres) of a smooth surface."""
    random = np.random.default_rng(seed)
    coarse = random.random([1, 3, 4, 1]).astype(np.float32)
    surface = tf.image.resize(coarse, size, method="bilinear")[0].numpy()
    photo = np.round(surface * 255).astype(np.uint8).repeat(3, axis=-1)
    return photo, NEAR + surface[..., 0] * (FAR - NEAR)


def write_depth_set(directory, scenes, source="labelled"):
    """A set of one shard a split; its `Manifest`.

    Args:
      directory: to make.
      scenes: {split: [(photo, depth), ...]}; a depth may have another size than its
        photo, and 0 where it is unknown.
      source: of the manifest's options.
    """
    os.makedirs(directory, exist_ok=True)
    shards = []
    for split, pairs in scenes.items():
        name = f"{split}-00000-of-00001.tfrecord"
        path = os.path.join(directory, name)
        with tf.io.TFRecordWriter(path) as writer:
            for number, (photo, depth) in enumerate(pairs):
                writer.write(_record(f"{split}/{number:03d}", photo, depth))
        with open(path, "rb") as file:
            content = file.read()
        digest = hashlib.sha256(content).hexdigest()
        shards.append(manifest.Shard(name, split, len(pairs), len(content), digest))
    made = manifest.Manifest(
        kind=manifest.RGBD,
        features=("image", "depth"),
        shards=tuple(shards),
        options={"source": source},
    )
    manifest.write(made, directory)
    return manifest.read(os.path.join(directory, manifest.FILE_NAME))


def _record(key, photo, depth):
    steps = np.round(depth / UNIT).astype(np.uint16)
    return records.serialize(
        key=key,
        encoded=tf.io.encode_png(photo).numpy(),
        height=photo.shape[0],
        width=photo.shape[1],
        depth=tf.io.encode_png(steps[..., None]).numpy(),
        depth_unit=UNIT,
    )
