"""Builds that are killed, interrupted, or run out of disk or inputs, and resumed."""

from __future__ import annotations

import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import faulty_inputs
import pytest

from data_prep.build import dataset_build
from selfsup.common.errors import UserError

SHARDS = 6


def _start_build(output, seconds, limit=None):
    """Starts a build in a process group of its own, with a file size limit."""

    def limit_files():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    root = str(pathlib.Path(dataset_build.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, faulty_inputs.__file__, str(output), str(seconds)],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=limit_files,
    )


def _wait_for_shards(process, output, count):
    """Waits until `count` shards are finished."""
    while len(list((output / ".build").glob("*.tfrecord.json"))) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def test_killed_and_interrupted_builds_are_resumed(built, tmp_path, in_process):
    """SIGINT ends a first build, SIGKILL a second one, while a third is refused."""
    reference, made = built
    process = _start_build(tmp_path, seconds=0.05)
    _wait_for_shards(process, tmp_path, 1)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: interrupted; finished shards are kept" in stderr
    assert "Traceback" not in stderr
    assert 1 <= len(faulty_inputs.checksums(tmp_path)) < SHARDS

    process = _start_build(tmp_path, seconds=0.5)
    while not list(tmp_path.glob("*.tmp")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    with pytest.raises(UserError, match="another builder is writing there"):
        faulty_inputs.build(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not (tmp_path / "manifest.json").exists()

    resumed = faulty_inputs.build(tmp_path)
    assert resumed.shards == made.shards
    assert faulty_inputs.checksums(tmp_path) == faulty_inputs.checksums(reference)
    assert not list(tmp_path.rglob("*.tmp"))


def test_full_disk_keeps_finished_shards(built, tmp_path, in_process):
    """A limit on the size of files acts as a full disk; smaller shards fit."""
    reference, made = built
    sizes = sorted(shard.bytes for shard in made.shards)
    process = _start_build(tmp_path, seconds=0.0, limit=sizes[-1] - 1)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot be written" in stderr and "Traceback" not in stderr
    kept = faulty_inputs.checksums(tmp_path)
    assert kept.items() <= faulty_inputs.checksums(reference).items()
    assert not (tmp_path / "manifest.json").exists()
    assert faulty_inputs.build(tmp_path).shards == made.shards


def _build_folder(folder, output, left):
    convert = faulty_inputs.ReadInputs(folder, left, folder.with_name("elsewhere"))
    return faulty_inputs.build(
        output,
        inputs=[f"{index}" for index in range(8)],
        convert=convert,
        directory=str(folder),
        num_shards=4,
    )


def _counts(total, set_aside):
    """`Manifest.inputs` of a builder that counts and repairs nothing."""
    return {
        "found": total,
        "used": total - set_aside,
        "set_aside": set_aside,
        "repaired": 0,
        "counts": {},
    }


def test_build_resumes_when_a_vanished_input_folder_is_back(
    folder, tmp_path, in_process
):
    output = tmp_path / "out"
    with pytest.raises(UserError, match=r"in: can no longer be read: .* to resume"):
        _build_folder(folder, output, left=5)
    assert 1 <= len(faulty_inputs.checksums(output)) < 5
    assert not (output / "manifest.json").exists()
    assert not list(output.glob("*.tmp"))

    folder.with_name("elsewhere").rename(folder)
    made = _build_folder(folder, output, left=-1)
    assert made.inputs == _counts(8, 0)
    whole = _build_folder(folder, tmp_path / "whole", left=-1)
    assert made.shards == whole.shards


def test_vanished_file_is_set_aside(folder, tmp_path, in_process):
    (folder / "3").unlink()
    made = _build_folder(folder, tmp_path / "out", left=-1)
    assert made.inputs == _counts(8, 1)
    text = (tmp_path / "out" / "set_aside.tsv").read_text()
    assert text.startswith("3\tFileNotFoundError: ")
