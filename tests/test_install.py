"""The Makefile's way to an environment, where it does not need a network."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _make(tmp_path, pythons):
    """Runs the install target with a PATH of a shell and the given `python3`s alone."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "bash", "touch"):
        os.symlink(shutil.which(tool), tools / tool)
    for name, text in pythons.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    venv = tmp_path / "venv"
    return subprocess.run(
        [shutil.which("make"), f"{venv}/.installed", f"VENV={venv}"],
        cwd=ROOT,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    "pythons",
    [
        {},
        # A shim that stands for no version, as pyenv leaves, and a version too new.
        {"python3.11": "#!/bin/sh\nexit 127\n", "python3": "#!/bin/sh\nexit 1\n"},
    ],
)
def test_no_usable_python_is_said_plainly(tmp_path, pythons):
    done = _make(tmp_path, pythons)
    assert done.returncode != 0
    assert "No Python 3.9, 3.10 or 3.11 with venv was found on PATH" in done.stderr


def test_another_python_is_refused_before_pip_resolves(tmp_path):
    pretended = tmp_path / "pretended.py"
    pretended.write_text(
        "import runpy, sys\n"
        "class Info(tuple):\n    major, minor = 3, 12\n"
        "sys.version_info = Info((3, 12, 1))\n"
        f"runpy.run_path({str(ROOT / 'setup.py')!r})\n"
    )
    done = subprocess.run(
        [sys.executable, str(pretended)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "selfsup needs Python 3.9, 3.10 or 3.11 (TensorFlow 2.15 and TensorFlow Addons "
        "have no builds for other versions); this is Python 3.12."
    )
