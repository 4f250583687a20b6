"""Where the results of a cell come from: source, packages, data."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterable

from launch.studies import study_data
from selfsup.common import versions
from selfsup.common.errors import UserError

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PACKAGES = ("selfsup", "tensorflow", "tf-models-official", "numpy")


@functools.lru_cache(maxsize=1)
def commit() -> str:
    """Returns the commit of this source, with "+" if it was changed; "" if unknown."""
    head = _git("rev-parse", "HEAD")
    if not head:
        return ""
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def package_versions() -> dict[str, str]:
    """Returns the versions of this package and of those that it builds on."""
    return versions.installed(_PACKAGES)


def data_contents(folders: Iterable[str]) -> dict[str, str]:
    """Returns a checksum of the data sets in each folder; "" where there is none."""
    contents = {}
    for folder in folders:
        try:
            contents[folder] = study_data.content(folder)
        except UserError:
            contents[folder] = ""
    return contents


def _git(*arguments: str) -> str:
    # An installed package may lie inside a repository of something else.
    if not os.path.exists(os.path.join(_ROOT, ".git")):
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", _ROOT, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
