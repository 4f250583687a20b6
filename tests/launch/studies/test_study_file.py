"""Studies in JSON files, and what is said about wrong ones."""

import json

import pytest

from launch.studies import named, study_file
from launch.studies.rows import ROWS
from launch.studies.study import EvaluationPlan, Pretraining
from selfsup.common.errors import UserError

GOOD = {
    "description": "Two rows.",
    "rows": ["Random", {"name": "mine", "pretraining": {"tasks": ["colorization"]}}],
    "snapshot_cost": 0.5,
    "evaluations": ["nyuv2_depth", {"name": "few_labels", "flags": {"steps": 3}}],
}


def row(**pretraining):
    return {
        "rows": [{"name": "a", "pretraining": {"tasks": ["rotation"], **pretraining}}]
    }


def load(tmp_path, fields):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(fields))
    return study_file.load(str(path))


def test_a_file_declares_a_study(tmp_path):
    study = load(tmp_path, GOOD)
    assert study.name == "mine"
    assert study.rows[0] == ROWS["Random"]
    assert study.rows[1].pretraining == Pretraining(("colorization",))
    assert study.evaluations[1] == EvaluationPlan("few_labels", {"steps": "3"})
    assert (study.seeds, study.snapshots) == ((0,), (1,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "colour: unknown"),
        ({"rows": []}, "rows: expected a list"),
        ({"rows": ["RP+"]}, r"rows\[0\]: 'RP\+' is no row"),
        ({"rows": ["RP", "RP"]}, "rows: the name 'RP' is used twice"),
        (
            {"rows": [{"name": "a", "pretraining": {"tasks": ["x"]}}]},
            r"tasks\[0\]: exp",
        ),
        ({"rows": [{"pretraining": None}]}, r"rows\[0\]\.name: is missing"),
        ({"seeds": [0, 0]}, "seeds: expected a list of different"),
        ({"snapshots": [0]}, "snapshots: expected"),
        ({"snapshot_cost": -1}, "snapshot_cost: expected a number"),
        ({"snapshot_cost": 0}, "snapshot_cost: expected a number above 0"),
        ({"evaluations": ["imagenet"]}, r"evaluations\[0\]: expected one of"),
        ({"rows": ["Pre-train Only Lasso"]}, "lasso: expected a weight"),
        ({"pretraining_flags": {"preset": []}}, r"pretraining_flags\.preset: expected"),
        (
            {"pretraining_flags": {"model_dir": "a"}},
            r"flags\.model_dir: the study sets",
        ),
        ({"pretraining_flags": {"steps": 9}}, r"flags\.steps: the study sets"),
        (
            {"evaluations": [{"name": "nyuv2_depth", "flags": {"output": "a"}}]},
            r"evaluations\[0\]\.flags\.output: the study sets",
        ),
        (row(tasks=["rotation", "rotation"]), "a task is listed twice"),
        (row(flags={"seed": 1}), r"pretraining\.flags\.seed: the study sets"),
        (row(flags={"steps": 9}), "steps together with end_cost 0"),
        (row(flags={"steps": 9, "end_cost": "x"}), "steps together with end_cost 0"),
        (row(flags={"end_cost": 0}), "steps together with end_cost 0"),
    ],
)
def test_errors_name_file_and_field(tmp_path, change, message):
    with pytest.raises(UserError, match=rf"mine\.json: .*{message}"):
        load(tmp_path, {**GOOD, **change})


def test_tasks_have_the_order_of_their_registry(tmp_path):
    study = load(tmp_path, {**GOOD, **row(tasks=["exemplar", "relative_position"])})
    assert study.rows[0].pretraining.tasks == ("relative_position", "exemplar")


def test_a_schedule_of_its_own_is_accepted(tmp_path):
    study = load(tmp_path, {**GOOD, **row(flags={"steps": 9, "end_cost": 0})})
    assert study.rows[0].pretraining.has_own_schedule


@pytest.mark.parametrize("name", named.STUDIES)
def test_named_studies_are_read_back(name):
    study = named.STUDIES[name]
    stored = json.loads(json.dumps(study_file.to_json(study)))
    assert study_file.from_json(stored, "stored.json") == study


def test_unknown_studies_are_refused(tmp_path):
    with pytest.raises(UserError, match="named studies are: table1"):
        study_file.load("table9")
    with pytest.raises(UserError, match="no such file"):
        study_file.load(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        study_file.load(str(tmp_path / "bad.json"))
