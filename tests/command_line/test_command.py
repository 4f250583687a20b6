import subprocess
import sys

import pytest

MAIN = '''"""Greets the world.

A second line of help.
"""

from absl import flags

from selfsup.command_line import command
from selfsup.common.errors import SettingError, UserError

_NAME = flags.DEFINE_string("greeted", "world", "Who is greeted.")


def main(argv):
    if _NAME.value == "nobody":
        raise UserError("--greeted=nobody: expected somebody")
    if _NAME.value == "anybody":
        raise SettingError("greeted=anybody", "expected a single person")
    if _NAME.value == "pair":
        raise SettingError("greeted", "expected a single person")
    if _NAME.value == "file":
        raise UserError("greeted: no such file")
    if _NAME.value == "other":
        raise SettingError("batch_size=0", "expected a positive number")
    if _NAME.value == "bug":
        raise KeyError("bug")
    print(f"hello, {_NAME.value}")
    return 3 if _NAME.value == "three" else None


def run():
    command.run(main, "greet")


if __name__ == "__main__":
    run()
'''
AS_MODULE = ("-m", "greet")
# The content of an installed console command.
AS_SCRIPT = ("-c", "from greet import run; run()")


@pytest.fixture(params=[AS_MODULE, AS_SCRIPT], ids=["module", "console"])
def greet(request, tmp_path, pytestconfig):
    (tmp_path / "greet.py").write_text(MAIN)
    path = f"{tmp_path}:{pytestconfig.rootpath}"

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *request.param, *arguments],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": path},
        )

    return run


def test_main_runs_with_its_flags(greet):
    done = greet("--greeted=moon")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello, moon\n", "")


def test_status_of_main_is_the_exit_status(greet):
    assert greet("--greeted=three").returncode == 3


def test_help_shows_docstring_and_flags(greet):
    done = greet("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Greets the world.\n\nA second line of help.")
    assert "--greeted: Who is greeted." in done.stdout


def test_user_errors_are_printed_without_a_traceback(greet):
    done = greet("--greeted=nobody")
    assert done.returncode == 1
    assert done.stderr == "error: --greeted=nobody: expected somebody\n"


@pytest.mark.parametrize(
    "name, line",
    [
        ("anybody", "--greeted=anybody: expected a single person"),
        ("pair", "--greeted: expected a single person"),
        ("file", "greeted: no such file"),
        ("other", "batch_size=0: expected a positive number"),
    ],
)
def test_settings_that_are_flags_get_their_dashes(greet, name, line):
    assert greet(f"--greeted={name}").stderr == f"error: {line}\n"


def test_bugs_are_printed_with_a_traceback(greet):
    done = greet("--greeted=bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "KeyError: 'bug'" in done.stderr


@pytest.mark.parametrize("argument", ["moon", "--gretted=moon"])
def test_unknown_arguments_are_refused(greet, argument):
    done = greet(argument)
    assert done.returncode == 1
    assert argument.strip("-").split("=")[0] in done.stderr
    assert "Traceback" not in done.stderr
