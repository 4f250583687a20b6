"""A VOCdevkit: images of rooms with boxes of the objects, as in PASCAL VOC 2007."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
from numpy.random import Generator

from data_prep.synthetic import jpeg, ray_tracing, renderer, still_scenes
from data_prep.synthetic.arrays import Bool, UInt8
from data_prep.synthetic.layout import Job, Layout
from data_prep.synthetic.object_classes import ObjectClass
from data_prep.synthetic.options import Options
from data_prep.synthetic.renderer import Rendering
from data_prep.synthetic.scene import Camera, Scene

_FOLDER = os.path.join("VOCdevkit", "VOC2007")
_MAIN = os.path.join("ImageSets", "Main")
_SPLITS = ("train", "val", "test")
_SIZES = ((240, 320), (240, 320), (320, 240), (224, 336))
_OBJECTS = (2, 8)
# Objects with fewer visible pixels are not annotated.
_MIN_PIXELS = 16
# An object is difficult if its visible pixels are a smaller share of the image or of
# its own pixels, or if its box has a shorter side in pixels.
_MIN_IMAGE_SHARE = 0.0015
_MIN_VISIBLE_SHARE = 0.25
_MIN_SIDE = 8


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The annotation of an object.

    Attributes:
      name: its class.
      box: (xmin, ymin, xmax, ymax) of its visible pixels, from 1, inclusive.
      truncated: whether it reaches the border of the image.
      difficult: whether it is tiny or mostly hidden.
    """

    name: str
    box: tuple[int, int, int, int]
    truncated: bool
    difficult: bool


class VocLayout(Layout):
    """VOCdevkit/VOC2007. Keys: (index,), a job per image."""

    name = "VOCdevkit"

    def folders(self, options: Options) -> list[str]:
        names = ("JPEGImages", "Annotations", _MAIN)
        return [
            os.path.join(_FOLDER, name) for name in names if options.detection_images
        ]

    def jobs(self, options: Options) -> list[Job]:
        return [Job(self.name, (i,), 1) for i in range(options.detection_images)]

    def make(self, folder: str, options: Options, key: tuple[int, ...]) -> None:
        """Writes JPEGImages/000001.jpg and Annotations/000001.xml."""
        random = np.random.default_rng([options.seed, 2, *key])
        image, annotations = draw_image(random, options.kinds)
        base = pathlib.Path(folder, _FOLDER)
        name = _image_id(*key)
        (base / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg.encode(image))
        xml = _xml(f"{name}.jpg", image.shape, annotations)
        (base / "Annotations" / f"{name}.xml").write_bytes(xml)

    def finish(self, folder: str, options: Options) -> None:
        """Writes the image sets, in general and for each class."""
        if not options.detection_images:
            return
        base = pathlib.Path(folder, _FOLDER)
        names = [_image_id(*job.key) for job in self.jobs(options)]
        labels = {name: _labels(base / "Annotations" / f"{name}.xml") for name in names}
        members = {
            split: names[number :: len(_SPLITS)] for number, split in enumerate(_SPLITS)
        }
        members["trainval"] = sorted(members["train"] + members["val"])
        for split, images in members.items():
            text = "".join(f"{name}\n" for name in images)
            (base / _MAIN / f"{split}.txt").write_text(text, "ascii")
            for kind in options.kinds:
                lines = [
                    f"{name} {labels[name].get(kind.name, -1):2d}" for name in images
                ]
                path = base / _MAIN / f"{kind.name}_{split}.txt"
                path.write_text("".join(f"{line}\n" for line in lines), "ascii")


def _image_id(index: int) -> str:
    return f"{index + 1:06d}"


def draw_image(
    random: Generator, kinds: Sequence[ObjectClass]
) -> tuple[UInt8, list[Annotation]]:
    """Draws an image of a room, with at least one object that is not difficult.

    Args:
      random: generator.
      kinds: classes of the objects.

    Returns:
      (uint8 [H, W, 3], annotations).
    """
    while True:
        height, width = _SIZES[random.integers(len(_SIZES))]
        count = int(random.integers(*_OBJECTS))
        scene, camera = still_scenes.room_scene(random, kinds, height, width, count)
        rendering = renderer.render(scene, camera)
        annotations = annotate(scene, camera, rendering)
        if not all(annotation.difficult for annotation in annotations):
            noise = random.uniform(1.0, 3.0)
            return renderer.photograph(rendering.image, random, noise), annotations


def annotate(scene: Scene, camera: Camera, rendering: Rendering) -> list[Annotation]:
    """Returns the annotations of the objects in a rendered scene at rest."""
    placed = ray_tracing.place_parts(scene, 0.0)
    grid = ray_tracing.PixelGrid(camera.height, camera.width)
    rays = ray_tracing.Rays(camera, grid)
    annotations = []
    for index, scene_object in enumerate(scene.objects):
        visible = rendering.object_index == index
        if scene_object.kind is None or visible.sum() < _MIN_PIXELS:
            continue
        parts = [part for part in placed if part.object_index == index]
        whole = ray_tracing.covered(parts, rays).reshape(visible.shape)
        annotations.append(_annotation(scene_object.kind.name, visible, whole))
    return annotations


def _annotation(name: str, visible: Bool, whole: Bool) -> Annotation:
    """Describes an object.

    Args:
      name: its class.
      visible: bool [H, W], its visible pixels.
      whole: bool [H, W], its pixels, visible or hidden.
    """
    rows = np.flatnonzero(visible.any(axis=1))
    columns = np.flatnonzero(visible.any(axis=0))
    border = (whole[0], whole[-1], whole[:, 0], whole[:, -1])
    tiny = visible.mean() < _MIN_IMAGE_SHARE
    narrow = min(len(rows), len(columns)) < _MIN_SIDE
    hidden = visible.sum() < _MIN_VISIBLE_SHARE * whole.sum()
    return Annotation(
        name=name,
        box=(
            int(columns[0]) + 1,
            int(rows[0]) + 1,
            int(columns[-1]) + 1,
            int(rows[-1]) + 1,
        ),
        truncated=any(bool(line.any()) for line in border),
        difficult=bool(tiny or narrow or hidden),
    )


def _xml(name: str, shape: tuple[int, ...], annotations: list[Annotation]) -> bytes:
    """The annotation file of an image of `shape` [H, W, 3]."""
    root = ElementTree.Element("annotation")
    _add(root, folder="VOC2007", filename=name)
    source = ElementTree.SubElement(root, "source")
    _add(source, database="Synthetic world", annotation="PASCAL VOC2007", image="none")
    size = ElementTree.SubElement(root, "size")
    _add(size, width=shape[1], height=shape[0], depth=shape[2])
    _add(root, segmented=0)
    for annotation in annotations:
        item = ElementTree.SubElement(root, "object")
        _add(item, name=annotation.name, pose="Unspecified")
        _add(item, truncated=int(annotation.truncated))
        _add(item, difficult=int(annotation.difficult))
        box = ElementTree.SubElement(item, "bndbox")
        _add(box, **dict(zip(("xmin", "ymin", "xmax", "ymax"), annotation.box)))
    ElementTree.indent(root, "\t")
    return ElementTree.tostring(root) + b"\n"


def _add(parent: ElementTree.Element, **texts: str | int) -> None:
    """Appends an element for each name with the value as text."""
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = str(text)


def _labels(path: pathlib.Path) -> dict[str, int]:
    """Reads the classes in an image: 1, or 0 if all objects of it are difficult."""
    labels: dict[str, int] = {}
    for item in ElementTree.parse(path).iter("object"):
        name = item.findtext("name", "")
        easy = int(item.findtext("difficult") == "0")
        labels[name] = max(easy, labels.get(name, 0))
    return labels
