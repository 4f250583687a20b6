"""The Makefile's way to an environment, where it does not need a network."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

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


needs_make = pytest.mark.skipif(
    not shutil.which("make"), reason="make is not installed"
)


@needs_make
@pytest.mark.parametrize(
    "pythons",
    [
        {},
        # A shim that stands for no version, as pyenv leaves, and a Python too old.
        {"python3.11": "#!/bin/sh\nexit 127\n", "python3": "#!/bin/sh\nexit 1\n"},
    ],
)
def test_no_usable_python_is_said_plainly(tmp_path, pythons):
    done = _make(tmp_path, pythons)
    assert done.returncode != 0
    assert "No Python from 3.9 to 3.13 was found" in done.stderr
    assert "apt install python3-venv" in done.stderr


@needs_make
@pytest.mark.parametrize("name", ["python3.11", "python3.13", "python3"])
def test_python_without_venv_is_said_plainly(tmp_path, name):
    """As Debian and Ubuntu install it."""
    python = (
        '#!/bin/sh\ncase "$*" in\n'
        "  *ensurepip*) exit 1;;\n  --version) echo Python 3.x;;\nesac\n"
    )
    done = _make(tmp_path, {name: python})
    assert done.returncode != 0
    said = done.stderr.splitlines()[0]
    assert said == (
        "Python 3.x has no venv: install it (Debian, Ubuntu: apt install python3-venv)."
    )


@pytest.mark.parametrize("minor", [8, 14])
def test_another_python_is_refused_before_pip_resolves(tmp_path, minor):
    pretended = tmp_path / "pretended.py"
    pretended.write_text(
        "import runpy, sys\n"
        f"class Info(tuple):\n    major, minor = 3, {minor}\n"
        f"sys.version_info = Info((3, {minor}, 1))\n"
        f"runpy.run_path({str(ROOT / 'setup.py')!r})\n"
    )
    done = subprocess.run(
        [sys.executable, str(pretended)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "selfsup needs Python 3.9 to 3.13 (TensorFlow 2.15 and 2.20 have no builds for "
        f"other versions); this is Python 3.{minor}."
    )


def _pins(version):
    """{package: pin} that the lock has for a version of Python on Linux."""
    environment = {"python_full_version": version, "sys_platform": "linux"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [
        Requirement(one) for one in lines if one and not one.strip().startswith("#")
    ]
    return {
        one.name: str(one.specifier)
        for one in found
        if one.marker is None or one.marker.evaluate(environment)
    }


@pytest.mark.parametrize(
    "version, tensorflow, others",
    [
        *(
            (version, "==2.15.1", {"tensorflow-addons", "tensorflow-io"})
            for version in ("3.9.18", "3.10.13", "3.11.7")
        ),
        ("3.12.1", "==2.20.0", {"tf-keras"}),
        ("3.13.0", "==2.20.0", {"tf-keras"}),
    ],
)
def test_the_lock_has_each_set(version, tensorflow, others):
    pins = _pins(version)
    assert pins["tensorflow"] == tensorflow and others <= set(pins)
    assert ("tensorflow-addons" in pins) == ("tensorflow-addons" in others)
