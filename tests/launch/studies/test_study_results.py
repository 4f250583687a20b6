"""What a study leaves is read back: measurements, states, tables, and refused data."""

import dataclasses
import json
import os
import pathlib

import pytest
import yaml

from eval import metrics_file
from launch.studies import (
    cell_state,
    comparison,
    data_check,
    grid,
    listing,
    named,
    read_results,
    store,
)
from launch.studies.cell_state import CellFolder, Record
from launch.studies.rows import ROWS
from launch.studies.study import EvaluationPlan, Study
from launch.studies.study_data import DataSource, StudyData
from selfsup.common.errors import UserError
from selfsup.data import manifest
from selfsup.data.manifest import Manifest, Shard

ROOT = pathlib.Path(__file__).resolve().parents[3]
STUDY = Study(
    name="test",
    description="",
    rows=(ROWS["Random"], ROWS["RP"]),
    seeds=(0, 1),
    snapshot_cost=2.0,
    snapshots=(1,),
    evaluations=(EvaluationPlan("imagenet_linear", {"preset": "tiny"}),),
)


def build_set(folder, digest):
    folder.mkdir(exist_ok=True)
    shard = Shard("a", "train", 1, 1, digest * 64)
    manifest.write(Manifest("photos", (), (shard,)), str(folder))


@pytest.fixture
def output(tmp_path):
    return str(tmp_path / "study")


@pytest.fixture
def cells(output, tmp_path):
    build_set(tmp_path / "photos", "0")
    source = DataSource(str(tmp_path / "photos"), "1")
    sets = StudyData({"pretraining": source, "imagenet_linear": source})
    expanded = grid.expand(STUDY, output, sets)
    store.save(STUDY, expanded, output)
    return expanded


def finish(output, cell, top1, data=()):
    folder = os.path.join(output, cell.folder)
    os.makedirs(folder)
    metrics_file.write(
        folder,
        evaluation=cell.evaluation,
        headline="linear_top1",
        metrics={"linear_top1": top1},
        trunk={"cost": 2.5} if cell.snapshot else {},
        settings={},
        data={},
        details={"chance": {"top1": 0.125}},
        alpha=[0.0, 0.5],
    )
    record(output, cell, outcome="done", seconds=3.0, commit="abc", data=dict(data))


def record(output, cell, **fields):
    state = CellFolder(output, cell)
    os.makedirs(state.path)
    state.write(Record(fingerprint=cell.fingerprint, command="typed", **fields))


def evaluation(cells, row, seed):
    (chosen,) = [
        each
        for each in cells
        if each.rows == (row,) and each.seed == seed and each.kind == "evaluation"
    ]
    return chosen


def test_finished_evaluations_become_measurements(output, cells):
    finish(output, evaluation(cells, "RP", 1), 0.5)
    results = read_results.read(output)
    assert results.study == STUDY
    (measured,) = results.measurements
    assert (measured.row, measured.seed, measured.snapshot) == ("RP", 1, 1)
    assert measured.cost == 2.5 and measured.metrics == {"linear_top1": 0.5}
    assert measured.chance == {"linear_top1": 0.125}
    assert measured.alpha == (0.0, 0.5)
    assert (measured.provenance.command, measured.provenance.commit) == ("typed", "abc")
    states = {each.name: each.state for each in results.cells}
    assert states.pop("imagenet_linear RP snapshot 1 seed 1") == "done"
    assert set(states.values()) == {"waiting"}


def write_state(run, name, cost):
    folder = run / "checkpoints" / name
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"cost": cost}))


def test_a_pretraining_is_shown_at_the_last_snapshot_of_the_study(output, cells):
    run = pathlib.Path(output) / cells[1].folder
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"lasso": 0.0}')
    assert read_results.read(output).pretrainings == ()
    for name, cost in (("checkpoint-9", 0.9), ("checkpoint-10", 1.0)):
        write_state(run, name, cost)
    # A checkpoint that is being written or removed.
    (run / "checkpoints" / "checkpoint-11").mkdir()
    assert [each.cost for each in read_results.read(output).pretrainings] == [1.0]
    # A longer study continues the run.
    write_state(run, "snapshot-001", 2.0)
    write_state(run, "checkpoint-40", 4.0)
    assert [each.cost for each in read_results.read(output).pretrainings] == [2.0]


def test_a_folder_that_only_others_may_write_is_read(output, cells, monkeypatch):
    state = CellFolder(output, cells[1])
    record(output, cells[1], outcome="failed", reason="exit status 1")
    state.take().close()

    def refuse_writing(path, mode="r", **options):
        if mode.strip("rb"):
            raise PermissionError(13, "Permission denied", path)
        return open(path, mode, **options)

    monkeypatch.setattr(cell_state, "open", refuse_writing, raising=False)
    assert state.state() == ("failed", "exit status 1")
    with pytest.raises(UserError, match="lock: cannot be opened: Permission denied"):
        state.take()


def test_states_of_cells(output, cells):
    run = cells[1]
    state = CellFolder(output, run)
    record(output, run, outcome="failed", reason="exit status 1")
    assert state.state() == ("failed", "exit status 1")
    with state.take() as lock:
        assert lock and state.take() is None
        assert state.state() == ("running", "")
    assert state.state()[0] == "failed"
    # Its files have been removed.
    state.write(Record(fingerprint="", command="", outcome="done"))
    assert state.state()[0] == "waiting"


def test_the_list_has_number_state_and_command(output, cells, capsys):
    record(output, cells[1], outcome="failed", reason="exit status 1: full")
    listing.print_cells(cells, output)
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("   1  failed   pretrain relative_position seed 0")
    assert lines[at + 1 : at + 3] == [
        "      exit status 1: full",
        f"      {cells[1].command}",
    ]
    assert lines[-1] == "6 cells: 5 waiting, 1 failed"


def test_the_table_has_means_and_spreads(output, cells):
    for seed, value in ((0, 0.25), (1, 0.75)):
        finish(output, evaluation(cells, "RP", seed), value)
    finish(output, evaluation(cells, "Random", 0), 0.125)
    text = comparison.table(STUDY, read_results.measurements(cells, output))
    assert text.splitlines()[1:] == [
        "Random  0         0.1250",
        "RP      1         0.5000 (0.3536, 2 seeds)",
    ]


def test_changed_data_are_refused(output, cells, tmp_path):
    folder = str(tmp_path / "photos")
    from launch.studies import study_data

    finish(
        output,
        evaluation(cells, "RP", 0),
        0.5,
        {folder: study_data.content(folder)},
    )
    data_check.require_same_data(cells, output)
    build_set(tmp_path / "photos", "1")
    with pytest.raises(UserError, match=r"photos: these data sets have changed since"):
        data_check.require_same_data(cells, output)


def test_several_studies_in_a_folder_are_named(output, cells):
    other = dataclasses.replace(STUDY, name="other")
    store.save(other, cells, output)
    with pytest.raises(UserError, match="several studies: other, test"):
        read_results.read(output)
    assert read_results.read(output, "other").study == other
    with pytest.raises(UserError, match="no study here"):
        read_results.read(os.path.join(output, "cells"))


def test_the_kubernetes_job_has_a_pod_for_each_cell():
    job = yaml.safe_load((ROOT / "launch/recipes/study_job.yaml").read_text())["spec"]
    uses = ("pretraining", "imagenet_linear", "voc07_detection", "nyuv2_depth")
    sets = StudyData(dict.fromkeys(uses, DataSource("/data", "1")))
    cells = grid.expand(named.STUDIES["table1"], "/runs/study", sets)
    assert job["completions"] == job["maxFailedIndexes"] == len(cells)
    (container,) = job["template"]["spec"]["containers"]
    assert "--study=table1" in container["args"][0]


def test_a_damaged_state_is_named(output, cells):
    record(output, cells[0], outcome="done")
    path = os.path.join(CellFolder(output, cells[0]).path, "state.json")
    with open(path, "w") as file:
        json.dump({"outcome": "done"}, file)
    with pytest.raises(UserError, match=r"state\.json: not the state of a cell"):
        CellFolder(output, cells[0]).state()
