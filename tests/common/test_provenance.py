import datetime
import re
import subprocess
import sys

from selfsup.common import provenance


def test_starts_are_kept_in_order(tmp_path):
    assert provenance.read_starts(str(tmp_path)) == []
    provenance.record_start(str(tmp_path))
    provenance.record_start(str(tmp_path))
    first, second = provenance.read_starts(str(tmp_path))
    times = [
        datetime.datetime.fromisoformat(each["started"]) for each in (first, second)
    ]
    assert times == sorted(times)
    assert times[0].tzinfo is not None
    assert "python" in first["versions"]
    assert re.fullmatch(r"([0-9a-f]{40}\+?)?", first["commit"])


def test_the_command_line_can_be_typed(tmp_path):
    code = "from selfsup.common import provenance\nprint(provenance.command_line())\n"
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "__init__.py").write_text("")
    (tmp_path / "tool" / "__main__.py").write_text(code)
    (tmp_path / "script.py").write_text(code)
    environment = {"PYTHONPATH": ":".join([str(tmp_path), *sys.path])}

    def run(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return done.stdout.strip()

    assert run("-m", "tool", "--a=b c") == "python -m tool '--a=b c'"
    assert run(str(tmp_path / "script.py"), "x") == "script.py x"


def test_a_package_outside_of_its_checkout_has_no_commit(tmp_path, monkeypatch):
    """Although the folder may belong to a checkout of another project."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "provenance.py").write_text("")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    assert provenance.source_commit() == ""


def test_changes_are_marked(tmp_path, monkeypatch):
    path = tmp_path / "provenance.py"
    path.write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    monkeypatch.setattr(provenance, "__file__", str(path))
    commit = provenance.source_commit()
    assert re.fullmatch("[0-9a-f]{40}", commit)
    path.write_text("x = 1\n")
    assert provenance.source_commit() == f"{commit}+"
