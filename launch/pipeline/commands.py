"""Commands of this package as processes: printed before they start, and stoppable."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Union

# Several values make a flag that is repeated.
Value = Union[str, int, float, Sequence[str]]


def option(name: str, value: str | int | float | None = None) -> str:
    """Returns an option of a command as a person would type it.

    >>> option("preset", "tiny")
    '--preset=tiny'
    """
    return f"--{name}" if value is None else f"--{name}={value}"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line `NAME=VALUE python -m module --name=value ...`.

    Attributes:
      module: dotted name of the command's module.
      options: values of the command's flags by name.
      environment: environment variables that are set for it.
    """

    module: str
    options: Mapping[str, Value]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def arguments(self) -> list[str]:
        """Returns the flags as arguments."""
        return [
            option(name, value)
            for name, values in self.options.items()
            for value in ([values] if isinstance(values, (str, int, float)) else values)
        ]

    def text(self) -> str:
        """Returns the command line as a person would type it."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        words = ["python", "-m", self.module, *self.arguments()]
        return " ".join([*variables, shlex.join(words)])


class Stopped(Exception):
    """A signal stopped a command, which has kept what it needs to resume."""


def run(module: str, **options: Value) -> None:
    """Prints a command and runs it; if it fails, this process exits too.

    Args:
      module: dotted name of the command's module.
      **options: values of the command's flags by name.
    """
    try:
        status = start(Command(module, options))
    except Stopped:
        sys.exit("interrupted; run the same command again to resume")
    if status:
        sys.exit(status)


def start(command: Command) -> int:
    """Prints a command, runs it to its end, and returns its exit status.

    Raises:
      Stopped: SIGINT, SIGTERM or SIGHUP arrived; the command received it and has ended.
    """
    print(f"\n$ {command.text()}", flush=True)
    # In a session of its own, so that Ctrl-C reaches it only once, through `pass_on`.
    process = subprocess.Popen(
        [sys.executable, "-m", command.module, *command.arguments()],
        env={**os.environ, **command.environment},
        start_new_session=True,
    )
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        process.send_signal(
            signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        )

    # A signal that this process ignores, as under nohup, stays ignored.
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN
    ]
    previous = [signal.signal(number, pass_on) for number in numbers]
    try:
        status = process.wait()
    finally:
        for number, handler in zip(numbers, previous):
            signal.signal(number, handler)
    if received:
        raise Stopped
    return status
