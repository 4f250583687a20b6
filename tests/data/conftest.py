import os
import sys

# For built_sets.
sys.path.insert(0, os.path.dirname(__file__))
