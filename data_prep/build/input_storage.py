"""Tells a bad input from a disk that is gone."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from selfsup.common.errors import UserError, error_reason


class StorageUnavailable(Exception):
    """The inputs can no longer be read; the message says why."""


@dataclasses.dataclass(frozen=True)
class InputStorage:
    """The folders and files that hold the inputs of a build.

    Attributes:
      devices: (path, number of its file system when the build began) of the input
        folder and of the files that hold inputs, such as archives.
    """

    devices: tuple[tuple[str, int], ...]

    @classmethod
    def from_paths(cls, paths: Iterable[str]) -> InputStorage:
        """Notes the file systems that the paths are on now.

        Raises:
          UserError: a path cannot be read.
        """
        try:
            return cls(tuple((path, os.stat(path).st_dev) for path in paths))
        except OSError as error:
            raise UserError(
                f"{error.filename}: cannot be read: {error_reason(error)}"
            ) from error

    def check(self) -> None:
        """Raises `StorageUnavailable` if a path is gone or its disk was unmounted."""
        for path, expected in self.devices:
            try:
                device = os.stat(path).st_dev
                if os.path.isdir(path):
                    with os.scandir(path) as entries:
                        next(entries, None)
            except OSError as error:
                raise StorageUnavailable(
                    f"{path}: can no longer be read: {error_reason(error)}"
                ) from error
            if device != expected:
                raise StorageUnavailable(
                    f"{path}: is on another disk than when the build began"
                )
