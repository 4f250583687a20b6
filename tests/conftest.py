import os
import sys

# TensorFlow's start-up notices.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Support modules shared by tests of several folders.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "support"))
