"""Commands that a demonstration runs: each is printed before it starts."""

import shlex
import subprocess
import sys


def run(module, **options):
    """Runs `python -m module --name=value ...`; a failure ends this process as well."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    shown = shlex.join(["python", "-m", module, *arguments])
    print(f"\n$ {shown}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])
    try:
        status = process.wait()
    except KeyboardInterrupt:
        # The terminal has sent it to the command as well, which is checkpointing now.
        process.wait()
        sys.exit("interrupted; the same command goes on")
    if status:
        sys.exit(status)
