"""The flags that the builders of photos share; see `data_prep.flags.builders`."""

from __future__ import annotations

from typing import TypedDict

from absl import flags

_MAX_SIDE = flags.DEFINE_integer(
    "max_side",
    0,
    "Shrinks photos with a longer side than this, in pixels; 0 keeps all sizes.",
    lower_bound=0,
)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels",
    100.0,
    "Sets larger images aside, before they are decoded.",
    lower_bound=0.01,
)


class SizeLimits(TypedDict):
    """Keyword arguments of the builders of photos.

    Attributes:
      max_side: longest side in pixels, to which photos are shrunk; 0 for no limit.
      max_pixels: pixels of the largest photo that is used.
    """

    max_side: int
    max_pixels: int


def size_limits() -> SizeLimits:
    """Returns the values of the flags."""
    return {
        "max_side": _MAX_SIDE.value,
        "max_pixels": round(1e6 * _MAX_MEGAPIXELS.value),
    }
