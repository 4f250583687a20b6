"""How every binary starts and how it reports an error; reads no flag itself."""

import os
import sys

from absl import app, flags, logging

from selfsup.common.errors import UserError

# Set before anything can import TensorFlow, and in the environment, so that worker
# processes are quiet too: its start-up notices, and a notice of a Google library
# about the future of this Python (`selfsup.common.warning_filters` is for this process).
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault(
    "PYTHONWARNINGS", "ignore::FutureWarning:google.api_core._python_version_support"
)

_HELP_FLAGS = {"-help", "--help", "--helpshort", "--helpfull"}


def run(main, module, positional=None):
    """Runs `main(argv)` under absl with our conventions.

    Args:
      main: callable taking the arguments that are left after flag parsing; it
        returns None or a process exit status.
      module: the dotted name of the main's module ("launch.pretrain"), whose
        docstring is the help text and whose key flags `--help` shows. The same name
        is right under `python -m`, where the module is `__main__`.
      positional: what to call the one argument beside the flags that the main wants,
        and finds in `argv[1]`; None where it wants none.
    """

    def guarded(argv):
        # TensorFlow notes at this level what it writes where.
        logging.set_verbosity(logging.WARNING)
        expected = 1 if positional is None else 2
        if len(argv) > expected:
            raise app.UsageError(f"not understood: {' '.join(argv[expected:])}")
        if len(argv) < expected:
            raise app.UsageError(f"{positional} is missing")
        try:
            return main(argv)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except UnicodeEncodeError as error:
            if not _is_file_name(error):
                raise
            print(
                f"error: {ascii(error.object)[:400]}: is a name that is not UTF-8, "
                "which TensorFlow cannot use here; rename that file or folder",
                file=sys.stderr,
            )
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    _stand_in_for_main(module)
    # Names of files may hold what no encoding has; stderr escapes it by itself.
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app.run(guarded)
    except BrokenPipeError:
        # The reader has had enough (| head); the interpreter would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except SystemExit:
        # absl ends with status 1 after --help; giving help is no failure.
        if _HELP_FLAGS.intersection(sys.argv[1:]):
            sys.exit(0)
        raise


def _is_file_name(error):
    """Whether a text could not be encoded as it is a name with bytes that are not UTF-8."""
    wrong = error.object[error.start : error.end]
    return all("\udc80" <= one <= "\udcff" for one in wrong)


def _stand_in_for_main(module):
    """Shows absl's help the main's docstring and flags under a console command too.

    A console command's `__main__` is a script of two lines that imports the module.
    """
    if module not in sys.modules:
        return
    sys.modules["__main__"].__doc__ = sys.modules[module].__doc__
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        flags.FLAGS.register_flag_by_module(sys.argv[0], flag)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
