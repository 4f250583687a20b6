"""Starts a command and reports its errors; defines no flag itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import cast

from absl import app, flags, logging

from selfsup.common.errors import SettingError, UserError

# Silences TensorFlow's start-up messages and a Google library's warning about this
# Python. Both are environment variables, so that worker processes inherit them, and are
# set before anything can import TensorFlow. (`selfsup.common.warning_filters` silences
# warnings of this process.)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault(
    "PYTHONWARNINGS", "ignore::FutureWarning:google.api_core._python_version_support"
)

_HELP_FLAGS = {"-help", "--help", "--helpshort", "--helpfull"}

Main = Callable[[list[str]], "int | None"]


def run(main: Main, module: str, positional: str | None = None) -> None:
    """Runs `main` under absl and exits the process.

    A `UserError` is printed without a traceback and becomes the exit status 1. Ctrl-C
    becomes the status 130.

    Args:
      main: takes the arguments that remain after flag parsing, the program's name first;
        returns None or an exit status.
      module: dotted name of the module that defines `main`, such as "launch.pretrain".
        Its docstring is the help text, and `--help` shows its key flags. Under
        `python -m`, where the module is called `__main__`, the name is the same.
      positional: what to call the argument beside the flags that `main` needs as
        `argv[1]`; None where it takes only flags.
    """

    def guarded(argv: list[str]) -> int | None:
        # At a lower level, TensorFlow logs each file that it writes.
        logging.set_verbosity(logging.WARNING)
        _check_arguments(argv, positional)
        try:
            return main(argv)
        except UserError as error:
            print(f"error: {_with_dashes(error)}", file=sys.stderr)
            return 1
        except UnicodeEncodeError as error:
            if not _is_file_name(error):
                raise
            print(
                f"error: {ascii(error.object)[:400]}: this file name is not UTF-8, which "
                "TensorFlow cannot use here; rename the file or folder",
                file=sys.stderr,
            )
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    _register_as_main(module)
    # File names may contain bytes that no encoding has; stderr escapes them by default.
    cast(TextIOWrapper, sys.stdout).reconfigure(errors="backslashreplace")
    try:
        app.run(guarded)
    except BrokenPipeError:
        # The reader of the output has closed it, as `head` does. Without this, the
        # interpreter would report an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except SystemExit:
        # absl exits with status 1 after --help, which is not a failure.
        if _HELP_FLAGS.intersection(sys.argv[1:]):
            sys.exit(0)
        raise


def take_arguments_after_dashes() -> list[str]:
    """Removes the arguments after "--" from `sys.argv`, with it, and returns them.

    For commands that pass them on to another command. Call it before `run`.
    """
    if "--" not in sys.argv:
        return []
    index = sys.argv.index("--")
    taken = sys.argv[index + 1 :]
    del sys.argv[index:]
    return taken


def _check_arguments(argv: list[str], positional: str | None) -> None:
    expected = 1 if positional is None else 2
    if len(argv) > expected:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[expected:])}")
    if len(argv) < expected:
        raise app.UsageError(f"{positional} is missing")


def _with_dashes(error: UserError) -> str:
    """Returns the message; a setting that is a flag of this command looks like it."""
    is_flag = isinstance(error, SettingError) and error.name in flags.FLAGS
    return f"--{error}" if is_flag else str(error)


def _is_file_name(error: UnicodeEncodeError) -> bool:
    """Whether the text is a file name with bytes that are not UTF-8 (surrogates)."""
    rejected = error.object[error.start : error.end]
    return all("\udc80" <= char <= "\udcff" for char in rejected)


def _register_as_main(module: str) -> None:
    """Gives absl's help the docstring and the flags of `module`.

    Under `python -m`, `__main__` is that module already. Under an installed console
    command, `__main__` is a script of two lines that imports it.
    """
    if module not in sys.modules:
        return
    sys.modules["__main__"].__doc__ = sys.modules[module].__doc__
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        flags.FLAGS.register_flag_by_module(sys.argv[0], flag)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
