"""Converts a frame of the labelled set to a record."""

from __future__ import annotations

import dataclasses

from data_prep.build.inputs import Input

FILLED, RAW = "filled", "raw"
# Names of the arrays in the .mat file, by kind of depth.
DEPTH_ARRAYS = {FILLED: "depths", RAW: "rawDepths"}


@dataclasses.dataclass(frozen=True)
class LabelledConverter:
    """Converts a frame of the .mat file; a `shards.Converter`.

    Attributes:
      path: the .mat file.
      depth: "filled" or "raw".
      min_valid: share of the pixels whose depth must be known.
    """

    path: str
    depth: str
    min_valid: float

    def __call__(self, item: Input) -> list[bytes]:
        """Converts one frame.

        Args:
          item: an `Input` whose detail is the index of the frame, from 0.

        Returns:
          a list of one serialized record.

        Raises:
          SetAside: the frame cannot be used; the message is the reason.
        """
        import cv2

        from data_prep.sources.image_encoding import encode_image
        from data_prep.sources.nyu import depth_encoding, mat_file
        from selfsup.data import records

        image, metres = mat_file.read_row(
            self.path, DEPTH_ARRAYS[self.depth], int(item.detail)
        )
        depth, unit = depth_encoding.encode_metres(metres, self.min_valid)
        height, width = metres.shape
        record = records.serialize(
            key=item.key,
            encoded=encode_image(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR)),
            height=height,
            width=width,
            depth=depth,
            depth_unit=unit,
        )
        return [record]
