"""The command `launch.report` on folders as a person has them."""

import pathlib
import subprocess
import sys

import invented_study
import pytest

from launch.studies import store

ROOT = pathlib.Path(__file__).resolve().parents[2]


def report(*flags):
    """Runs the command; returns its exit status, output and errors."""
    command = [sys.executable, "-m", "launch.report", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def studies(tmp_path):
    """A folder with two studies that have not begun."""
    folder = tmp_path / "studies here"
    folder.mkdir()
    for name, rows in (("first", ("Random", "RP")), ("second", ("RP", "RP / H"))):
        declared = invented_study.study(row_names=rows)
        declared = type(declared)(**{**vars(declared), "name": name})
        store.save(declared, (), str(folder))
    return folder


def test_all_studies_of_a_folder_are_joined(studies, tmp_path):
    output = tmp_path / "out" / "report"
    status, text, errors = report(f"--input={studies}", f"--output={output}")
    assert status == 0, errors
    assert text.split() == [str(output / name) for name in ("report.html", "report.md")]
    assert "# Study first and second" in (output / "report.md").read_text()
    assert "<h1>Study first and second</h1>" in (output / "report.html").read_text()


def test_one_study_is_chosen(studies, tmp_path):
    status, _, errors = report(
        f"--input={studies}", f"--output={tmp_path}", "--study=second"
    )
    assert status == 0, errors
    assert "# Study second\n" in (tmp_path / "report.md").read_text()


def test_a_folder_without_results_is_refused(tmp_path):
    status, _, errors = report(f"--input={tmp_path}", f"--output={tmp_path}/out")
    assert status == 1
    assert errors.startswith(f"error: --input={tmp_path}: holds no study")
    assert "launch.quickstart" in errors and "Traceback" not in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flags", [(), ("--study=first",)])
def test_a_missing_folder_is_named(tmp_path, flags):
    status, _, errors = report(
        f"--input={tmp_path}/none", f"--output={tmp_path}", *flags
    )
    assert status == 1
    assert errors == f"error: --input={tmp_path}/none: there is no such folder\n"
