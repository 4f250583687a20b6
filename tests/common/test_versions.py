import platform

import tensorflow as tf

from selfsup.common import versions


def test_versions_of_what_is_installed():
    assert versions.installed(("tensorflow", "no-such-package")) == {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }
