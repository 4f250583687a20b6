import os
import sys

import selfsup.command  # noqa: F401  Quiets TensorFlow, in worker processes too.

# For helper modules, which worker processes import too.
sys.path.insert(0, os.path.dirname(__file__))
