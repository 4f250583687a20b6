"""Where the results of a cell come from: source, packages, data."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from launch.studies import study_data
from selfsup.common import provenance, versions
from selfsup.common.errors import UserError

_PACKAGES = ("selfsup", "tensorflow", "tf-models-official", "numpy")


@functools.lru_cache(maxsize=1)
def commit() -> str:
    """Returns the commit of the source when this process first asked for it."""
    return provenance.source_commit()


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
