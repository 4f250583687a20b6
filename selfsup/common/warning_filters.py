"""Keeps off the terminal what nobody who uses this package can act on.

Every package of ours imports this first, before a module can import TensorFlow Addons,
TensorFlow Hub or Google's libraries.
"""

import warnings

# That TensorFlow Addons gets no more releases is known: one module of ours imports it.
warnings.filterwarnings("ignore", category=UserWarning, module="tensorflow_addons")
# tensorflow_hub's; setup.py keeps setuptools below the version without pkg_resources.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
# When Google's support for this Python ends.
warnings.filterwarnings("ignore", category=FutureWarning, module="google.api_core")
