"""Which versions made something: for manifests and model cards."""

import contextlib
import importlib.metadata
import platform


def installed(packages):
    """{"python": version, package: version, ...}; packages not installed are left out."""
    versions = {"python": platform.python_version()}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
