"""The error that a command reports to its user."""


class UserError(ValueError):
    """Invalid input, configuration or environment.

    The message names the file, the field or the value, and says what was expected.
    Commands print the message without a traceback and exit with status 1.
    """


def error_reason(error: Exception) -> str:
    """Returns what went wrong, without the number and file name that OSError prints.

    For messages that begin with the name of the file.
    """
    return getattr(error, "strerror", None) or str(error)
