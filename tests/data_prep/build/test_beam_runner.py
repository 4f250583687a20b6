"""Builds on Apache Beam's local engine; other engines are not tested."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sys

import faulty_inputs
import pytest

from data_prep.build import beam_runner, dataset_build, worker_pool
from selfsup.common.errors import UserError


def _files(output):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.iterdir()
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    output = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_pool, "run", faulty_inputs.run_in_process)
        return output, faulty_inputs.build(output, num_shards=2)


def test_same_set_as_the_local_runner(local, tmp_path, capfd):
    reference, made = local
    by_beam = faulty_inputs.build(
        tmp_path, num_shards=2, runner=dataset_build.BEAM, workers=2
    )
    assert by_beam == dataclasses.replace(made, directory=str(tmp_path))
    assert _files(tmp_path) == _files(reference)
    assert "photos: 40/40" in capfd.readouterr().err


@pytest.mark.slow
def test_input_that_crashes_its_process_is_set_aside(tmp_path):
    made = faulty_inputs.build(
        tmp_path,
        inputs=[faulty_inputs.KILLS, faulty_inputs.KEYS[0]],
        convert=faulty_inputs.Convert(lethal=True),
        validation_fraction=0.0,
        num_shards=1,
        runner=dataset_build.BEAM,
    )
    assert made.records("train") == faulty_inputs.RECORDS_EACH
    text = (tmp_path / "set_aside.tsv").read_text()
    assert text.startswith(f"{faulty_inputs.KILLS}\tcrashes the decoder")


def test_only_missing_shards_are_written(local, tmp_path):
    """Beam finishes a build that the local runner began."""
    reference, made = local
    shutil.copytree(reference, tmp_path, dirs_exist_ok=True)
    (tmp_path / made.shards[1].file).unlink()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.tfrecord")}
    faulty_inputs.build(tmp_path, num_shards=2, runner=dataset_build.BEAM)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert _files(tmp_path) == _files(reference)


def test_vanished_inputs_end_the_build(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "0").write_text("input")
    convert = faulty_inputs.ReadInputs(str(folder), 0, str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=r"(?s)in: can no longer be read.* to resume"):
        faulty_inputs.build(
            tmp_path / "out",
            inputs=["0"],
            convert=convert,
            directory=str(folder),
            runner=dataset_build.BEAM,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--flink_mistress=a", "Beam knows no --flink_mistress"),
        ("--direct_num_workers=many", "does not understand"),
        ("--a='", "No closing quotation"),
        ("--runner=Zeus", "Zeus"),
    ],
)
def test_unknown_options_are_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        faulty_inputs.build(tmp_path, runner=dataset_build.BEAM, beam_options=options)


def test_options_without_beam_are_refused(tmp_path):
    with pytest.raises(UserError, match="needs the runner 'beam'"):
        faulty_inputs.build(tmp_path, beam_options="--runner=FlinkRunner")


def test_missing_beam_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[beam\]'"):
        beam_runner.run([], None, print, workers=1, time_limit=None)
