"""Draws some records of a data set, with their boxes, masks and depth."""

from __future__ import annotations

import collections
import os
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from data_prep.inspection import set_statistics
from selfsup.common import files
from selfsup.data import records
from selfsup.data.manifest import Manifest
from selfsup.data.records import RawRecord
from selfsup.images import mosaic

# Width and height of a picture, and height of the two lines of text below it.
_CELL = (240, 180)
_TEXT_HEIGHT = 34
_COLUMNS = 4
# Shards are in random order, so the first records of each are a fair sample.
_MAX_POSITION = 64
_GRAY = (110, 110, 110)
_COLORS = (
    (230, 60, 50), (50, 140, 250), (40, 180, 70), (250, 190, 0), (190, 80, 220),
    (0, 190, 190), (250, 120, 0), (150, 200, 0), (250, 100, 170), (140, 110, 80),
)  # fmt: skip


class _Cell(NamedTuple):
    """A picture that fits in `_CELL` and two lines of text."""

    picture: Image.Image
    first_line: str
    second_line: str


def draw(manifest: Manifest, count: int, seed: int = 0) -> npt.NDArray[np.uint8] | None:
    """Draws a random sample of a data set.

    Args:
      manifest: the data set.
      count: largest number of records.
      seed: seed of the random choice.

    Returns:
      uint8 [H, W, 3] RGB; None if no record can be read.
    """
    images = []
    for split, record in _sample(manifest, count, seed):
        images += [_finish(cell) for cell in _cells(manifest, split, record)]
    if not images:
        return None
    # The number of columns is even, so an image and its depth, or the two frames of a
    # pair, are in the same row.
    rows = [images[k : k + _COLUMNS] for k in range(0, len(images), _COLUMNS)]
    return np.asarray(mosaic.grid(rows), np.uint8)


def _sample(manifest: Manifest, count: int, seed: int) -> list[tuple[str, RawRecord]]:
    """Chooses records at random; returns (split, record) in the order of the shards."""
    generator = random.Random(seed)
    shards = [shard for shard in manifest.shards if shard.records]
    weights = [shard.records for shard in shards]
    chosen = generator.choices(shards, weights, k=count) if shards else []
    wanted = collections.Counter(shard.file for shard in chosen)
    sample = []
    for shard in shards:
        reachable = range(min(_MAX_POSITION, shard.records))
        taken = min(wanted[shard.file], len(reachable))
        positions = sorted(generator.sample(reachable, taken))
        path = os.path.join(manifest.directory, shard.file)
        sample += [(shard.split, record) for record in _read(path, positions)]
    return sample


def _read(path: str, positions: Sequence[int]) -> list[RawRecord]:
    """Reads the records of a shard at ascending positions, up to its first damage."""
    import tensorflow as tf

    if not positions:
        return []
    selected = []
    try:
        dataset = tf.data.TFRecordDataset(files.native_path(path))
        for position, serialized in enumerate(dataset.take(positions[-1] + 1)):
            if position in positions:
                selected.append(records.read_raw(serialized.numpy()))
    except (tf.errors.OpError, ValueError):
        pass  # The statistics report the damage; here, the picture is missing.
    return selected


def _cells(manifest: Manifest, split: str, record: RawRecord) -> list[_Cell]:
    """Draws a record: its photo, and its second frame and its depth if it has any."""
    features, image = manifest.features, _decode_image(record["image/encoded"])
    key = files.printable(os.fsdecode(record["image/key"]))
    scale = min(_CELL[0] / image.width, _CELL[1] / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    picture = image.resize(size)
    if records.MOTION_MASK in features:
        picture = _with_mask(picture, record["motion_mask/encoded"])
    if records.BOXES in features:
        _draw_boxes(picture, scale, record, manifest.labels)
    cells = [_Cell(picture, f"{split}: {_end(key, 28)}", _caption(manifest, record))]
    if records.SECOND_FRAME in features:
        second = _decode_image(record["second_frame/encoded"]).resize(size)
        cells.append(_Cell(second, "second", f"frame {record['video/second_frame']}"))
    if records.DEPTH in features:
        cells.append(_depth_cell(record, size))
    return cells


def _decode_image(encoded: bytes) -> Image.Image:
    import tensorflow as tf

    decoded = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return Image.fromarray(decoded.numpy())


def _caption(manifest: Manifest, record: RawRecord) -> str:
    parts = [f"{record['image/width']}x{record['image/height']}"]
    if records.LABEL in manifest.features:
        parts.append(_class_name(manifest.labels, record["image/label"]))
    if record["video/frame"] >= 0:
        parts.append(f"frame {record['video/frame']}")
    if records.BOXES in manifest.features:
        parts.append(f"{len(record['object/class'])} objects")
    return _start("  ".join(parts), 38)


def _class_name(names: Sequence[str], index: int) -> str:
    is_known = 0 <= index < len(names)
    return files.printable(names[index]) if is_known else f"class {index}"


def _start(text: str, length: int) -> str:
    """Cuts `text` to its start, of at most `length` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."


def _end(text: str, length: int) -> str:
    """Cuts `text` to its end, of at most `length` characters."""
    return text if len(text) <= length else "..." + text[3 - length :]


def _with_mask(picture: Image.Image, encoded: bytes) -> Image.Image:
    """Tints the foreground of a mask red and its ignored cells gray."""
    mask = set_statistics.decode_png(encoded)
    large = np.asarray(
        Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST)
    )
    pixels = np.asarray(picture)
    pixels = mosaic.tint(pixels, large == records.MASK_IGNORE, (128, 128, 128), 0.8)
    return Image.fromarray(mosaic.tint(pixels, large == 1, mosaic.WRONG))


def _draw_boxes(
    picture: Image.Image, scale: float, record: RawRecord, names: Sequence[str]
) -> None:
    """Draws boxes and their class names; thin lines and brackets for difficult boxes."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(10)
    boxes = np.reshape(record["object/box"], [-1, 4]) * scale
    for box, index, is_difficult in zip(
        boxes, record["object/class"], record["object/difficult"]
    ):
        top, left, bottom, right = (float(edge) for edge in box)
        color = _COLORS[index % len(_COLORS)]
        corners = [left, top, max(left, right - 1), max(top, bottom - 1)]
        pen.rectangle(corners, outline=color, width=1 if is_difficult else 2)
        name = _class_name(names, index)
        name = f"({name})" if is_difficult else name
        position = left + 2, max(0.0, top)
        pen.rectangle(pen.textbbox(position, name, font=font), fill=color)
        pen.text(position, name, fill=(255, 255, 255), font=font)


def _depth_cell(record: RawRecord, size: tuple[int, int]) -> _Cell:
    """Draws depth from near (yellow) to far (violet), and unknown depth black.

    Args:
      record: the record.
      size: (width, height) of the picture.
    """
    from matplotlib import colormaps

    steps = set_statistics.decode_png(record["depth/encoded"])
    metres = steps * record["depth/unit"]
    known = steps > 0
    near, far = np.percentile(metres[known], [1, 99]) if known.any() else (0.0, 0.0)
    share = (far - metres) / max(far - near, 1e-6)
    colors = colormaps["plasma"](np.clip(share, 0.0, 1.0))[..., :3]
    pixels = mosaic.to_uint8(np.where(known[..., None], colors, 0.0))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    return _Cell(
        picture, f"depth {near:.2f} to {far:.2f} m", f"known: {known.mean():.0%}"
    )


def _finish(cell: _Cell) -> npt.NDArray[np.uint8]:
    """Centres the picture in a cell of the common size, with the text below it."""
    image = Image.new("RGB", (_CELL[0], _CELL[1] + _TEXT_HEIGHT), (255, 255, 255))
    picture = cell.picture
    image.paste(
        picture, ((_CELL[0] - picture.width) // 2, (_CELL[1] - picture.height) // 2)
    )
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for number, line in enumerate((cell.first_line, cell.second_line)):
        pen.text((2, _CELL[1] + 2 + 15 * number), line, fill=_GRAY, font=font)
    return np.asarray(image, np.uint8)
