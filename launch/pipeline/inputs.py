"""The folders that a person gives: checked before anything long starts."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator

from data_prep.sources import photo_listing, video_listing
from selfsup.common.errors import SettingError, UserError

# Fewer photos than this do not fill the batches of a run.
MIN_PHOTOS = 32
# Held out are as many inputs as these, within the bounds of the share.
_HELD_OUT = 150
_LEAST_SHARE, _GREATEST_SHARE = 0.05, 0.15

_Finder = Callable[[str, str, bool], Iterator[str]]


@dataclasses.dataclass(frozen=True)
class Input:
    """A folder of photos or videos.

    Attributes:
      path: of the folder.
      count: number of files in it that are photos or videos by their names.
      digest: checksum of their names and sizes.
    """

    path: str
    count: int
    digest: str

    @property
    def held_out_share(self) -> float:
        """The share of the files to hold out: a smaller one of many files."""
        share = _HELD_OUT / max(self.count, 1)
        return round(min(max(share, _LEAST_SHARE), _GREATEST_SHARE), 3)

    def description(self) -> dict[str, str | int]:
        """Returns what identifies the input, for comparisons with a later start."""
        return {
            "path": os.path.realpath(self.path),
            "files": self.count,
            "digest": self.digest,
        }


def find_photos(setting: str, path: str, output: str) -> Input:
    """Lists the photos below a folder.

    Args:
      setting: name of the setting that gives the folder, for errors.
      path: the folder.
      output: the folder of the results, which is passed over.

    Raises:
      UserError: it is no folder, or has too few photos.
    """
    listed = _find(setting, path, output, photo_listing.find_photos)
    if listed.count < MIN_PHOTOS:
        raise SettingError(
            f"{setting}={path}",
            f"has {listed.count} photos; pretraining needs {MIN_PHOTOS} or more, and "
            "learns from thousands",
        )
    return listed


def find_videos(setting: str, path: str, output: str) -> Input:
    """Lists the videos below a folder; see `find_photos`.

    Raises:
      UserError: it is no folder, or has fewer than two videos.
    """
    listed = _find(setting, path, output, video_listing.find_videos)
    if listed.count < 2:
        raise SettingError(
            f"{setting}={path}",
            "has one video; motion segmentation needs two or more, because one is held "
            f"out. Leave out {setting} to train without this task",
        )
    return listed


def find_labelled(setting: str, path: str, output: str) -> Input:
    """Lists photos in folders that name their classes; see `find_photos`.

    Raises:
      UserError: it is no folder, or has fewer than two folders with photos.
    """
    listed = _find(setting, path, output, photo_listing.find_photos)
    paths = photo_listing.find_photos(path, output, quiet=True)
    names = sorted({name.split(os.sep)[0] for name in paths if os.sep in name})
    if len(names) < 2:
        where = (
            f"in one folder only, {names[0]}" if names else "but no folders with them"
        )
        raise SettingError(
            f"{setting}={path}",
            f"has photos {where}; expected a folder for each of two or more classes",
        )
    return listed


def _find(setting: str, path: str, output: str, finder: _Finder) -> Input:
    if not os.path.isdir(path):
        raise SettingError(f"{setting}={path}", "is not a folder")
    try:
        names = sorted(finder(path, output, True))
    except UserError as error:
        raise SettingError(setting, str(error)) from error
    digest = hashlib.sha256()
    for name in names:
        size = os.stat(os.path.join(path, name)).st_size
        digest.update(os.fsencode(name) + f"\0{size}\0".encode())
    return Input(path, len(names), digest.hexdigest())
