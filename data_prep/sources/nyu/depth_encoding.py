"""Depth maps as records hold them: 16-bit PNG, 0 where the depth is unknown."""

import cv2
import numpy as np

from data_prep.build.shards import SetAside

# Metres a step: errs by at most 0.1 mm, reaches 13 m; a Kinect's depth ends at 10 m.
FINE_UNIT = 0.0002
# For depth maps that reach further, up to 65 m.
COARSE_UNIT = 0.001
_LARGEST = 65535


def encode_metres(depth, min_valid):
    """Encodes depth in metres.

    Args:
      depth: floating-point [H, W], metres, 0 = unknown.
      min_valid: share of the pixels whose depth must be known.

    Returns:
      (PNG bytes, metres a step).

    Raises:
      SetAside: values that are no depths, or as `encode_steps`.
    """
    odd = np.count_nonzero(~np.isfinite(depth))
    if odd:
        raise SetAside(f"{odd} of {depth.size} depths are not finite")
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


def encode_steps(steps, min_valid):
    """Encodes depth that is whole steps already.

    Args:
      steps: uint16 [H, W], 0 = unknown.
      min_valid: share of the pixels whose depth must be known.

    Returns:
      PNG bytes.

    Raises:
      SetAside: too little is known, or all of it is one value.
    """
    valid = np.count_nonzero(steps) / steps.size
    if valid == 0 or valid < min_valid:
        raise SetAside(f"depth is known in {valid:.2%} of the pixels only")
    if steps.max() == steps[steps > 0].min():
        raise SetAside("depth is one value throughout")
    encoded, png = cv2.imencode(".png", steps)
    if not encoded:
        raise SetAside("depth cannot be encoded as PNG")
    return png.tobytes()
