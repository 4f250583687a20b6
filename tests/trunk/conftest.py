import os
import sys

# For slim_reference.
sys.path.insert(0, os.path.dirname(__file__))
