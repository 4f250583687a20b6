"""meta.mat of ILSVRC2012's development kit: which number each WordNet id has."""

import io

from data_prep.build import isolated_call
from selfsup.common.errors import UserError

MAGIC = b"MATLAB 5.0 MAT-file"
# The real one takes a tenth of a second and a few MB.
_SECONDS = 60
_MEMORY = 512 << 20


def read(path, data):
    """{ILSVRC2012_ID: WNID} of a meta.mat, from a child process with limits.

    Args:
      path: where it was read, for messages.
      data: its bytes, which may ask for any amount of memory.

    Raises:
      UserError: it is something else, or asks for too much.
    """
    found = isolated_call.run_isolated(_answer, (path, data), path, _SECONDS)
    if isinstance(found, str):
        raise UserError(found)
    return found


def _answer(job):
    """The child's side: what `parse` returns, or what is wrong."""
    from scipy import io as scipy_io

    del scipy_io  # Loaded before the limit, which is on what the file takes.
    path, data = job
    yield path
    isolated_call.limit_memory(_MEMORY)
    try:
        return parse(path, data)
    except UserError as error:
        return str(error)


def parse(path, data):
    """As `read`, in this process and without limits.

    It reads the struct array `synsets` of a MATLAB 5 file.
    """
    import numpy as np
    from scipy import io as scipy_io

    try:
        found = scipy_io.loadmat(
            io.BytesIO(data), squeeze_me=True, variable_names=["synsets"]
        )
        synsets = found["synsets"]
        ids = np.atleast_1d(synsets["ILSVRC2012_ID"])
        wnids = np.atleast_1d(synsets["WNID"])
        return {int(number): str(wnid) for number, wnid in zip(ids, wnids)}
    except Exception as error:
        # SciPy's reader raises whatever its parsing runs into.
        raise UserError(
            f"{path}: no meta.mat with `synsets` of ILSVRC2012_ID and WNID: {error!r}"
        ) from error
