"""Converts a photo and its depth image, from folders of such files, to a record."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING

from data_prep.build import inputs
from data_prep.build.inputs import Input
from data_prep.build.shards import Converted, SetAside

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Start of the keys of depth images without a photo. It keeps them distinct from the keys
# of photos, which are paths.
LONE_DEPTH = "depth image: "


def detail(depth_images: str, depth: str) -> str:
    """Returns the `Input.detail` that names a depth image, with the image's state.

    Args:
      depth_images: folder of the depth images.
      depth: path of the depth image in it.
    """
    return json.dumps([depth, inputs.file_state(os.path.join(depth_images, depth))])


@dataclasses.dataclass(frozen=True)
class FolderConverter:
    """Converts a photo and its depth image; a `shards.Converter`.

    Attributes:
      rgb, depth_images, depth_unit, invalid, resize_depth, min_valid: see
        `folder_builder.build_folders`.
    """

    rgb: str
    depth_images: str
    depth_unit: float
    invalid: tuple[int, ...]
    resize_depth: bool
    min_valid: float

    def __call__(self, item: Input) -> Converted:
        """Converts one pair.

        Args:
          item: an `Input` from `folder_listing.list_inputs`.

        Returns:
          `Converted` with one record, and a note if the photo had to be repaired.

        Raises:
          SetAside: the pair cannot be used; the message is the reason.
        """
        from data_prep.sources import photo_conversion
        from data_prep.sources.nyu import depth_encoding
        from selfsup.data import records

        if item.key.startswith(LONE_DEPTH):
            raise SetAside("depth image without a photo of its name")
        if not item.detail:
            raise SetAside("photo without a depth image of its name")
        data = _read(self.rgb, item.key)
        photo = photo_conversion.convert(data, item.key)
        name, _ = json.loads(item.detail)
        depth_data = _read(self.depth_images, name)
        _check_same_orientation(data, depth_data)
        steps = self._depth_steps(depth_data, photo.height, photo.width)
        record = records.serialize(
            key=item.key,
            encoded=photo.encoded,
            height=photo.height,
            width=photo.width,
            depth=depth_encoding.encode_steps(steps, self.min_valid),
            depth_unit=self.depth_unit,
        )
        return Converted([record], photo.note)

    def _depth_steps(
        self, data: bytes, height: int, width: int
    ) -> npt.NDArray[np.uint16]:
        """Decodes a depth image to uint16 [height, width]; 0 is unknown depth."""
        import cv2
        import numpy as np

        from data_prep.sources.nyu import depth_decoding

        steps = depth_decoding.decode(data)
        steps = np.where(np.isin(steps, self.invalid), 0, steps).astype(np.uint16)
        if steps.shape == (height, width):
            return steps
        if not self.resize_depth:
            raise SetAside(
                f"depth image has {steps.shape[1]}x{steps.shape[0]} pixels, the photo "
                f"{width}x{height} (resize_depth brings it to the photo's size)"
            )
        return cv2.resize(steps, (width, height), interpolation=cv2.INTER_NEAREST)


def _check_same_orientation(photo: bytes, depth: bytes) -> None:
    """Sets the pair aside if EXIF turns the photo and the depth image differently.

    A depth image without EXIF data may belong to the stored photo or to the upright
    photo; nothing in the files shows which.
    """
    from data_prep.sources import photo_conversion

    photo_turn = photo_conversion.orientation(photo)
    depth_turn = photo_conversion.orientation(depth)
    if photo_turn != depth_turn:
        raise SetAside(
            f"the photo is rotated by EXIF (orientation {photo_turn}), its depth image "
            f"otherwise (orientation {depth_turn})"
        )


def _read(folder: str, name: str) -> bytes:
    """Reads a file; sets the pair aside if the file is too large for an image."""
    from data_prep.sources import photo_conversion

    limit = photo_conversion.byte_limit(photo_conversion.MAX_PIXELS)
    with open(os.path.join(folder, name), "rb") as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise SetAside(f"{name} has over {limit} bytes: too large")
        return file.read(limit)
