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

    @property
    def _words(self) -> list[str]:
        options = [
            option(name, value)
            for name, values in self.options.items()
            for value in ([values] if isinstance(values, (str, int, float)) else values)
        ]
        return ["-m", self.module, *options]

    def text(self) -> str:
        """Returns the command line as a person would type it."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join([*variables, shlex.join(["python", *self._words])])

    def process_arguments(self) -> list[str]:
        """Returns the arguments that start the command with this Python."""
        return [sys.executable, *self._words]


class Stopped(Exception):
    """A signal stopped a command, which has kept what it needs to resume."""


def start(command: Command) -> int:
    """Prints a command, runs it to its end, and returns its exit status.

    Raises:
      Stopped: SIGINT, SIGTERM or SIGHUP arrived; the command received it and has ended.
    """
    print(f"\n$ {command.text()}", flush=True)
    # In a session of its own, so that Ctrl-C reaches it only once, through `pass_on`.
    process = subprocess.Popen(
        command.process_arguments(),
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
