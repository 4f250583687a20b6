"""Converts a depth frame of the raw distribution, and its photo, to a record."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from data_prep.build import inputs
from data_prep.build.inputs import Input
from data_prep.build.shards import SetAside

_Scalar = TypeVar("_Scalar", np.uint8, np.uint16)

JPEG_QUALITY = 95
# Over four times the size of a frame.
_MAX_BYTES = 4 << 20


def detail(folder: str, photo: str) -> str:
    """Returns the `Input.detail` that names a frame's photo, with the photo's state.

    Args:
      folder: the scene's folder.
      photo: name of the photo in it.
    """
    return json.dumps([photo, inputs.file_state(os.path.join(folder, photo))])


@dataclasses.dataclass(frozen=True)
class RawConverter:
    """Converts a depth frame and its photo; a `shards.Converter`.

    Attributes:
      directory: the input folder.
      min_valid: share of the pixels whose depth must be known.
    """

    directory: str
    min_valid: float

    def __call__(self, item: Input) -> list[bytes]:
        """Converts one frame.

        Args:
          item: an `Input` whose key is the depth frame's path relative to `directory`,
            and whose detail was made by `detail`.

        Returns:
          a list of one serialized record.

        Raises:
          SetAside: the frame cannot be used; the message is the reason.
        """
        import cv2

        from data_prep.sources.image_encoding import encode_image
        from data_prep.sources.nyu import depth_encoding, kinect
        from selfsup.data import records

        # There is already one worker process per CPU.
        cv2.setNumThreads(1)
        path = os.path.join(self.directory, item.key)
        disparity = _read(path, (kinect.HEIGHT, kinect.WIDTH), np.uint16)
        name, _ = json.loads(item.detail)
        photo_path = os.path.join(os.path.dirname(path), name)
        photo = _read(photo_path, (kinect.HEIGHT, kinect.WIDTH, 3), np.uint8)
        # PGM files have the high byte first, but the sensor's values were written with
        # the low byte first.
        depth = kinect.project_depth(kinect.disparity_to_metres(disparity.byteswap()))
        # Points at the largest depth may be further away: their depth is unknown.
        depth[depth >= kinect.MAX_DEPTH] = 0
        png, unit = depth_encoding.encode_metres(depth, self.min_valid)
        photo = kinect.undistort_photo(photo)
        # Colorization learns from color, so the chroma channels keep full resolution.
        options = [
            cv2.IMWRITE_JPEG_QUALITY,
            JPEG_QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
        record = records.serialize(
            key=item.key,
            encoded=encode_image(
                ".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), options
            ),
            height=kinect.HEIGHT,
            width=kinect.WIDTH,
            depth=png,
            depth_unit=unit,
        )
        return [record]


def _read(
    path: str, shape: tuple[int, ...], dtype: type[_Scalar]
) -> npt.NDArray[_Scalar]:
    """Reads a PNM file, which must have this shape and type."""
    from data_prep.sources.nyu import pnm

    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            values = pnm.decode(file.read(_MAX_BYTES))
    except SetAside as error:
        raise SetAside(f"{name}: {error}") from error
    if values.shape != shape or values.dtype != dtype:
        raise SetAside(
            f"{name}: is {values.dtype} {values.shape}, expected "
            f"{np.dtype(dtype)} {shape}"
        )
    return values.astype(dtype, copy=False)
