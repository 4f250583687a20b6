"""Encodes depth maps as records hold them: 16-bit PNG, where 0 is unknown depth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data_prep.build.shards import SetAside
from data_prep.sources.image_encoding import encode_image

# Metres per step. Rounding errs by at most 0.1 mm, and the steps reach 13 m; the depth of
# a Kinect ends at 10 m.
FINE_UNIT = 0.0002
# For depth maps with larger values, up to 65 m.
COARSE_UNIT = 0.001
_LARGEST = 65535


def encode_metres(
    depth: npt.NDArray[np.float32] | npt.NDArray[np.float64], min_valid: float
) -> tuple[bytes, float]:
    """Encodes depth in metres.

    Args:
      depth: floating-point [H, W], metres; 0 where the depth is unknown.
      min_valid: share of the pixels whose depth must be known.

    Returns:
      (PNG bytes, metres per step).

    Raises:
      SetAside: some values cannot be depths; or for a reason that `encode_steps` lists.
    """
    infinite = np.count_nonzero(~np.isfinite(depth))
    if infinite:
        raise SetAside(f"{infinite} of {depth.size} depths are not finite")
    negative = np.count_nonzero(depth < 0)
    if negative:
        raise SetAside(f"{negative} of {depth.size} depths are negative")
    unit = FINE_UNIT if depth.max() <= _LARGEST * FINE_UNIT else COARSE_UNIT
    if depth.max() > _LARGEST * unit:
        raise SetAside(
            f"depth of {depth.max():g} m is over {_LARGEST * unit:g} m: not in metres?"
        )
    steps = np.round(depth / depth.dtype.type(unit)).astype(np.uint16)
    return encode_steps(steps, min_valid), unit


def encode_steps(steps: npt.NDArray[np.uint16], min_valid: float) -> bytes:
    """Encodes depth in whole steps.

    Args:
      steps: uint16 [H, W]; 0 where the depth is unknown.
      min_valid: share of the pixels whose depth must be known.

    Returns:
      PNG bytes.

    Raises:
      SetAside: the depth is known in too few pixels, or has the same value in all.
    """
    valid = np.count_nonzero(steps) / steps.size
    if valid == 0 or valid < min_valid:
        raise SetAside(f"depth is known in {valid:.2%} of the pixels only")
    if steps.max() == steps[steps > 0].min():
        raise SetAside("depth is one value throughout")
    return encode_image(".png", steps)
