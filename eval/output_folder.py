"""The output folder of an evaluation: one run at a time, always of the same settings."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from eval.settings import Config, Settings
from selfsup.common import config_file, files
from selfsup.common.errors import SettingError, error_reason

_LOCK = ".lock"


@contextlib.contextmanager
def opened(settings: Settings[Config]) -> Iterator[str]:
    """Makes, locks and checks the output folder, and yields its path.

    Args:
      settings: the settings of the run, which are stored in the folder.

    Raises:
      UserError: when the folder cannot be made, another process is working in it, or it
        holds a run of other settings.
    """
    folder = settings.output
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"output={folder}", f"cannot be made: {error_reason(error)}"
        ) from error
    busy = f"{folder}: another process is running an evaluation there"
    with files.locked(os.path.join(folder, _LOCK), busy):
        config_file.save_or_compare(settings, folder, "output", settings.may_change)
        yield folder
