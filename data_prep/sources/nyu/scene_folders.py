"""Finds the scene folders of the raw distribution, and pairs the frames in them."""

from __future__ import annotations

import bisect
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from data_prep.build import inputs
from selfsup.common.errors import UserError, error_reason

# r-1294886362.238178-3118787619.ppm: "r" for a photo, "d" for depth; seconds; ticks.
_FRAME = re.compile(r"([rd])-(\d{1,12}\.\d{1,12})-\d+\.(ppm|pgm)")
_EXTENSIONS = {"r": "ppm", "d": "pgm"}
# The letter in living_room_0012a and living_room_0012b, parts of the same recording.
_PART = re.compile(r"(?<=\d)[a-z]+$")

_Item = TypeVar("_Item")
# (seconds, file name).
_Frame = tuple[float, str]


class FramePair(NamedTuple):
    """Names of a depth frame and of the photo nearest to it in time."""

    depth: str
    photo: str


def room_of_folder(folder: str) -> str:
    """Returns the room that a scene folder shows; see `room`."""
    return room(os.path.basename(os.path.normpath(folder)))


def room(scene: str) -> str:
    """Returns a scene's name without the letter of a part.

    Example:
      >>> room("living_room_0012b"), room("office_0001")
      ('living_room_0012', 'office_0001')
    """
    return _PART.sub("", scene)


def find(directory: str) -> Iterator[str]:
    """Yields the folders at or below `directory` that hold frames, in a fixed order.

    The search follows links, but visits each folder only once. It skips hidden folders
    and folders that cannot be listed.
    """
    visited, pending = set(), [directory]
    while pending:
        folder = pending.pop()
        try:
            identity = inputs.folder_identity(folder)
            if identity in visited:
                continue
            visited.add(identity)
            subfolders, holds_frames = _scan(folder)
        except OSError:
            continue
        if holds_frames:
            yield folder
        pending.extend(sorted(subfolders, reverse=True))


def _scan(folder: str) -> tuple[list[str], bool]:
    """Returns (paths of the subfolders, whether the folder holds a frame)."""
    subfolders, holds_frames = [], False
    with os.scandir(folder) as entries:
        for entry in entries:
            if inputs.is_folder(entry):
                if not entry.name.startswith("."):
                    subfolders.append(entry.path)
            elif not holds_frames:
                holds_frames = bool(_FRAME.fullmatch(entry.name))
    return subfolders, holds_frames


def pair_frames(folder: str, tolerance: float) -> tuple[list[FramePair], int]:
    """Pairs the depth frames of a scene with the photos nearest in time.

    Args:
      folder: the scene's folder. Its files count, not INDEX.txt, which also lists frames
        that were never saved.
      tolerance: largest time between a depth frame and its photo, in seconds.

    Returns:
      (pairs in order of time, number of depth frames without a photo).

    Raises:
      UserError: the folder cannot be listed.
    """
    try:
        photos, depths = _frames(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error_reason(error)}") from error
    times = [time for time, _ in photos]
    pairs = []
    for time, name in depths:
        after = bisect.bisect_left(times, time)
        near = photos[max(after - 1, 0) : after + 1]
        gap, photo = min(
            ((abs(photo_time - time), photo) for photo_time, photo in near),
            default=(float("inf"), ""),
        )
        if gap <= tolerance:
            pairs.append(FramePair(name, photo))
    return pairs, len(depths) - len(pairs)


def _frames(folder: str) -> tuple[list[_Frame], list[_Frame]]:
    """Returns (photos, depth frames) of a scene, in order of time."""
    frames: dict[str, list[_Frame]] = {"r": [], "d": []}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _FRAME.fullmatch(entry.name)
            if match and match[3] == _EXTENSIONS[match[1]]:
                frames[match[1]].append((float(match[2]), entry.name))
    return sorted(frames["r"]), sorted(frames["d"])


def sample(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Returns up to `count` evenly spaced items; all if `count` is 0.

    Example:
      >>> sample([0, 1, 2, 3, 4, 5, 6, 7], 2)
      [2, 6]
    """
    if not count or count >= len(items):
        return items
    step = len(items) / count
    return [items[int((index + 0.5) * step)] for index in range(count)]
