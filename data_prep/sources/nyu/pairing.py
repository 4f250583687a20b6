"""Pairs photos with depth images by their file names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import NamedTuple

# Words in which the names of a photo and its depth image differ, as whole words or
# folders: rgb/0001.jpg and depth/0001.png, 7_color.png and 7_depth.png, rgb_00045.jpg and
# sync_depth_00045.png.
_PHOTO_WORDS = {"rgb", "color", "colour", "colors", "image", "images", "img", "photo"}
_DEPTH_WORDS = {"depth", "depths", "depthmap", "d"}
_NEUTRAL_WORDS = {"sync", "synced", "aligned", "registered", "raw"}
_WORD = re.compile(r"\d+|[^\W\d_]+")


class Pairs(NamedTuple):
    """Paths of photos and depth images, relative to their folders and sorted.

    Attributes:
      pairs: (photo, depth image) of each pair.
      photos: photos without a depth image.
      depths: depth images without a photo.
    """

    pairs: tuple[tuple[str, str], ...]
    photos: tuple[str, ...]
    depths: tuple[str, ...]


def is_depth_name(path: str) -> bool:
    """Whether a file's name contains a word for depth."""
    return bool(_DEPTH_WORDS.intersection(_words(stem(os.path.basename(path)))))


def stem(path: str) -> str:
    """Returns `path` without its extension."""
    return os.path.splitext(path)[0]


def pair(photos: Iterable[str], depths: Iterable[str]) -> Pairs:
    """Pairs photos with depth images.

    First, files pair whose paths differ in the extension only. Of the remaining files,
    those pair whose paths also differ in words such as "rgb" and "depth". A name that
    fits several files is not paired.

    Args:
      photos, depths: relative paths.
    """
    same, photos_left, depths_left = _match(photos, depths, stem)
    similar, photos_left, depths_left = _match(photos_left, depths_left, _frame_name)
    return Pairs(
        tuple(sorted(same + similar)),
        tuple(sorted(photos_left)),
        tuple(sorted(depths_left)),
    )


def _match(
    photos: Iterable[str],
    depths: Iterable[str],
    name: Callable[[str], Hashable],
) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """Returns (pairs with equal `name(path)`, photos left, depth images left)."""
    photos_by_name, depths_by_name = _by_name(photos, name), _by_name(depths, name)
    both = {
        key
        for key in photos_by_name.keys() & depths_by_name.keys()
        if len(photos_by_name[key]) == len(depths_by_name[key]) == 1
    }
    return (
        [(photos_by_name[key][0], depths_by_name[key][0]) for key in both],
        _rest(photos_by_name, both),
        _rest(depths_by_name, both),
    )


def _by_name(
    paths: Iterable[str], name: Callable[[str], Hashable]
) -> dict[Hashable, list[str]]:
    paths_by_name: dict[Hashable, list[str]] = {}
    for path in paths:
        paths_by_name.setdefault(name(path), []).append(path)
    return paths_by_name


def _rest(
    paths_by_name: Mapping[Hashable, list[str]], paired: Collection[Hashable]
) -> list[str]:
    return [
        path
        for key, paths in paths_by_name.items()
        if key not in paired
        for path in paths
    ]


def _frame_name(path: str) -> tuple[tuple[str, ...], ...]:
    """Returns the words of each folder and of the file that identify the frame."""
    dropped = _PHOTO_WORDS | _DEPTH_WORDS | _NEUTRAL_WORDS
    parts = (
        tuple(word for word in _words(part) if word not in dropped)
        for part in stem(path).split(os.sep)
    )
    return tuple(part for part in parts if part)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
