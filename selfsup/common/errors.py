"""The errors that a command reports to its user."""

from __future__ import annotations


class UserError(ValueError):
    """Invalid input, configuration or environment.

    The message names the file, the field or the value, and says what was expected.
    Commands print the message without a traceback and exit with status 1.
    """


class SettingError(UserError):
    """A value of a field or argument that cannot be used.

    The message is "SETTING: REASON". A command that has a flag of the setting's name
    prints the message with the dashes of the flag; libraries know no flags.

    Attributes:
      setting: what cannot be used, "NAME" or "NAME=VALUE".
      reason: why, and what was expected.
    """

    def __init__(self, setting: str, reason: str = "") -> None:
        # Keras and pickle make the error again from its message only.
        super().__init__(f"{setting}: {reason}" if reason else setting)
        self.setting = setting
        self.reason = reason

    @property
    def name(self) -> str:
        """The setting without its value, such as "batch_size"."""
        return self.setting.partition("=")[0]


def error_reason(error: Exception) -> str:
    """Returns what went wrong, without the number and file name that OSError prints.

    For messages that begin with the name of the file.
    """
    return getattr(error, "strerror", None) or str(error)
