"""Class folders as ILSVRC has them: a large object with a few others around it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from data_prep.synthetic import jpeg, renderer, still_scenes
from data_prep.synthetic.arrays import UInt8
from data_prep.synthetic.layout import Job, Layout
from data_prep.synthetic.object_classes import ObjectClass
from data_prep.synthetic.options import Options

_FOLDER = "imagenet"
_SPLITS = ("train", "val")
_SIDES = (128, 144, 160)


class ImagenetLayout(Layout):
    """imagenet/train and imagenet/val. Keys: (split, class, index), a job per image."""

    name = "imagenet"

    def folders(self, options: Options) -> list[str]:
        return [
            os.path.join(_FOLDER, split, kind.folder)
            for split, count in zip(_SPLITS, _counts(options))
            for kind in options.kinds
            if count
        ]

    def jobs(self, options: Options) -> list[Job]:
        return [
            Job(self.name, (split, label, index), 1)
            for split, count in enumerate(_counts(options))
            for index in range(count)
            for label in range(options.classes)
        ]

    def make(self, folder: str, options: Options, key: tuple[int, ...]) -> None:
        """Writes imagenet/train/n90000000/n90000000_00000.JPEG."""
        split, label, index = key
        kind = options.kinds[label]
        random = np.random.default_rng([options.seed, 0, *key])
        image = draw_image(random, kind, options.kinds)
        suffix = "_val" if _SPLITS[split] == "val" else ""
        name = f"{kind.folder}{suffix}_{index:05d}.JPEG"
        path = pathlib.Path(folder, _FOLDER, _SPLITS[split], kind.folder, name)
        path.write_bytes(jpeg.encode(image))

    def finish(self, folder: str, options: Options) -> None:
        """Writes the class name of each folder, as the ILSVRC files on Kaggle do."""
        if self.jobs(options):
            lines = [f"{kind.folder} {kind.name}\n" for kind in options.kinds]
            path = pathlib.Path(folder, _FOLDER, "LOC_synset_mapping.txt")
            path.write_text("".join(lines), "utf-8")


def _counts(options: Options) -> tuple[int, int]:
    """Images per class of each split."""
    return options.images_per_class, options.validation_images_per_class


def draw_image(
    random: Generator, kind: ObjectClass, kinds: Sequence[ObjectClass]
) -> UInt8:
    """Draws a picture of an object: uint8 [H, W, 3], sides of 128 to 160 pixels.

    Args:
      random: generator.
      kind: class of the object.
      kinds: classes of the other objects.
    """
    height, width = (int(side) for side in random.choice(_SIDES, size=2))
    scene, camera = still_scenes.portrait_scene(random, kind, kinds, height, width)
    image = renderer.render(scene, camera).image
    return renderer.photograph(image, random, random.uniform(1.0, 4.0))
