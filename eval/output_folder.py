"""The output folder of an evaluation: one run at a time, always of the same settings."""

import contextlib
import os

from selfsup.common import config_file, files
from selfsup.common.errors import UserError

_LOCK = ".lock"


@contextlib.contextmanager
def opened(settings):
    """Makes, locks and checks `settings.output`; yields its path.

    Args:
      settings: an `eval.settings.Settings`.

    Raises:
      UserError: when it cannot be made, another process is working there, or it holds
        a run of other settings.
    """
    folder = settings.output
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output={folder}: cannot be made: {error}") from error
    busy = f"--output={folder}: another process is evaluating there"
    with files.locked(os.path.join(folder, _LOCK), busy):
        config_file.save(settings, folder, "--output", settings.may_change)
        yield folder
