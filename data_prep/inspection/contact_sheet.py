"""A picture of some records of a built set, with all that they hold drawn in."""

import os
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep.inspection import set_statistics
from selfsup.common import files
from selfsup.data import records
from selfsup.images import mosaic

_CELL = (240, 180)  # Width and height of a picture; its text lies below.
_TEXT_HEIGHT = 34
_COLUMNS = 4
# Shards are in random order inside, so the first of each are a fair sample.
_FIRST = 64
_GRAY = (110, 110, 110)
_COLORS = (
    *((230, 60, 50), (50, 140, 250), (40, 180, 70), (250, 190, 0), (190, 80, 220)),
    *((0, 190, 190), (250, 120, 0), (150, 200, 0), (250, 100, 170), (140, 110, 80)),
)


def draw(manifest, count, seed=0):
    """Draws a random sample of a set.

    Args:
      manifest: the set's `Manifest`.
      count: records, at most.
      seed: another seed, another sample.

    Returns:
      uint8 [H, W, 3]; None where no record can be read.
    """
    cells = []
    for split, values in _sample(manifest, count, seed):
        cells += [_finish(*cell) for cell in _cells(manifest, split, values)]
    if not cells:
        return None
    # Depth lies beside its photo, so pairs stay in one row.
    rows = [cells[first : first + _COLUMNS] for first in range(0, len(cells), _COLUMNS)]
    return mosaic.grid(rows)


def _sample(manifest, count, seed):
    """[(split, `records.RawRecord`), ...] of random records, in the order of the shards."""
    chooser = random.Random(seed)
    shards = [shard for shard in manifest.shards if shard.records]
    weights = [shard.records for shard in shards]
    wanted = {}
    for shard in chooser.choices(shards, weights, k=count) if shards else []:
        wanted[shard.file] = wanted.get(shard.file, 0) + 1
    sample = []
    for shard in shards:
        reachable = range(min(_FIRST, shard.records))
        taken = min(wanted.get(shard.file, 0), len(reachable))
        places = sorted(chooser.sample(reachable, taken))
        path = os.path.join(manifest.directory, shard.file)
        sample += [(shard.split, values) for values in _read(path, places)]
    return sample


def _read(path, places):
    """The readable `records.RawRecord`s of a shard at `places`, which ascend."""
    import tensorflow as tf

    if not places:
        return []
    found = []
    try:
        stream = tf.data.TFRecordDataset(files.native_path(path)).take(places[-1] + 1)
        for place, serialized in enumerate(stream):
            if place in places:
                found.append(records.read_raw(serialized.numpy()))
    except (tf.errors.OpError, ValueError):
        pass  # Statistics and --verify tell of damage; here it is a picture less.
    return found


def _cells(manifest, split, values):
    """[(picture, line, line), ...] of a record."""
    features, image = manifest.features, _image(values["image/encoded"])
    key = files.printable(os.fsdecode(values["image/key"]))
    lines = [f"{split}: {_tail(key, 28)}", _caption(manifest, values)]
    scale = min(_CELL[0] / image.width, _CELL[1] / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    picture = image.resize(size)
    if records.MOTION_MASK in features:
        picture = _with_mask(picture, values["motion_mask/encoded"])
    if records.BOXES in features:
        _draw_boxes(picture, scale, values, manifest.labels)
    cells = [(picture, *lines)]
    if records.DEPTH in features:
        cells.append(_depth_cell(values, size))
    return cells


def _image(encoded):
    import tensorflow as tf

    decoded = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return Image.fromarray(decoded.numpy())


def _caption(manifest, values):
    parts = [f"{values['image/width']}x{values['image/height']}"]
    label = values["image/label"]
    if records.LABEL in manifest.features:
        parts.append(_class_name(manifest.labels, label))
    if values["video/frame"] >= 0:
        parts.append(f"frame {values['video/frame']}")
    if records.BOXES in manifest.features:
        parts.append(f"{len(values['object/class'])} objects")
    return _tail("  ".join(parts), 38, keep_start=True)


def _class_name(labels, index):
    known = 0 <= index < len(labels)
    return files.printable(labels[index]) if known else f"class {index}"


def _tail(text, length, keep_start=False):
    """`text` cut to `length`, as a rule to its end, which tells files apart."""
    if len(text) <= length:
        return text
    return text[: length - 3] + "..." if keep_start else "..." + text[3 - length :]


def _with_mask(picture, encoded):
    """Foreground red, what is ignored gray."""
    mask = set_statistics.decode_png(encoded)
    large = np.asarray(Image.fromarray(mask).resize(picture.size, Image.NEAREST))
    pixels = np.asarray(picture)
    pixels = mosaic.tint(pixels, large == records.MASK_IGNORE, (128, 128, 128), 0.8)
    return Image.fromarray(mosaic.tint(pixels, large == 1, mosaic.WRONG))


def _draw_boxes(picture, scale, values, labels):
    """A frame and a name for each box; thin and in brackets where it is difficult."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(10)
    edges = np.reshape(values["object/box"], [-1, 4]) * scale
    for box, index, difficult in zip(
        edges, values["object/class"], values["object/difficult"]
    ):
        top, left, bottom, right = (float(edge) for edge in box)
        color = _COLORS[index % len(_COLORS)]
        corners = [left, top, max(left, right - 1), max(top, bottom - 1)]
        pen.rectangle(corners, outline=color, width=1 if difficult else 2)
        name = _class_name(labels, index)
        name = f"({name})" if difficult else name
        place = left + 2, max(0.0, top)
        pen.rectangle(pen.textbbox(place, name, font=font), fill=color)
        pen.text(place, name, fill=(255, 255, 255), font=font)


def _depth_cell(values, size):
    """Depth from near (yellow) to far (violet), unknown black."""
    from matplotlib import colormaps

    steps = set_statistics.decode_png(values["depth/encoded"])
    metres = steps * values["depth/unit"]
    known = steps > 0
    if not known.any():
        near = far = 0.0
    else:
        near, far = np.percentile(metres[known], [1, 99])
    share = (far - metres) / max(far - near, 1e-6)
    colors = colormaps["plasma"](np.clip(share, 0.0, 1.0))[..., :3]
    picture = mosaic.to_uint8(np.where(known[..., None], colors, 0.0))
    picture = Image.fromarray(picture).resize(size, Image.NEAREST)
    return picture, f"depth {near:.2f} to {far:.2f} m", f"known: {known.mean():.0%}"


def _finish(picture, *lines):
    """The picture in the middle of a cell of the common size, lines below it."""
    cell = Image.new("RGB", (_CELL[0], _CELL[1] + _TEXT_HEIGHT), (255, 255, 255))
    place = (_CELL[0] - picture.width) // 2, (_CELL[1] - picture.height) // 2
    cell.paste(picture, place)
    pen, font = ImageDraw.Draw(cell), ImageFont.load_default(12)
    for number, line in enumerate(lines):
        pen.text((2, _CELL[1] + 2 + 15 * number), line, fill=_GRAY, font=font)
    return np.asarray(cell)
