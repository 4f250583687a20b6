"""The choice of the training photos whose labels are used, and their copies on disk.

A share of a large set is read many times, and its photos lie scattered over all shards.
They are copied to a small set in the output folder, which is removed at the end.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import complete_pass
from eval.imagenet_linear.dataset import TRAIN, LabelledPhotos
from selfsup.common import files
from selfsup.common.progress import ProgressBar
from selfsup.data import manifest, pipeline, records

FOLDER = "labelled_photos"
_SHARDS, _SHARD_RECORDS = 16, 64
_SCAN_BATCH = 1024


def choose(
    keys: Sequence[bytes], labels: npt.NDArray[np.int64], share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Chooses a share of the photos of each class, and at least one photo.

    The order of a class is that of hashes of the seed and the keys. So the choice depends
    on nothing else, and the photos of a smaller share are among those of a larger share.

    Args:
      keys: keys of N photos.
      labels: int64 [N].
      share: share to choose, in (0, 1].
      seed: seed of the choice.

    Returns:
      bool [N].
    """
    hashes = [hashlib.sha256(b"%d/" % seed + key).digest() for key in keys]
    order = np.array(sorted(range(len(keys)), key=lambda index: hashes[index]), int)
    chosen = np.zeros(len(keys), np.bool_)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        chosen[members[: max(1, round(share * len(members)))]] = True
    return chosen


def read_labels(photos: LabelledPhotos) -> tuple[list[bytes], npt.NDArray[np.int64]]:
    """Reads the keys and labels of all training photos, in file order.

    Raises:
      UserError: for a damaged shard.
    """
    spec = records.feature_spec((records.LABEL,))
    stream = complete_pass.serialized_records(photos.train).batch(_SCAN_BATCH)
    stream = stream.map(lambda batch: tf.io.parse_example(batch, spec))
    keys: list[bytes] = []
    labels = [np.zeros(0, np.int64)]
    with complete_pass.damage_explained(photos.train):
        for batch in stream.prefetch(1).as_numpy_iterator():
            keys.extend(batch["image/key"].tolist())
            labels.append(batch["image/label"])
    return keys, np.concatenate(labels)


def make(
    photos: LabelledPhotos, output: str, shares: Sequence[float], seed: int
) -> list[pipeline.DatasetSplit]:
    """Copies the photos of each share below 1, unless an earlier run has done so.

    Args:
      photos: the labelled photos.
      output: output folder of the evaluation.
      shares: the shares.
      seed: seed of the choice.

    Returns:
      the shards of the training photos of each share.

    Raises:
      UserError: for a damaged shard.
    """
    folders = [os.path.join(output, FOLDER, f"share_{share:g}") for share in shares]
    missing = [
        (folder, share)
        for folder, share in zip(folders, shares)
        if share < 1 and not os.path.exists(os.path.join(folder, manifest.FILE_NAME))
    ]
    if missing:
        keys, labels = read_labels(photos)
        for folder, share in missing:
            _copy(photos, folder, choose(keys, labels, share, seed))
    return [
        pipeline.DatasetSplit(manifest.find(folder), TRAIN)
        if share < 1
        else photos.train
        for folder, share in zip(folders, shares)
    ]


def remove(output: str) -> None:
    """Removes the copies from an output folder."""
    shutil.rmtree(os.path.join(output, FOLDER), ignore_errors=True)


def _copy(photos: LabelledPhotos, folder: str, chosen: npt.NDArray[np.bool_]) -> None:
    """Writes the chosen records, bool [N] in file order, as a built set."""
    os.makedirs(folder, exist_ok=True)
    total = int(chosen.sum())
    shards = min(_SHARDS, -(-total // _SHARD_RECORDS))
    names = [f"train-{number:05d}.tfrecord" for number in range(shards)]
    paths = [os.path.join(folder, name) for name in names]
    writers = [tf.io.TFRecordWriter(path) for path in paths]
    counts, done = [0] * len(names), 0
    stream = complete_pass.serialized_records(photos.train).as_numpy_iterator()
    with (
        complete_pass.damage_explained(photos.train),
        ProgressBar("labelled photos", total) as progress,
    ):
        for serialized, wanted in zip(stream, chosen):
            if wanted:
                writers[done % len(names)].write(serialized)
                counts[done % len(names)] += 1
                done += 1
                progress.update(done)
    for writer in writers:
        writer.close()
    entries = tuple(
        manifest.Shard(name, TRAIN, count, os.path.getsize(path), files.sha256(path))
        for name, path, count in zip(names, paths, counts)
    )
    content = manifest.Manifest(
        kind=manifest.PHOTOS,
        features=(records.IMAGE, records.LABEL),
        shards=entries,
        labels=photos.classes,
    )
    manifest.write(content, folder)
