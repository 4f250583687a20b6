"""Builds a training set from the raw distribution of NYU Depth v2."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from data_prep.build import dataset_build
from data_prep.sources.nyu import raw_conversion, raw_listing, scene_folders
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from data_prep.sources.build_options import BuildOptions

# Time limit of a frame; the conversion takes a tenth of a second.
_SECONDS = 120


def build_raw(
    *,
    raw: str,
    output: str,
    labelled: str | None = None,
    splits: str | None = None,
    all_scenes: bool = False,
    frames_per_scene: int = 48,
    max_time_difference: float = 0.04,
    min_valid: float = 0.01,
    **build_options: Unpack[BuildOptions],
) -> manifests.Manifest:
    """Builds a training set from the raw distribution, or resumes an interrupted build.

    Args:
      raw: folder that holds the unpacked scene folders, at any depth.
      output: the folder for the shards.
      labelled, splits: the .mat files of the labelled set. They show which scenes have
        test frames; those scenes are left out.
      all_scenes: whether to take all scenes instead.
      frames_per_scene: number of frames sampled from a scene; 0 takes all.
      max_time_difference: largest time between a depth frame and its photo, in seconds.
      min_valid: share of a frame's pixels whose depth must be known.
      **build_options: see `dataset_build.build`.

    Returns:
      the `Manifest` of the finished data set, which has a training split only.

    Raises:
      UserError: there are no scenes, or the scenes with test frames are unknown; or for a
        reason that `dataset_build.build` lists.
    """
    _check_folder(raw)
    scenes = raw_listing.Scenes(
        directory=raw,
        test_rooms=raw_listing.find_test_rooms(raw, labelled, splits, all_scenes),
        frames_per_scene=frames_per_scene,
        tolerance=max_time_difference,
    )
    return dataset_build.build(
        output=output,
        kind=manifests.RGBD,
        features=("image", "depth"),
        inputs=scenes,
        convert=raw_conversion.RawConverter(raw, min_valid),
        options={
            "source": "raw",
            "depth": "raw",
            "all_scenes": all_scenes,
            "frames_per_scene": frames_per_scene,
            "max_time_difference": max_time_difference,
            "min_valid": min_valid,
            "image": f"JPEG {raw_conversion.JPEG_QUALITY}",
        },
        directory=raw,
        time_limit=_SECONDS,
        **build_options,
    )


def _check_folder(raw: str) -> None:
    """Checks that `raw` is a folder that contains scenes."""
    if raw.lower().endswith((".zip", ".tar", ".gz", ".bz2")) and os.path.isfile(raw):
        raise UserError(f"{raw}: is an archive; unpack it and give its folder")
    if not os.path.isdir(raw):
        raise UserError(f"{raw}: is not a folder")
    if any(scene_folders.find(raw)):
        return
    _, _, names = next(os.walk(raw), ("", [], []))
    archives = sorted(name for name in names if name.lower().endswith(".zip"))
    hint = f"; unpack its archives first ({archives[0]}, ...)" if archives else ""
    raise UserError(
        f"{raw}: contains no scene folder, with r-*.ppm and d-*.pgm, at any depth{hint}"
    )
