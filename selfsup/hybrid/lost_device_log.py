"""Logs details of lost devices to a file; the terminal gets only a line per device."""

from __future__ import annotations

import logging

_LOG = logging.getLogger(__name__)
# Other handlers would print the details on the terminal.
_LOG.propagate = False
_LOG.setLevel(logging.INFO)
_LOG.addHandler(logging.NullHandler())


def keep_in(path: str) -> None:
    """Writes the details to file `path` from now on.

    The file is created with the first text; its folder has to exist by then.
    """
    for handler in _file_handlers():
        _LOG.removeHandler(handler)
        handler.close()
    handler = logging.FileHandler(path, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(threadName)s: %(message)s"))
    _LOG.addHandler(handler)


def path() -> str | None:
    """Returns the path of the file; None if details are dropped."""
    return next((handler.baseFilename for handler in _file_handlers()), None)


def write(text: str) -> None:
    """Adds a text, which may have several lines."""
    _LOG.info(text)


def _file_handlers() -> list[logging.FileHandler]:
    return [
        handler for handler in _LOG.handlers if isinstance(handler, logging.FileHandler)
    ]
