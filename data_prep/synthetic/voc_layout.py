"""A VOCdevkit: rooms of objects with their boxes, as PASCAL VOC 2007 lays them out."""

import dataclasses
import os
import pathlib
from xml.etree import ElementTree

import numpy as np

from data_prep.synthetic import encoding, ray_tracing, renderer, shots

FOLDER = os.path.join("VOCdevkit", "VOC2007")
_SETS = ("train", "val", "test")
_SIZES = ((240, 320), (240, 320), (320, 240), (224, 336))
_OBJECTS = (2, 8)
# Visible pixels under which an object is left out.
_SEEN = 16
# Shares of the image and of the object itself under which what is seen of an object is
# difficult, and its least side in pixels.
_TINY = 0.0015
_HIDDEN = 0.25
_NARROW = 8


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What VOC says of an object.

    Attributes:
      name: its class.
      box: (xmin, ymin, xmax, ymax), the visible pixels' extent, from 1, inclusive.
      truncated: whether it reaches beyond the image.
      difficult: whether it is tiny or mostly hidden.
    """

    name: str
    box: tuple
    truncated: bool
    difficult: bool


def folders(options):
    """Folders that `make` writes into."""
    names = ("JPEGImages", "Annotations", os.path.join("ImageSets", "Main"))
    return [os.path.join(FOLDER, name) for name in names if options.detection_images]


def jobs(options):
    """The images to make: (index, 1 picture)."""
    return [(index, 1) for index in range(options.detection_images)]


def set_of(index):
    """The split that an image is in."""
    return _SETS[index % len(_SETS)]


def make(folder, options, index):
    """Writes JPEGImages/000001.jpg and Annotations/000001.xml."""
    random = np.random.default_rng([options.seed, 2, index])
    image, annotations = draw(random, options.classes)
    base = pathlib.Path(folder, FOLDER)
    name = f"{index + 1:06d}"
    (base / "JPEGImages" / f"{name}.jpg").write_bytes(encoding.jpeg(image))
    xml = _xml(f"{name}.jpg", image.shape, annotations)
    (base / "Annotations" / f"{name}.xml").write_bytes(xml)


def draw(random, classes):
    """(uint8 [H, W, 3], list of `Annotation`): at least one is not difficult."""
    while True:
        height, width = _SIZES[random.integers(len(_SIZES))]
        count = int(random.integers(*_OBJECTS))
        scene, camera = shots.room_scene(random, classes, height, width, count)
        rendering = renderer.render(scene, camera)
        annotations = annotate(scene, camera, rendering)
        if not all(one.difficult for one in annotations):
            noise = random.uniform(1.0, 3.0)
            return renderer.photograph(rendering.image, random, noise), annotations


def annotate(scene, camera, rendering):
    """The `Annotation`s of a rendered scene's objects."""
    placed = ray_tracing.place_all(scene, 0.0)
    grid = ray_tracing.Grid(camera.height, camera.width)
    annotations = []
    for index, thing in enumerate(scene.things):
        seen = rendering.thing == index
        if thing.kind is None or seen.sum() < _SEEN:
            continue
        parts = [one for one in placed if one.thing == index]
        whole = ray_tracing.covered(parts, camera, grid).reshape(seen.shape)
        annotations.append(_annotation(thing.kind.name, seen, whole))
    return annotations


def _annotation(name, seen, whole):
    """From what is seen of an object and what it covers: bool [H, W] each."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    box = (columns[0] + 1, rows[0] + 1, columns[-1] + 1, rows[-1] + 1)
    border = (whole[0], whole[-1], whole[:, 0], whole[:, -1])
    tiny = seen.mean() < _TINY or min(len(rows), len(columns)) < _NARROW
    return Annotation(
        name=name,
        box=tuple(int(one) for one in box),
        truncated=any(bool(line.any()) for line in border),
        difficult=bool(tiny or seen.sum() < _HIDDEN * whole.sum()),
    )


def _xml(name, shape, annotations):
    root = ElementTree.Element("annotation")
    _add(root, folder="VOC2007", filename=name)
    source = ElementTree.SubElement(root, "source")
    _add(source, database="Synthetic world", annotation="PASCAL VOC2007", image="none")
    size = ElementTree.SubElement(root, "size")
    _add(size, width=shape[1], height=shape[0], depth=shape[2])
    _add(root, segmented=0)
    for one in annotations:
        item = ElementTree.SubElement(root, "object")
        _add(item, name=one.name, pose="Unspecified")
        _add(item, truncated=int(one.truncated), difficult=int(one.difficult))
        box = ElementTree.SubElement(item, "bndbox")
        _add(box, **dict(zip(("xmin", "ymin", "xmax", "ymax"), one.box)))
    ElementTree.indent(root, "\t")
    return ElementTree.tostring(root) + b"\n"


def _add(parent, **texts):
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = str(text)


def finish(folder, options):
    """Writes the image sets, those of each class among them."""
    if not options.detection_images:
        return
    base = pathlib.Path(folder, FOLDER)
    labels = {}
    for index, _ in jobs(options):
        name = f"{index + 1:06d}"
        labels[name] = _labels(base / "Annotations" / f"{name}.xml")
    members = {one: [] for one in (*_SETS, "trainval")}
    for index, name in enumerate(sorted(labels)):
        members[set_of(index)].append(name)
    members["trainval"] = sorted(members["train"] + members["val"])
    for one, names in members.items():
        main = base / "ImageSets" / "Main"
        text = "".join(f"{name}\n" for name in names)
        (main / f"{one}.txt").write_text(text, "ascii")
        for kind in options.kinds:
            lines = [f"{name} {labels[name].get(kind.name, -1):2d}\n" for name in names]
            (main / f"{kind.name}_{one}.txt").write_text("".join(lines), "ascii")


def _labels(path):
    """{class: 1, or 0 where all of its objects are difficult} of an image."""
    labels = {}
    for item in ElementTree.parse(path).iter("object"):
        name = item.findtext("name")
        easy = int(item.findtext("difficult") == "0")
        labels[name] = max(easy, labels.get(name, 0))
    return labels
