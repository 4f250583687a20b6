"""Which photo belongs to which depth image, by their names."""

import os
import re
from typing import NamedTuple

# What names of photos and of depth images have in place of each other, as whole words
# or folders: rgb/0001.jpg and depth/0001.png, 7_color.png and 7_depth.png,
# rgb_00045.jpg and sync_depth_00045.png.
_PHOTO_WORDS = {"rgb", "color", "colour", "colors", "image", "images", "img", "photo"}
_DEPTH_WORDS = {"depth", "depths", "depthmap", "d"}
_EITHER = {"sync", "synced", "aligned", "registered", "raw"}
_WORD = re.compile(r"\d+|[^\W\d_]+")


class Pairs(NamedTuple):
    """Paths relative to their folders, sorted.

    Attributes:
      pairs: ((photo, depth image), ...).
      photos: photos without a depth image.
      depths: depth images without a photo.
    """

    pairs: tuple
    photos: tuple
    depths: tuple


def is_depth_name(path):
    """Whether a file's name says that it is a depth image."""
    return bool(_DEPTH_WORDS.intersection(_words(stem(os.path.basename(path)))))


def stem(path):
    """`path` without its extension, as pairs and lists of splits name it."""
    return os.path.splitext(path)[0]


def pair(photos, depths):
    """Pairs photos with depth images.

    Those of the same path but for the extension belong together; the others where
    their paths are the same but for such words as "rgb" and "depth". A name that
    fits several is no one's.

    Args:
      photos, depths: iterables of relative paths.

    Returns:
      `Pairs`.
    """
    found, photos, depths = _match(photos, depths, stem)
    more, photos, depths = _match(photos, depths, _bare)
    return Pairs(
        tuple(sorted(found + more)), tuple(sorted(photos)), tuple(sorted(depths))
    )


def _match(photos, depths, name):
    """([pairs], [photos left], [depths left]) where `name(path)` is the same."""
    photos, depths = _by_name(photos, name), _by_name(depths, name)
    both = {
        key
        for key in photos.keys() & depths.keys()
        if len(photos[key]) == len(depths[key]) == 1
    }
    return (
        [(photos[key][0], depths[key][0]) for key in both],
        [path for key, paths in photos.items() if key not in both for path in paths],
        [path for key, paths in depths.items() if key not in both for path in paths],
    )


def _by_name(paths, name):
    found = {}
    for path in paths:
        found.setdefault(name(path), []).append(path)
    return found


def _bare(path):
    """Folders and words of the path that tell one frame from another."""
    dropped = _PHOTO_WORDS | _DEPTH_WORDS | _EITHER
    folders = (
        tuple(word for word in _words(part) if word not in dropped)
        for part in stem(path).split(os.sep)
    )
    return tuple(folder for folder in folders if folder)


def _words(text):
    return _WORD.findall(text.lower())
