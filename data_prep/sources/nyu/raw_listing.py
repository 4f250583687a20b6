"""Lists the frames of the raw distribution, without the rooms of test frames."""

from __future__ import annotations

import collections
import dataclasses
import os
import sys
from collections.abc import Iterator

from data_prep.build.inputs import Input
from data_prep.sources.nyu import labelled_listing, raw_conversion, scene_folders
from selfsup.common.errors import UserError


def find_test_rooms(
    raw: str, labelled: str | None, splits: str | None, all_scenes: bool
) -> frozenset[str]:
    """Returns the rooms that a test frame shows; none for `all_scenes`.

    Args:
      raw: folder with the scene folders.
      labelled, splits: the .mat files of the labelled set.
      all_scenes: whether to train on all scenes.

    Raises:
      UserError: a file is missing, or the scenes have other names than in `labelled`.
    """
    if all_scenes:
        return frozenset()
    if not (labelled and splits):
        raise UserError(
            "the raw distribution needs the files labelled and splits as well, because "
            "scenes with a test frame must not be trained on; if nothing will be tested "
            "on NYU Depth v2, all_scenes takes all scenes"
        )
    listing = labelled_listing.list_labelled(
        labelled_listing.Request(labelled, splits, "depths", with_scenes=True)
    )
    labelled_rooms = {scene_folders.room(scene) for scene in listing.scenes}
    rooms = {scene_folders.room_of_folder(f) for f in scene_folders.find(raw)}
    if not labelled_rooms & rooms:
        raise UserError(
            f"{raw}: none of its scenes ({min(rooms)}, ...) is one of the scenes of "
            f"{labelled} ({min(labelled_rooms)}, ...), so the test scenes are unknown; "
            "were the folders renamed? all_scenes takes all scenes nevertheless"
        )
    return frozenset(scene_folders.room(listing.scenes[row]) for row in listing.test)


@dataclasses.dataclass(frozen=True)
class Scenes:
    """The inputs of a raw distribution, as an iterable that lists a scene at a time.

    Attributes:
      directory: folder with the scene folders.
      test_rooms: rooms (see `scene_folders.room`) to leave out. All parts of a recording
        are left out, as they show the same things.
      frames_per_scene: number of frames sampled from a scene; 0 takes all.
      tolerance: largest time between a depth frame and its photo, in seconds.
    """

    directory: str
    test_rooms: frozenset[str]
    frames_per_scene: int
    tolerance: float

    def __iter__(self) -> Iterator[Input]:
        count: collections.Counter[str] = collections.Counter()
        for folder in scene_folders.find(self.directory):
            if scene_folders.room_of_folder(folder) in self.test_rooms:
                count["left out"] += 1
                continue
            pairs, single = scene_folders.pair_frames(folder, self.tolerance)
            count.update(scenes=1, pairs=len(pairs), single=single)
            for pair in scene_folders.sample(pairs, self.frames_per_scene):
                path = os.path.join(folder, pair.depth)
                key = os.path.relpath(path, self.directory)
                yield Input(key, "train", raw_conversion.detail(folder, pair.photo))
        print(
            f"{self.directory}: {count['pairs']} frames in {count['scenes']} scenes; "
            f"{count['left out']} scenes with test frames are left out, and "
            f"{count['single']} depth frames without a photo within "
            f"{self.tolerance:g} s",
            file=sys.stderr,
        )
