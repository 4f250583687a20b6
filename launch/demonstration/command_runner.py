"""Runs the commands of a demo and prints each before it starts."""

from __future__ import annotations

import shlex
import subprocess
import sys


def run(module: str, **options: str | int | float) -> None:
    """Runs `python -m module --name=value ...`; if it fails, this process exits too.

    Args:
      module: dotted name of the command's module.
      **options: values of the command's flags by name.
    """
    arguments = [f"--{name}={value}" for name, value in options.items()]
    print(f"\n$ {shlex.join(['python', '-m', module, *arguments])}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])
    try:
        status = process.wait()
    except KeyboardInterrupt:
        # The terminal sent the signal to the command too, which now writes a checkpoint.
        process.wait()
        sys.exit("interrupted; run the same command again to resume")
    if status:
        sys.exit(status)
