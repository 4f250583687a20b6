"""Lists the labelled set from a child process, which a damaged file may crash or keep."""

from typing import NamedTuple

from data_prep.build import isolated_call
from selfsup.common.errors import UserError

# Opening and checking takes a second; a slow network disk gets its time.
_SECONDS = 120
# Bytes that the real files are far from taking.
_MEMORY = 4 << 30


class Listing(NamedTuple):
    """The frames of a labelled set.

    Attributes:
      frames: number of frames.
      height, width: their size in pixels.
      train, test: tuples of row indices from 0.
      scenes: the scene's name of every frame; () where they were not asked for.
    """

    frames: int
    height: int
    width: int
    train: tuple
    test: tuple
    scenes: tuple


class Request(NamedTuple):
    """What to list.

    Attributes:
      labelled, splits: paths of the .mat files.
      depth: `mat_file.FILLED_DEPTH` or `mat_file.RAW_DEPTH`.
      with_scenes: whether to read the scenes' names.
    """

    labelled: str
    splits: str
    depth: str
    with_scenes: bool = False


def list_labelled(request, seconds=_SECONDS):
    """Reads and checks what is to be known of the files before rows are read.

    Raises:
      UserError: they are not as they should be, crash their parser or keep it longer
        than `seconds`.
    """
    found = isolated_call.run_isolated(answer, request, request.labelled, seconds)
    if isinstance(found, str):
        raise UserError(found)
    return found


def answer(request):
    """The child's side, a job of the worker pool: a `Listing`, or what is wrong."""
    from data_prep.sources.nyu import mat_file

    yield request.labelled
    isolated_call.limit_memory(_MEMORY)
    try:
        contents = mat_file.describe(request.labelled, request.depth)
        train, test = mat_file.read_splits(request.splits)
        mat_file.check_splits(request.splits, train, test, contents.frames)
        # Last, as a damaged file may claim any number of frames.
        scenes = ()
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
