"""Features of photo folders from an exported trunk."""

import io
import os
import sys

import numpy as np
import tensorflow as tf

from data_prep.build.shards import SetAside
from data_prep.sources import photo_conversion, photo_listing
from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.common.png_file import save_png
from selfsup.common.progress import ProgressBar
from selfsup.data import pipeline

_THUMBNAIL = 112
_NEIGHBOURS = 6


def extract(trunk_dir, folder, output, image_size, batch_size):
    """Writes pooled features of all photos below `folder`; see launch.features.

    Returns:
      the number of photos; unreadable ones are reported and left out.

    Raises:
      UserError: for a trunk or a folder that cannot be used.
    """
    trunk = load_trunk(trunk_dir)
    _make_folder(os.path.dirname(os.path.abspath(output)))
    keys = sorted(photo_listing.find_photos(folder, output))
    used, features, batch, names = [], [], [], []

    def run_batch():
        maps = trunk(tf.stack(batch), training=False)
        features.append(tf.reduce_mean(maps, [1, 2]).numpy())
        used.extend(names)
        batch.clear()
        names.clear()

    with ProgressBar("photos", len(keys)) as progress:
        for done, key in enumerate(keys, start=1):
            try:
                batch.append(load_photo(os.path.join(folder, key), image_size))
                names.append(key)
            except (SetAside, OSError) as error:
                print(f"left out: {key}: {error}", file=sys.stderr)
            if len(batch) == batch_size or (batch and done == len(keys)):
                run_batch()
            progress.update(done)
    if not used:
        raise UserError(f"--input={folder}: no readable photo")
    content = io.BytesIO()
    np.savez(content, features=np.concatenate(features), keys=np.array(used))
    files.write_atomically(output, content.getvalue())
    return len(used)


def _make_folder(folder):
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output: {folder} cannot be made: {error}") from error


def load_trunk(directory):
    """Loads a SavedModel that is callable on images.

    Raises:
      UserError: when it is none.
    """
    try:
        loaded = tf.saved_model.load(directory)
    except UnicodeEncodeError:
        raise  # Of its name; `command.run` says so.
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"--trunk={directory}: not a SavedModel: {error}") from error
    if not callable(loaded):
        raise UserError(f"--trunk={directory}: a SavedModel, but not a callable one")
    return loaded


def load_photo(path, size):
    """A photo as float32 [size, size, 3] in [0, 1]: the centre, shorter side resized."""
    with open(path, "rb") as file:
        encoded, _, _ = photo_conversion.encode(file.read())
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return pipeline.centre_crop(image, size)


def nearest(features, count):
    """Indices [N, count] of the nearest other rows by cosine of standardised features.

    Block 3's outputs are sums that no layer has normalised, so channels of large
    variance would decide alone without standardising them.
    """
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import normalize, scale

    rows = normalize(scale(features.astype(np.float64)))
    index = NearestNeighbors(n_neighbors=count + 1).fit(rows)
    found = index.kneighbors(rows, return_distance=False)
    # Of identical photos, the first found need not be the query itself.
    return np.stack([row[row != query][:count] for query, row in enumerate(found)])


def draw_neighbours(features_file, folder, output, queries):
    """Draws evenly spread queries (left) with their nearest neighbours."""
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


def _thumbnail(folder, key):
    pixels = load_photo(os.path.join(folder, key), _THUMBNAIL).numpy() * 255
    return np.pad(
        np.round(pixels).astype(np.uint8), ((2, 2), (2, 2), (0, 0)), constant_values=255
    )
