"""Where the details of lost devices go, so that the terminal gets one line of each."""

from __future__ import annotations

import logging

_LOG = logging.getLogger(__name__)
# Of nobody else's: what is written here is not for the terminal.
_LOG.propagate = False
_LOG.setLevel(logging.INFO)
_LOG.addHandler(logging.NullHandler())


def keep_in(path: str) -> None:
    """Writes from now on to the file `path`, which is made with the first text.

    Its folder has to exist by then.
    """
    for handler in _files():
        _LOG.removeHandler(handler)
        handler.close()
    handler = logging.FileHandler(path, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(threadName)s: %(message)s"))
    _LOG.addHandler(handler)


def path() -> str | None:
    """The file that is written to; None where details are dropped."""
    return next((handler.baseFilename for handler in _files()), None)


def write(text: str) -> None:
    """Adds a text, of several lines as a rule."""
    _LOG.info(text)


def _files():
    return [one for one in _LOG.handlers if isinstance(one, logging.FileHandler)]
