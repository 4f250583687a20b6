from __future__ import annotations

import os
import sys

# Makes `slim_reference` importable.
sys.path.insert(0, os.path.dirname(__file__))
