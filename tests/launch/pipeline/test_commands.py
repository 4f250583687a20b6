"""Commands as processes: status, environment, and signals that reach them."""

import os
import pathlib
import signal
import sys
import threading
import time

import pytest

from launch.pipeline import commands
from launch.pipeline.commands import Command

# Writes what it received into the file `--to`; ends in order on SIGTERM and SIGINT.
_CHILD = """
import os, pathlib, signal, sys, time
to = pathlib.Path(sys.argv[1].partition("=")[2])
if len(sys.argv) > 2:
    to.write_text(os.environ.get("NAME", "") + " " + " ".join(sys.argv[2:]))
    sys.exit(3)
def stop(number, frame):
    to.write_text(signal.Signals(number).name)
    sys.exit(0)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
to.write_text("started")
time.sleep(60)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "child_of_test.py").write_text(_CHILD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    return str(tmp_path / "received")


def test_a_command_gets_its_flags_and_variables(child, capfd):
    options = {"to": child, "set": ("a=1", "b=2")}
    assert commands.start(Command("child_of_test", options, {"NAME": "x"})) == 3
    assert pathlib.Path(child).read_text() == "x --set=a=1 --set=b=2"
    assert "$ NAME=x python -m child_of_test --to=" in capfd.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_and_stops_the_pipeline(child, number):
    path = pathlib.Path(child)
    before = signal.getsignal(number)

    def send():
        while not path.exists() or path.read_text() != "started":
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(commands.Stopped):
        commands.start(Command("child_of_test", {"to": child}))
    sender.join()
    assert path.read_text() == number.name
    assert signal.getsignal(number) == before
