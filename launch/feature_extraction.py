"""Extracts features of photos with an exported trunk, and draws nearest neighbours."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from typing import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data_prep.build.shards import SetAside
from data_prep.sources import photo_conversion, photo_listing
from selfsup.common import files
from selfsup.common.errors import SettingError, error_reason
from selfsup.common.png_file import save_png
from selfsup.common.progress import ProgressBar
from selfsup.data import pipeline

_THUMBNAIL = 112
_NEIGHBOURS = 6


def extract(
    trunk_dir: str, folder: str, output: str, image_size: int, batch_size: int
) -> int:
    """Writes pooled features of all photos in a folder; see launch.features.

    Unreadable photos are reported on stderr and left out.

    Args:
      trunk_dir: folder of the exported trunk.
      folder: folder of photos, including subfolders.
      output: path of the .npz file to write.
      image_size: side in pixels of the crops.
      batch_size: photos in a batch.

    Returns:
      the number of photos in the file.

    Raises:
      UserError: if the trunk cannot be used or if the folder has no readable photo.
    """
    trunk = load_trunk(trunk_dir)
    _make_folder(os.path.dirname(os.path.abspath(output)))
    keys: list[str] = []
    features: list[npt.NDArray[np.float32]] = []
    for batch in _batches(folder, output, image_size, batch_size):
        maps = trunk(tf.stack([image for _, image in batch]), training=False)
        features.append(tf.reduce_mean(maps, [1, 2]).numpy())
        keys.extend(key for key, _ in batch)
    if not keys:
        raise SettingError(f"input={folder}", "no readable photo")
    content = io.BytesIO()
    np.savez(content, features=np.concatenate(features), keys=np.array(keys))
    files.write_atomically(output, content.getvalue())
    return len(keys)


def _batches(
    folder: str, output: str, image_size: int, batch_size: int
) -> Iterator[list[tuple[str, tf.Tensor]]]:
    """Yields batches of (path in the folder, photo), and displays the progress."""
    batch = []
    keys = sorted(photo_listing.find_photos(folder, output))
    with ProgressBar("photos", len(keys)) as progress:
        for done, key in enumerate(keys, start=1):
            try:
                batch.append((key, load_photo(os.path.join(folder, key), image_size)))
            except (SetAside, OSError) as error:
                print(f"left out: {key}: {error}", file=sys.stderr)
            if len(batch) == batch_size or (batch and done == len(keys)):
                yield batch
                batch = []
            progress.update(done)


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise SettingError(
            "output", f"{folder} cannot be created: {error_reason(error)}"
        ) from error


def load_trunk(directory: str) -> Callable[..., tf.Tensor]:
    """Loads a SavedModel that can be called on images.

    Raises:
      UserError: if the folder holds no such SavedModel.
    """
    try:
        loaded = tf.saved_model.load(directory)
    except UnicodeEncodeError:
        raise  # About the name of the folder; `command.run` explains it.
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise SettingError(
            f"trunk={directory}", f"not a SavedModel: {error}"
        ) from error
    if not callable(loaded):
        raise SettingError(f"trunk={directory}", "this SavedModel cannot be called")
    return loaded


def load_photo(path: str, size: int) -> tf.Tensor:
    """Loads the centre of a photo, its shorter side resized to `size` pixels.

    Returns:
      float32 [size, size, 3] in [0, 1].

    Raises:
      SetAside: if the file cannot be decoded as a photo.
      OSError: if the file cannot be read.
    """
    with open(path, "rb") as file:
        encoded, _, _ = photo_conversion.encode(file.read())
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return pipeline.centre_crop(image, size)


def nearest(features: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """Finds the nearest other rows, by the cosine of standardised features.

    The outputs of a ResNet are sums that no layer has normalised. Without
    standardising them, the channels of large variance would decide.

    Args:
      features: [N, C].
      count: number of neighbours, less than N.

    Returns:
      indices of rows [N, count], the nearest first.
    """
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import normalize, scale

    rows = normalize(scale(features.astype(np.float64)))
    index = NearestNeighbors(n_neighbors=count + 1).fit(rows)
    neighbours = index.kneighbors(rows, return_distance=False)
    # If photos are identical, the first neighbour need not be the query itself.
    return np.stack([row[row != query][:count] for query, row in enumerate(neighbours)])


def draw_neighbours(features_file: str, folder: str, output: str, queries: int) -> None:
    """Draws evenly spaced queries, on the left, with their nearest neighbours.

    Args:
      features_file: file written by `extract`.
      folder: the folder of photos.
      output: path of the PNG file to write.
      queries: number of queries.
    """
    with np.load(features_file) as stored:
        features, keys = stored["features"], stored["keys"]
    neighbours = nearest(features, min(_NEIGHBOURS, len(keys) - 1))
    picked = np.unique(np.linspace(0, len(keys) - 1, queries).astype(int))
    rows = [
        np.concatenate(
            [_thumbnail(folder, keys[index]) for index in (query, *neighbours[query])],
            axis=1,
        )
        for query in picked
    ]
    save_png(output, np.concatenate(rows))


def _thumbnail(folder: str, key: str) -> npt.NDArray[np.uint8]:
    pixels = load_photo(os.path.join(folder, key), _THUMBNAIL).numpy() * 255
    return np.pad(
        np.round(pixels).astype(np.uint8), ((2, 2), (2, 2), (0, 0)), constant_values=255
    )
