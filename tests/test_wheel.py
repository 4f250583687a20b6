"""A wheel built from the tree works in an empty environment and from another folder."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("selfsup", "data_prep", "eval", "launch")


def _run(*command, cwd):
    # Not the checkout, wherever these tests are run from.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The `bin` folder of a new environment that has the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, as building leaves files in the source tree.
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            source / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    _run(*pip, *build, f"--wheel-dir={folder}", ".", cwd=source)
    (wheel,) = folder.glob("selfsup-*.whl")
    venv.create(folder / "venv")
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    install = ("install", "--quiet", "--no-deps", "--no-index", str(wheel))
    _run(*pip, "--python", str(binaries / "python"), *install, cwd=folder)
    # The dependencies, which a test cannot download. A folder that is added like this
    # does not bring the checkout with it, into which this environment is installed.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "venv" / "lib" / version / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return binaries


def test_the_package_is_the_wheels(installed, tmp_path):
    """Data files included; licence and commands as setup.py says."""
    code = (
        "import importlib.metadata, importlib.resources, selfsup.images\n"
        "bins = importlib.resources.files('selfsup.images') / 'ab_bins.csv'\n"
        "assert len(bins.read_text().splitlines()) == 1 + 313\n"
        "print(selfsup.__file__)\n"
        "print(importlib.metadata.metadata('selfsup')['License'])\n"
    )
    path, licence = _run(installed / "python", "-c", code, cwd=tmp_path).splitlines()
    assert pathlib.Path(path).is_relative_to(installed.parent)
    assert licence == "Apache-2.0"


@pytest.mark.parametrize(
    "name", ["selfsup-pretrain", "selfsup-photos", "selfsup-costs"]
)
def test_commands_start_from_another_folder(installed, tmp_path, name):
    assert "flags:" in _run(installed / name, "--help", cwd=tmp_path)


def test_a_command_runs_from_another_folder(installed, tmp_path):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photos" / "photo.png")
    command = ("selfsup-photos", "--input=photos", "--output=data")
    _run(installed / command[0], *command[1:], cwd=tmp_path)
    assert (tmp_path / "data" / "manifest.json").exists()
