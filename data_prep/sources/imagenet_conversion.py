"""Converts a photo of a class folder to a labelled record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from data_prep.build.inputs import Input
from data_prep.build.shards import Converted, SetAside
from data_prep.sources import photo_conversion
from data_prep.sources.class_folders import PhotoSource


@dataclasses.dataclass(frozen=True)
class ImageNetConverter:
    """Converts a listed photo to a record; a `shards.Converter`.

    Attributes:
      sources: the source of each split, by "train" and "validation".
      max_side, max_pixels: see `photo_conversion.convert`.
    """

    sources: Mapping[str, PhotoSource]
    max_side: int = 0
    max_pixels: int = photo_conversion.MAX_PIXELS

    def __call__(self, item: Input) -> Converted:
        """Converts one photo.

        Args:
          item: an `Input` from `imagenet_listing.list_inputs`.

        Returns:
          `Converted` with one record, and a note if the photo had to be repaired.

        Raises:
          SetAside: the photo cannot be used; the message is the reason.
        """
        detail = json.loads(item.detail)
        if "problem" in detail:
            raise SetAside(detail["problem"])
        limit = photo_conversion.byte_limit(self.max_pixels)
        data = self.sources[detail["from"]].read(detail["place"], limit)
        return photo_conversion.to_record(
            data, item.key, detail["label"], self.max_side, self.max_pixels
        )
