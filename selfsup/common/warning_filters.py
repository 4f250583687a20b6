"""Suppresses warnings of other packages on which a user cannot act.

Every package of this project imports this module first, before any module can import
TensorFlow Addons, TensorFlow Hub or Google's libraries.
"""

import warnings

# TensorFlow Addons warns that its development has ended.
warnings.filterwarnings("ignore", category=UserWarning, module="tensorflow_addons")
# TensorFlow Hub uses pkg_resources; setup.py keeps setuptools below the version that
# removes it.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
# Google's libraries warn about the date on which they end support for this Python.
warnings.filterwarnings("ignore", category=FutureWarning, module="google.api_core")
