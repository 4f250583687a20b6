"""How every binary starts and how it reports an error; reads no flag itself."""

import os
import sys

from absl import app, flags

from selfsup.errors import UserError

# TensorFlow prints its start-up notices below this level before any code of ours
# could silence them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def run(main, module):
    """Runs `main(argv)` under absl with our conventions.

    Args:
      main: callable taking the arguments that are left after flag parsing; it
        returns None or a process exit status.
      module: the `__name__` of the main's module, whose docstring is the help text
        and whose flags `--help` shows, also when started as a console command.
    """

    def guarded(argv):
        if len(argv) > 1:
            raise app.UsageError(f"not understood: {' '.join(argv[1:])}")
        try:
            return main(argv)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    # absl shows the flags and docstring of sys.modules["__main__"].
    sys.modules["__main__"].__doc__ = sys.modules[module].__doc__
    for flag in flags.FLAGS.get_flags_for_module(module):
        flags.FLAGS.register_flag_by_module(sys.argv[0], flag)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded)
