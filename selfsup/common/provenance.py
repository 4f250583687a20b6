"""How results were made: the command line, the commit of the source, the versions."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import subprocess
import sys
from typing import TypedDict

from selfsup.common import files, versions

FILE_NAME = "provenance.json"

_PACKAGES = ("selfsup", "tensorflow", "tf-models-official", "numpy")
_GIT_SECONDS = 10.0


class Start(TypedDict):
    """A start of a command.

    Attributes:
      command: the command line, as a person would type it.
      commit: see `source_commit`.
      started: time, ISO 8601 in UTC.
      versions: versions of Python and of the main packages.
    """

    command: str
    commit: str
    started: str
    versions: dict[str, str]


def command_line() -> str:
    """Returns the command line of this process, as a person would type it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    else:
        words = ["python", "-m", spec.name.removesuffix(".__main__"), *sys.argv[1:]]
    return shlex.join(words)


def package_versions() -> dict[str, str]:
    """Returns the versions of this package and of those that it builds on."""
    return versions.installed(_PACKAGES)


def source_commit() -> str:
    """Returns the Git commit of this package's source.

    Returns:
      hexadecimal digits, with "+" if files of the commit have changed; "" if the package
      does not run from a Git checkout.
    """
    this_file = os.path.abspath(__file__)
    # An installed package may be in a folder of another project's checkout.
    if _git("ls-files", "--error-unmatch", this_file) is None:
        return ""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return ""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return commit + ("+" if changes else "")


def _git(*arguments: str) -> str | None:
    """Returns the output of git in this file's folder; None if it fails."""
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def record_start(folder: str) -> None:
    """Adds the start of this process to the file in the folder of its results.

    Raises:
      OSError: the file cannot be written.
    """
    start: Start = {
        "command": command_line(),
        "commit": source_commit(),
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(
            "T", "seconds"
        ),
        "versions": package_versions(),
    }
    starts = [*read_starts(folder), start]
    files.write_atomically(
        os.path.join(folder, FILE_NAME), json.dumps(starts, indent=1)
    )


def read_starts(folder: str) -> list[Start]:
    """Returns the starts of the command that writes to a folder, the first one first.

    Results of earlier versions of this package have no such file: [] then.
    """
    try:
        with open(os.path.join(folder, FILE_NAME), encoding="utf-8") as file:
            starts: list[Start] = json.load(file)
            return starts
    except (OSError, ValueError):
        return []
