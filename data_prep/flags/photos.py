"""The flags that the builders of photos share; a main imports this and adopts them.

Only mains may read them.
"""

from absl import flags

_MAX_SIDE = flags.DEFINE_integer(
    "max_side",
    0,
    "Shrinks photos whose longer side is above this; 0 keeps all sizes.",
    lower_bound=0,
)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels",
    100.0,
    "Sets larger images aside before they are decoded.",
    lower_bound=0.01,
)


def limits():
    """The flags' values as their builders take them."""
    return {
        "max_side": _MAX_SIDE.value,
        "max_pixels": round(1e6 * _MAX_MEGAPIXELS.value),
    }
