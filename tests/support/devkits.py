"""Small VOC devkits, made on the spot."""

import io
import pathlib
import tarfile

import numpy as np
from PIL import Image

SIZE = (64, 48)
PARTS = ("JPEGImages", "Annotations", "ImageSets/Main")


def jpeg(seed=0, size=SIZE, **options):
    """Bytes of a JPEG of soft random colors; `size` is (width, height)."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def box(xmin, ymin, xmax, ymax):
    return (
        f"<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>"
    )


def object_xml(name, *corners, difficult=0, more=""):
    """An object's XML; `corners` are (xmin, ymin, xmax, ymax)."""
    return (
        f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated>"
        f"<difficult>{difficult}</difficult>{box(*corners)}{more}</object>"
    )


def annotation(*things, size=SIZE):
    """An annotation file's bytes."""
    return (
        "<annotation><folder>VOC2007</folder><filename>1.jpg</filename><size>"
        f"<width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{''.join(things)}</annotation>"
    ).encode()


DOG = object_xml("dog", 3, 5, 10, 20)
# (ymin, xmin, ymax, xmax), as in records.
DOG_BOX = (4, 2, 20, 10)
HARD_CAT = object_xml("cat", 1, 1, *SIZE, difficult=1)


def write(year, images, lists):
    """Writes a year's folder.

    Args:
      year: its path.
      images: {image id: (JPEG bytes or None, annotation bytes or None)}.
      lists: {"train": text or bytes of train.txt}.
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


def write_small(root, lists, images=("a", "b"), year="VOCdevkit/VOC2007"):
    """A year with a dog in each image; returns `root`."""
    content = {
        image: (jpeg(seed), annotation(DOG)) for seed, image in enumerate(images)
    }
    write(root / year, content, lists)
    return root


def pack(devkit, tar, wanted):
    """Packs the files of a devkit for which `wanted(file name)` is true into a tar."""
    devkit = pathlib.Path(devkit)
    with tarfile.open(tar, "w") as archive:
        for path in sorted(devkit.rglob("*")):
            if path.is_dir() or wanted(path.name):
                archive.add(path, path.relative_to(devkit.parent), recursive=False)
