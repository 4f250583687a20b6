"""Array types that the modules of the synthetic world share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
# float32 or float64.
Floats = npt.NDArray[np.floating[Any]]
UInt8 = npt.NDArray[np.uint8]
Int16 = npt.NDArray[np.int16]
Bool = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
