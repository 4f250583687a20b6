"""Scene folders of the raw distribution: which count, and which frames go together."""

import bisect
import os
import re
from typing import NamedTuple

from data_prep.build import inputs
from selfsup.common.errors import UserError

# r-1294886362.238178-3118787619.ppm: r for RGB, d for depth; seconds, then ticks.
_FRAME = re.compile(r"([rd])-(\d{1,12}\.\d{1,12})-\d+\.(ppm|pgm)")
_KINDS = {"r": "ppm", "d": "pgm"}
# living_room_0012a, living_room_0012b: parts of one recording.
_PART = re.compile(r"(?<=\d)[a-z]+$")


class Pair(NamedTuple):
    """Names of a depth frame and of the photo taken nearest to it in time."""

    depth: str
    photo: str


def room(scene):
    """The scene's name without the letter of a part.

    Example:
      >>> room("living_room_0012b"), room("office_0001")
      ('living_room_0012', 'office_0001')
    """
    return _PART.sub("", scene)


def scene_folders(directory):
    """Yields the folders at or below `directory` that hold frames.

    Links are followed, each folder once, and hidden folders passed over. Folders are
    sorted, so builds of a folder are alike.
    """
    seen, waiting = set(), [directory]
    while waiting:
        folder = waiting.pop()
        try:
            which = inputs.folder_identity(folder)
            if which in seen:
                continue
            seen.add(which)
            subfolders, holds_frames = _look(folder)
        except OSError:
            continue
        if holds_frames:
            yield folder
        waiting.extend(sorted(subfolders, reverse=True))


def _look(folder):
    """(paths of its folders, whether a frame lies in it)."""
    subfolders, holds_frames = [], False
    with os.scandir(folder) as entries:
        for entry in entries:
            if inputs.is_folder(entry):
                if not entry.name.startswith("."):
                    subfolders.append(entry.path)
            elif not holds_frames:
                holds_frames = bool(_FRAME.fullmatch(entry.name))
    return subfolders, holds_frames


def pairs(folder, tolerance):
    """Pairs the frames of a scene.

    Args:
      folder: the scene's folder. What lies there counts, not INDEX.txt, which also
        lists frames that were lost.
      tolerance: seconds that a photo may be away from its depth frame.

    Returns:
      (list of `Pair`s in the order of time, number of depth frames without a photo).

    Raises:
      UserError: the folder cannot be listed any more.
    """
    try:
        photos, depths = _frames(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error}") from error
    times = [time for time, _ in photos]
    found = []
    for time, name in depths:
        after = bisect.bisect_left(times, time)
        near = photos[max(after - 1, 0) : after + 1]
        gap, photo = min(
            ((abs(taken - time), photo) for taken, photo in near),
            default=(float("inf"), ""),
        )
        if gap <= tolerance:
            found.append(Pair(name, photo))
    return found, len(depths) - len(found)


def _frames(folder):
    """(photos, depth frames), lists of (seconds, name) in the order of time."""
    found = {"r": [], "d": []}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _FRAME.fullmatch(entry.name)
            if match and match[3] == _KINDS[match[1]]:
                found[match[1]].append((float(match[2]), entry.name))
    return sorted(found["r"]), sorted(found["d"])


def sample(frames, wanted):
    """Up to `wanted` of the list `frames`, evenly spread; all where `wanted` is 0.

    Example:
      >>> sample([0, 1, 2, 3, 4, 5, 6, 7], 2)
      [2, 6]
    """
    if not wanted or wanted >= len(frames):
        return frames
    step = len(frames) / wanted
    return [frames[int((index + 0.5) * step)] for index in range(wanted)]
