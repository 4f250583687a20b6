"""Errors whose text is written for the person at the terminal."""


class UserError(ValueError):
    """Bad input, flag or environment.

    The message names the file, the flag or the value, and what was expected.
    Mains print it without a traceback and exit with status 1.
    """
