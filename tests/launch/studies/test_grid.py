"""Which cells a study has, what they need, and what makes them other cells."""

import dataclasses
import json

import pytest

from launch.studies import cell, grid, named, rows, study_data, study_file
from launch.studies.study import EvaluationPlan, Pretraining, Row, Study
from launch.studies.study_data import DataSource, StudyData
from selfsup.common.errors import UserError
from selfsup.data import manifest
from selfsup.data.manifest import Manifest, Shard

PRIOR = "a,b,prior\n"


def data(content="1", prior=""):
    uses = ("pretraining", *study_data.FOLDERS)
    return StudyData(
        {use: DataSource(f"/data/{use}", content) for use in uses}, color_prior=prior
    )


def study(*chosen, **fields):
    values = {
        "name": "test",
        "description": "",
        "rows": chosen,
        "seeds": (0,),
        "snapshot_cost": 2.0,
        "snapshots": (1, 2),
        "evaluations": (EvaluationPlan("imagenet_linear", {"preset": "tiny"}),),
        "pretraining_flags": {"preset": "tiny"},
        "lasso": 0.1,
    }
    return Study(**{**values, **fields})


def expand(declared, sets=None):
    return grid.expand(declared, "/out", sets or data())


def names(cells):
    return [each.name for each in cells]


RP, COL, RANDOM = (rows.ROWS[name] for name in ("RP", "Col", "Random"))


def test_cells_come_seed_by_seed_after_those_that_they_need():
    cells = expand(study(RANDOM, RP, COL, seeds=(0, 1)))
    known = set()
    for each in cells:
        assert known.issuperset(each.needs)
        known.add(each.name)
    seeds = [each.seed for each in cells if each.kind != "data"]
    assert seeds == [0] * 7 + [1] * 7
    assert names(cells)[:4] == [
        "data color prior",
        "imagenet_linear Random seed 0",
        "pretrain relative_position seed 0",
        "imagenet_linear RP snapshot 1 seed 0",
    ]


def test_the_commands_are_what_a_person_would_type():
    cells = {each.name: each for each in expand(study(RP))}
    run = cells["pretrain relative_position seed 0"]
    assert run.command == (
        "python -m launch.pretrain --data=/data/pretraining "
        f"--model_dir=/out/{run.folder} --tasks=relative_position --preset=tiny "
        "--snapshot_cost=2 --end_cost=4 --steps=100000000 --seed=0"
    )
    last = cells["imagenet_linear RP snapshot 2 seed 0"]
    assert f"--trunk=/out/{run.folder}" in last.command
    assert "--checkpoint=snapshot-002" in last.command
    assert last.needs == (run.name,)


def test_rows_share_a_pretraining():
    lasso = dataclasses.replace(RP, name="RP, lasso", evaluation_lasso=True)
    cells = expand(study(RP, lasso))
    runs = [each for each in cells if each.kind == "pretraining"]
    assert [each.rows for each in runs] == [("RP", "RP, lasso")]
    flags = [each.flags.get("lasso") for each in cells if each.kind == "evaluation"]
    assert flags == [None, None, "0.1", "0.1"]


def test_a_longer_study_continues_the_runs_of_a_shorter_one():
    short, long = (
        {each.name: each for each in expand(study(RP, snapshots=snapshots))}
        for snapshots in ((1,), (1, 2, 3))
    )
    name = "pretrain relative_position seed 0"
    assert short[name].folder == long[name].folder
    assert short[name].finished != long[name].finished
    evaluation = "imagenet_linear RP snapshot 1 seed 0"
    assert short[evaluation].fingerprint == long[evaluation].fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": (1,)},
        {"snapshot_cost": 3.0},
        {"pretraining_flags": {"preset": "small"}},
        {"pretraining_flags": {"preset": "tiny", "rmsprop": "slim"}},
    ],
)
def test_other_settings_are_other_cells(change):
    before = {each.fingerprint for each in expand(study(RP))}
    after = {each.fingerprint for each in expand(study(RP, **change))}
    assert not before & after


def test_other_data_are_other_cells(tmp_path):
    before = expand(study(RANDOM, COL))
    assert not {each.folder for each in before} & {
        each.folder for each in expand(study(RANDOM, COL), data("2"))
    }
    path = tmp_path / "prior.csv"
    path.write_text(PRIOR)
    cells = expand(study(COL), data(prior=str(path)))
    assert f"colorization.prior_file={path}" in cells[0].flags["task_set"]
    path.write_text(PRIOR + "0,0,1\n")
    other = expand(study(COL), data(prior=str(path)))
    assert other[0].fingerprint != cells[0].fingerprint


def test_a_changed_preset_is_another_cell(monkeypatch):
    from selfsup.pretraining import presets

    before = expand(study(RP))
    tiny = presets.PRESETS["tiny"]
    tasks = {**tiny.tasks, "relative_position": {"batch_size": 8}}
    changed = dataclasses.replace(tiny, tasks=tasks)
    monkeypatch.setitem(presets.PRESETS, "tiny", changed)
    assert not set(names_and_digests(before)) & set(
        names_and_digests(expand(study(RP)))
    )


def names_and_digests(cells):
    return [(each.name, each.fingerprint) for each in cells]


def test_labels_have_their_own_schedule_and_are_evaluated_at_its_end():
    labels = Row(
        "labels",
        Pretraining(("imagenet_labels",), flags={"end_cost": "0", "steps": "9"}),
    )
    run, evaluation = expand(study(labels))
    assert run.flags["steps"] == "9" and run.flags["end_cost"] == "0"
    assert run.finished == (f"{run.folder}/validation.json",)
    assert "checkpoint" not in evaluation.flags and evaluation.snapshot == 2


def test_a_synthetic_world_is_built_for_the_cells_that_read_it():
    cells = grid.expand(study(RP, world={"scale": "tiny"}), "/out", None)
    assert names(cells)[:3] == ["data synthetic world", "data imagenet", "data videos"]
    assert cells[3].kind == "pretraining"
    assert set(cells[3].needs) == {"data imagenet", "data videos"}
    assert cells[4].flags["data"].endswith("pretraining/imagenet")


@pytest.mark.parametrize("name", named.STUDIES)
def test_named_studies_expand(name):
    declared = named.STUDIES[name]
    cells = expand(declared)
    pairs = {(row, each.evaluation) for each in cells for row in each.rows}
    for row in declared.rows:
        for plan in declared.evaluations:
            assert (row.name, plan.name) in pairs
    assert study_file.from_json(study_file.to_json(declared), "file") == declared


def test_a_cell_survives_json():
    for each in expand(study(RP, COL)):
        assert cell.from_json(json.loads(json.dumps(each.to_json()))) == each


def test_missing_data_sets_are_listed(tmp_path):
    shard = Shard("a", "train", 1, 1, "0" * 64)
    (tmp_path / "imagenet").mkdir()
    manifest.write(Manifest("photos", (), (shard,)), str(tmp_path / "imagenet"))
    declared = study(
        RP, evaluations=tuple(map(EvaluationPlan, ("imagenet_linear", "nyuv2_depth")))
    )
    with pytest.raises(UserError, match=r"nyuv2_depth: no built data set in .*nyuv2"):
        study_data.find(declared, str(tmp_path), {})
    found = study_data.find(
        declared, str(tmp_path), {"nyuv2_depth": str(tmp_path / "imagenet")}
    )
    assert found.sources["pretraining"].folder == str(tmp_path)
    with pytest.raises(UserError, match=r"^data_for=depth=x: expected USE=DIR"):
        study_data.parse_overrides(["depth=x"])
