"""Class folders as ILSVRC has them: one object large, others behind and beside it."""

import os
import pathlib

import numpy as np

from data_prep.synthetic import encoding, objects, renderer, shots

FOLDER = "imagenet"
_SIDES = (128, 144, 160)


def folders(options):
    """Folders that `make` writes into."""
    return [
        os.path.join(FOLDER, split, kind.folder)
        for split, count in _counts(options).items()
        for kind in options.kinds
        if count
    ]


def jobs(options):
    """The images to make: ((split, class index, image index), 1 picture)."""
    return [
        ((split, label, index), 1)
        for split, count in _counts(options).items()
        for index in range(count)
        for label in range(options.classes)
    ]


def _counts(options):
    return {
        "train": options.images_per_class,
        "val": options.validation_images_per_class,
    }


def make(folder, options, job):
    """Writes imagenet/train/n90000000/n90000000_00000.JPEG."""
    split, label, index = job
    kind = objects.CLASSES[label]
    random = np.random.default_rng([options.seed, 0, split == "val", label, index])
    image = draw(random, kind, options.classes)
    marked = "_val" if split == "val" else ""
    name = f"{kind.folder}{marked}_{index:05d}.JPEG"
    path = pathlib.Path(folder, FOLDER, split, kind.folder, name)
    path.write_bytes(encoding.jpeg(image))


def draw(random, kind, classes):
    """A picture of an object of a class: uint8 [H, W, 3], sides of 128 to 160."""
    height, width = (int(side) for side in random.choice(_SIDES, size=2))
    scene, camera = shots.portrait_scene(random, kind, classes, height, width)
    image = renderer.render(scene, camera).image
    return renderer.photograph(image, random, random.uniform(1.0, 4.0))


def finish(folder, options):
    """Writes which class each folder is, as ILSVRC does on Kaggle."""
    if jobs(options):
        lines = [f"{kind.folder} {kind.name}\n" for kind in options.kinds]
        path = pathlib.Path(folder, FOLDER, "LOC_synset_mapping.txt")
        path.write_text("".join(lines), "utf-8")
