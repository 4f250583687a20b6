"""Writes small VOC devkits."""

from __future__ import annotations

import io
import os
import pathlib
import tarfile
from collections.abc import Mapping, Sequence
from typing import Callable, TypeVar, Union

import numpy as np
from PIL import Image

SIZE = (64, 48)
PARTS = ("JPEGImages", "Annotations", "ImageSets/Main")

_Path = Union[str, "os.PathLike[str]"]
_PathT = TypeVar("_PathT", bound=pathlib.Path)


def jpeg(seed: int = 0, size: tuple[int, int] = SIZE, **options: object) -> bytes:
    """A JPEG file of soft random colors.

    Args:
      seed: seed of the colors.
      size: (width, height).
      **options: more options of Pillow's JPEG writer.
    """
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def box(
    xmin: float | str, ymin: float | str, xmax: float | str, ymax: float | str
) -> str:
    """The XML of a box."""
    return (
        f"<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>"
    )


def object_xml(
    name: str, *corners: float | str, difficult: int | str = 0, more: str = ""
) -> str:
    """The XML of an object.

    Args:
      name: its class.
      *corners: xmin, ymin, xmax, ymax.
      difficult: value of the element.
      more: more XML inside the object.
    """
    return (
        f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated>"
        f"<difficult>{difficult}</difficult>{box(*corners)}{more}</object>"
    )


def annotation(*objects: str, size: tuple[int, int] = SIZE) -> bytes:
    """An annotation file; `size` is (width, height)."""
    return (
        "<annotation><folder>VOC2007</folder><filename>1.jpg</filename><size>"
        f"<width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{''.join(objects)}</annotation>"
    ).encode()


DOG = object_xml("dog", 3, 5, 10, 20)
# (ymin, xmin, ymax, xmax), as in records.
DOG_BOX = (4, 2, 20, 10)
HARD_CAT = object_xml("cat", 1, 1, *SIZE, difficult=1)


def write(
    year: _Path,
    images: Mapping[str, tuple[bytes | None, bytes | None]],
    lists: Mapping[str, str | bytes],
) -> None:
    """Writes the folder of a year.

    Args:
      year: its path.
      images: (JPEG file, annotation file) by image id; None leaves a file out.
      lists: content of the list files by name, such as "train".
    """
    year = pathlib.Path(year)
    for part in PARTS:
        (year / part).mkdir(parents=True)
    for image, (picture, xml) in images.items():
        if picture is not None:
            (year / "JPEGImages" / f"{image}.jpg").write_bytes(picture)
        if xml is not None:
            (year / "Annotations" / f"{image}.xml").write_bytes(xml)
    for name, text in lists.items():
        data = text if isinstance(text, bytes) else text.encode()
        (year / "ImageSets/Main" / f"{name}.txt").write_bytes(data)


def write_small(
    root: _PathT,
    lists: Mapping[str, str | bytes],
    images: Sequence[str] = ("a", "b"),
    year: str = "VOCdevkit/VOC2007",
) -> _PathT:
    """Writes a year with a dog in each image; returns `root`."""
    content = {
        image: (jpeg(seed), annotation(DOG)) for seed, image in enumerate(images)
    }
    write(root / year, content, lists)
    return root


def pack(devkit: _Path, tar: _Path, wanted: Callable[[str], bool]) -> None:
    """Packs the files of a devkit whose name is wanted into a tar file."""
    devkit = pathlib.Path(devkit)
    with tarfile.open(tar, "w") as archive:
        for path in sorted(devkit.rglob("*")):
            if path.is_dir() or wanted(path.name):
                archive.add(path, path.relative_to(devkit.parent), recursive=False)
