"""Extracts the Improved Dense Trajectories of a video (Wang & Schmid, ICCV 2013).

    python -m data_prep.trajectories --video=FILE --output=FILE.npz
        [--track_length=15] [--preview=FILE.mp4]

The file written has, for N tracks of L steps that are neither static nor erratic nor
jumping: points [N, L + 1, 2] float32, pixels (x, y); end_frame [N], the index of the
frame that the last point is in; scale [N], how much the frame was shrunk to track
there; camera_motion [N] bool, true where nothing but the camera moves.
"""

import os
import sys

from absl import flags

from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_VIDEO = path_flags.define_path("video", None, "Video file to track points in.")
_OUTPUT = path_flags.define_path("output", None, "NumPy file (.npz) to write.")
_TRACK_LENGTH = flags.DEFINE_integer(
    "track_length", 15, "Steps a track, L.", lower_bound=1
)
_PREVIEW = path_flags.define_path(
    "preview", None, "Video file (.mp4) to draw the tracks into."
)
_MASK_PEOPLE = flags.DEFINE_bool(
    "mask_people",
    False,
    "Keeps what a people detector finds out of the camera's estimate; slow.",
)


def main(argv):
    del argv
    from data_prep.media import video_reading
    from data_prep.trajectories import extraction, preview

    for path in filter(None, (_OUTPUT.value, _PREVIEW.value)):
        _make_folder(path)
    info = video_reading.probe(_VIDEO.value)
    trajectories = _extract(info.frames)
    extraction.save(trajectories, _OUTPUT.value)
    moving = (~trajectories.camera_motion).sum()
    print(
        f"{_OUTPUT.value}: {len(trajectories.points)} tracks, {moving} of them of "
        f"things that move, in {info.frames} frames",
        file=sys.stderr,
    )
    if _PREVIEW.value:
        preview.write(_PREVIEW.value, _images(), trajectories, info.fps)


def _make_folder(path):
    """Makes the folder of an output file now, not after minutes of work."""
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error}") from error


def _extract(total):
    from data_prep.trajectories import extraction
    from selfsup.common.progress import ProgressBar

    with ProgressBar("frames", total) as progress:
        return extraction.extract(
            _images(progress), _TRACK_LENGTH.value, _MASK_PEOPLE.value
        )


def _images(progress=None):
    from data_prep.media import video_reading

    for index, image in video_reading.read_frames(_VIDEO.value):
        yield image
        if progress is not None:
            progress.update(index + 1)


def run():
    flags.mark_flags_as_required(["video", "output"])
    command.run(main, "data_prep.trajectories.__main__")


if __name__ == "__main__":
    run()
