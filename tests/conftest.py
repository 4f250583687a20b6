import os
import sys

# Support modules shared by tests of several folders.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "support"))
