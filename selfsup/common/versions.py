"""Versions of the installed packages, for manifests and model cards."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from collections.abc import Iterable


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Returns the version of Python, as "python", and of each installed package.

    Args:
      packages: names of packages; the result omits those that are not installed.
    """
    versions = {"python": platform.python_version()}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
