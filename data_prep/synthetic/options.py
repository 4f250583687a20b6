"""What a world is made of, checked."""

import dataclasses
from typing import Optional

from data_prep.synthetic import objects
from selfsup.common.errors import UserError

# Flag: (tiny, small).
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
    """All that shapes a world: equal options give equal bytes.

    Attributes:
      seed: int.
      classes: how many of `objects.CLASSES` there are, from the first.
      images_per_class, validation_images_per_class: of the class folders.
      videos, frames: how many videos, of how many frames each.
      detection_images: of train, val and test together.
      depth_images: of the training and test split together.
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
    def kinds(self):
        """The world's `ObjectClass`es."""
        return objects.CLASSES[: self.classes]


def resolve(scale="tiny", seed=0, **counts: Optional[int]):
    """Options of a named scale with some of its counts replaced.

    Args:
      scale: "tiny" or "small".
      seed: int, 0 or more.
      **counts: names of `SCALES`; None keeps the scale's.

    Raises:
      UserError: a count that makes no sense.
    """
    values = {name: both[scale == "small"] for name, both in SCALES.items()}
    values.update({name: one for name, one in counts.items() if one is not None})
    most = len(objects.CLASSES)
    if not 2 <= values["classes"] <= most:
        raise UserError(f"--classes={values['classes']}: expected 2 to {most}")
    if seed < 0:
        raise UserError(f"--seed={seed}: expected 0 or more")
    if not values["images_per_class"]:
        if counts.get("validation_images_per_class"):
            raise UserError(
                "--validation_images_per_class: needs --images_per_class, since "
                "class folders for validation alone are of no use"
            )
        values["validation_images_per_class"] = 0
    for name in ("detection_images", "depth_images"):
        if values[name] in (1, 2):
            raise UserError(
                f"--{name}={values[name]}: expected 0, or 3 or more, one for each split"
            )
    for name, value in values.items():
        if value < 0 or (name == "frames" and value < 1):
            raise UserError(f"--{name}={value}: too few")
    return Options(seed=seed, **values)
