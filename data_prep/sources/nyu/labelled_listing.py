"""Lists the frames of the labelled set.

The files are read in a child process, because a damaged file may crash the HDF5 library or
make it hang.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from data_prep.build import isolated_call
from selfsup.common.errors import UserError

# Opening and checking the files takes a second; a slow network disk may need more.
_SECONDS = 120
# Far more than the real files need.
_MEMORY = 4 << 30


class Listing(NamedTuple):
    """The frames of a labelled set.

    Attributes:
      frames: number of frames.
      height, width: size of a frame in pixels.
      train, test: indices of the frames of each split, from 0.
      scenes: scene name of each frame; () if they were not requested.
    """

    frames: int
    height: int
    width: int
    train: tuple[int, ...]
    test: tuple[int, ...]
    scenes: tuple[str, ...]


class Request(NamedTuple):
    """What to list.

    Attributes:
      labelled, splits: paths of the .mat files.
      depth: `mat_file.FILLED_DEPTH` or `mat_file.RAW_DEPTH`.
      with_scenes: whether to read the scene names.
    """

    labelled: str
    splits: str
    depth: str
    with_scenes: bool = False


def list_labelled(request: Request, seconds: float = _SECONDS) -> Listing:
    """Checks the files of the labelled set and lists the frames, in a child process.

    Args:
      request: what to list.
      seconds: time limit.

    Raises:
      UserError: a file is damaged or has another layout, the files do not fit each other,
        or the child process crashes or exceeds the limit.
    """
    result: Listing | str
    result = isolated_call.run_isolated(answer, request, request.labelled, seconds)
    if isinstance(result, str):
        raise UserError(result)
    return result


def answer(request: Request) -> Generator[str, None, Listing | str]:
    """Runs in the child process, as a job of the worker pool.

    Yields:
      the path of the file, when the work begins.

    Returns:
      the `Listing`, or an error message.
    """
    from data_prep.sources.nyu import mat_file

    yield request.labelled
    isolated_call.limit_memory(_MEMORY)
    try:
        contents = mat_file.describe(request.labelled, request.depth)
        train, test = mat_file.read_splits(request.splits)
        mat_file.check_splits(request.splits, train, test, contents.frames)
        # Scenes come last: the checks show that the number of frames is plausible.
        scenes: tuple[str, ...] = ()
        if request.with_scenes:
            scenes = mat_file.read_scenes(request.labelled, contents.frames)
    except UserError as error:
        return str(error)
    return Listing(
        frames=contents.frames,
        height=contents.height,
        width=contents.width,
        train=tuple(train.tolist()),
        test=tuple(test.tolist()),
        scenes=scenes,
    )
