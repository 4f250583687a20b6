"""What a world contains."""

from __future__ import annotations

import dataclasses

from data_prep.synthetic import object_classes
from data_prep.synthetic.object_classes import ObjectClass
from selfsup.common.errors import UserError

# The counts of the scales "tiny" and "small".
SCALES = {
    "classes": (8, 12),
    "images_per_class": (60, 400),
    "validation_images_per_class": (20, 50),
    "videos": (16, 80),
    "frames": (36, 48),
    "detection_images": (180, 1200),
    "depth_images": (140, 800),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Everything that determines a world: equal options give equal bytes.

    Attributes:
      seed: seed of all random generators.
      classes: number of classes; the world has the first of `object_classes.CLASSES`.
      images_per_class: training images in each class folder.
      validation_images_per_class: validation images in each class folder.
      videos: number of videos.
      frames: number of frames of each video.
      detection_images: images with boxes in train, val and test together.
      depth_images: images with depth in the training and test split together.
    """

    seed: int
    classes: int
    images_per_class: int
    validation_images_per_class: int
    videos: int
    frames: int
    detection_images: int
    depth_images: int

    @property
    def kinds(self) -> tuple[ObjectClass, ...]:
        """The classes of the world."""
        return object_classes.CLASSES[: self.classes]


def resolve(scale: str = "tiny", seed: int = 0, **counts: int | None) -> Options:
    """Returns the options of a named scale, with some of the counts replaced.

    Args:
      scale: "tiny" or "small".
      seed: 0 or more.
      **counts: counts by their names in `SCALES`; None keeps the scale's count.

    Raises:
      UserError: the seed or a count is out of range.
    """
    values = {name: pair[scale == "small"] for name, pair in SCALES.items()}
    values.update({name: n for name, n in counts.items() if n is not None})
    most = len(object_classes.CLASSES)
    if not 2 <= values["classes"] <= most:
        raise UserError(f"classes={values['classes']}: expected 2 to {most}")
    if seed < 0:
        raise UserError(f"seed={seed}: expected 0 or more")
    if not values["images_per_class"]:
        if counts.get("validation_images_per_class"):
            raise UserError(
                "validation_images_per_class: needs images_per_class above 0, because "
                "validation images without training images are of no use"
            )
        values["validation_images_per_class"] = 0
    for name in ("detection_images", "depth_images"):
        if values[name] in (1, 2):
            raise UserError(
                f"{name}={values[name]}: expected 0 or at least 3, to fill each split"
            )
    for name, value in values.items():
        least = int(name == "frames")
        if value < least:
            raise UserError(f"{name}={value}: expected {least} or more")
    return Options(seed=seed, **values)
