"""Reads meta.mat of ILSVRC2012's development kit: the WordNet id of each class number."""

from __future__ import annotations

import io
from collections.abc import Generator

from data_prep.build import isolated_call
from selfsup.common.errors import UserError

MAGIC = b"MATLAB 5.0 MAT-file"
# Limits of the child process. The real file takes 0.1 s and a few MB.
_SECONDS = 60
_MEMORY = 512 << 20


def read(path: str, data: bytes) -> dict[int, str]:
    """Parses a meta.mat in a child process with limits of time and memory.

    Args:
      path: where the file was read, for messages.
      data: content of the file; a damaged file may ask for any amount of memory.

    Returns:
      {ILSVRC2012_ID: WNID}.

    Raises:
      UserError: the content is something else, or exceeds a limit.
    """
    answer: dict[int, str] | str
    answer = isolated_call.run_isolated(_answer, (path, data), path, _SECONDS)
    if isinstance(answer, str):
        raise UserError(answer)
    return answer


def _answer(job: tuple[str, bytes]) -> Generator[str, None, dict[int, str] | str]:
    """Runs in the child: returns the result of `parse`, or an error message."""
    # Import SciPy before setting the memory limit: only the file is to be limited.
    from scipy import io as scipy_io

    del scipy_io
    path, data = job
    yield path
    isolated_call.limit_memory(_MEMORY)
    try:
        return parse(path, data)
    except UserError as error:
        return str(error)


def parse(path: str, data: bytes) -> dict[int, str]:
    """Parses a meta.mat in this process, without limits.

    The file is a MATLAB 5 file with a struct array `synsets`.

    Args:
      path, data: see `read`.

    Returns:
      {ILSVRC2012_ID: WNID}.

    Raises:
      UserError: the content is something else.
    """
    import numpy as np
    from scipy import io as scipy_io

    try:
        variables = scipy_io.loadmat(
            io.BytesIO(data), squeeze_me=True, variable_names=["synsets"]
        )
        synsets = variables["synsets"]
        ids = np.atleast_1d(synsets["ILSVRC2012_ID"])
        wnids = np.atleast_1d(synsets["WNID"])
        return {int(number): str(wnid) for number, wnid in zip(ids, wnids)}
    except Exception as error:
        # SciPy raises exceptions of any type on damaged files.
        raise UserError(
            f"{path}: is not a meta.mat with `synsets` of ILSVRC2012_ID and WNID: "
            f"{error!r}"
        ) from error
