"""The error that a command reports to its user."""


class UserError(ValueError):
    """Invalid input, configuration or environment.

    The message names the file, the field or the value, and says what was expected.
    Commands print the message without a traceback and exit with status 1.
    """
