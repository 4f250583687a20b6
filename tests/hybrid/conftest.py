import os
import sys

# For mock_tasks.
sys.path.insert(0, os.path.dirname(__file__))
