"""Extracts the Improved Dense Trajectories of a video (Wang & Schmid, ICCV 2013).

    python -m data_prep.trajectories --video=FILE --output=FILE.npz
        [--track_length=15] [--preview=FILE.mp4]

The output file holds these arrays for N valid tracks of L steps: points, float32
[N, L + 1, 2], pixels (x, y); end_frame, int32 [N], index of the frame with a track's last
point; scale, float32 [N], factor by which the frame was shrunk for tracking;
camera_motion, bool [N], true if only the camera moves. Tracks that are static or erratic
are left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from absl import flags

from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError, error_reason

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from data_prep.trajectories.extraction import Trajectories
    from selfsup.common.progress import ProgressBar

_VIDEO = path_flags.define_path(
    "video", None, "Video file in which points are tracked."
)
_OUTPUT = path_flags.define_path("output", None, "NumPy file (.npz) to write.")
_TRACK_LENGTH = flags.DEFINE_integer(
    "track_length", 15, "Number of steps of a track, L.", lower_bound=1
)
_PREVIEW = path_flags.define_path(
    "preview", None, "Video file (.mp4) to write, with the tracks drawn."
)
_MASK_PEOPLE = flags.DEFINE_bool(
    "mask_people",
    False,
    "Excludes detected people from the estimate of the camera motion; slow.",
)


def main(argv: Sequence[str]) -> None:
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
        f"{_OUTPUT.value}: {len(trajectories.points)} tracks in {info.frames} "
        f"frames; {moving} of the tracks move on their own",
        file=sys.stderr,
    )
    if _PREVIEW.value:
        preview.write(_PREVIEW.value, _images(), trajectories, info.fps)


def _make_folder(path: str) -> None:
    """Creates the folder of an output file, so that an error shows before the work."""
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error_reason(error)}") from error


def _extract(total: int) -> Trajectories:
    """Extracts the tracks of the video, which has `total` frames."""
    from data_prep.trajectories import extraction
    from selfsup.common.progress import ProgressBar

    with ProgressBar("frames", total) as progress:
        return extraction.extract(
            _images(progress), _TRACK_LENGTH.value, _MASK_PEOPLE.value
        )


def _images(progress: ProgressBar | None = None) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields the frames of the video, uint8 [H, W, 3] BGR."""
    from data_prep.media import video_reading

    for index, image in video_reading.read_frames(_VIDEO.value):
        yield image
        if progress is not None:
            progress.update(index + 1)


def run() -> None:
    # absl does not annotate this function.
    flags.mark_flags_as_required(["video", "output"])  # type: ignore[no-untyped-call]
    command.run(main, "data_prep.trajectories.__main__")


if __name__ == "__main__":
    run()
