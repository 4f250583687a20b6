"""Checks that `path_flags` defines every flag of every command that holds a path."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from launch import feature_extraction
from selfsup.command_line import path_flags
from selfsup.common import paths
from selfsup.common.errors import UserError
from selfsup.export import trunk_export
from selfsup.images import ab_bins
from selfsup.pretraining import configuration
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Flags whose value is a text or a list but not a path, and what the value is. A new flag
# with a text is either defined by path_flags or listed here.
NOT_PATHS = {
    "data_prep.flags.builders": {"beam_options": "options; some of them accept gs://"},
    "data_prep.voc07": {"year": "name", "splits": "names"},
    "eval.evaluation_flags": {
        "checkpoint": "name in a run",
        "preset": "name",
        "depth": "name",
        "set": "KEY=VALUE",
    },
    "eval.voc07_detection.score.__main__": {
        "year": "name",
        "set": "name",
        "competition": "name",
        "iou": "numbers",
    },
    "launch.costs": {"gigabytes": "numbers"},
    "launch.export": {"checkpoint": "name in a run"},
    "launch.import_keras": {"depth": "name"},
    "launch.network_flags": {
        "tasks": "names",
        "task_set": "TASK.KEY=VALUE",
        "trunk_set": "KEY=VALUE",
    },
    "launch.report": {"study": "names"},
    "launch.pretrain": {
        "task_weights": "TASK=NUMBER",
        "rmsprop": "name",
        "groups": "TASK:NUMBER",
    },
    "launch.study": {
        "study": "name, or a path that launch.studies.study_file expands",
        "data_for": "USE=DIR; launch.studies.study_data expands DIR",
    },
    "launch.demo": {"trunk_set": "KEY=VALUE"},
    "launch.quickstart": {"evaluations": "names", "trunk_set": "KEY=VALUE"},
}
# Flags that only TensorFlow reads.
READABLE = {("launch.features", "trunk"), ("launch.import_slim", "checkpoint")}

# Imports each main in a separate process, because several define flags of the same name.
_WALK = """
import importlib, json, os, sys
from absl import flags
from selfsup.command_line import path_flags

def tried(parser, text):
    try:
        return parser.parse(text)
    except ValueError as error:
        return f"refused: {error}"

for main in json.loads(sys.argv[1]):
    if os.fork():
        assert os.wait()[1] == 0, main
        continue
    importlib.import_module(main)
    described = []
    by_module = flags.FLAGS.flags_by_module_dict()
    for module, defined in list(by_module.items()):
        if module.split(".")[0] not in ("selfsup", "data_prep", "eval", "launch"):
            continue
        for flag in defined:
            path = isinstance(flag.parser, path_flags.PathParser)
            described.append({
                "module": module, "name": flag.name, "type": flag.flag_type(),
                "path": path,
                "tried": {text: tried(flag.parser, text) for text in TRIED} if path
                else None,
            })
    print(json.dumps(described), flush=True)
    os._exit(0)
"""
_HOME = "/home/somebody"
_TRIED = ("~/a b", "@~/a", "a/b", "", "gs://b/x", "S3://b/x", "x,~/y", "x,s3://b/y")
# absl's types of a text, a list, and a flag that may be repeated.
_TEXTS = ("string", "comma separated list of strings", "multi string")


def _mains():
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "COMMANDS":
            return sorted(ast.literal_eval(node.value).values())
    raise AssertionError("setup.py has no COMMANDS")


@pytest.fixture(scope="module")
def described():
    """Returns the description of each flag of all mains, by (module, flag)."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _WALK.replace("TRIED", repr(_TRIED)),
            json.dumps(_mains()),
        ],
        cwd=ROOT,
        env={**os.environ, "HOME": _HOME},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(_mains())
    return {
        (flag["module"], flag["name"]): flag
        for line in lines
        for flag in json.loads(line)
    }


def test_each_text_flag_is_a_path_flag_or_listed(described):
    texts = {key for key, flag in described.items() if flag["type"] in _TEXTS}
    named = {(module, name) for module, all in NOT_PATHS.items() for name in all}
    assert texts == named
    assert sum(flag["path"] for flag in described.values()) > 40


def test_each_path_flag_expands_the_home_folder(described):
    for key, flag in described.items():
        if not flag["path"]:
            continue
        tried, path = flag["tried"], f"{_HOME}/a b"
        if flag["type"] == "paths":
            assert tried["~/a b"] == [path], key
            assert tried["x,~/y"] == ["x", f"{_HOME}/y"], key
        elif flag["type"] == "text or @path":
            assert tried["@~/a"] == f"@{_HOME}/a", key
        else:
            assert (tried["~/a b"], tried["a/b"]) == (path, "a/b"), key


def test_each_path_flag_refuses_stores(described):
    for key, flag in described.items():
        if not flag["path"] or flag["type"] == "text or @path":
            continue
        tried = flag["tried"]
        assert tried["S3://b/x"].startswith("refused: "), key
        assert "to this machine" in tried["S3://b/x"]
        # TensorFlow's own wheel reads gs://.
        expected = key in READABLE
        assert (tried["gs://b/x"] == "gs://b/x") == expected, key
        if flag["type"] == "paths":
            assert "s3:// is the address of a store" in tried["x,s3://b/y"]


def test_required_paths_are_not_empty(described):
    for key in (
        ("launch.pretrain", "model_dir"),
        ("data_prep.flags.builders", "output"),
    ):
        assert "is empty" in described[key]["tried"][""]
    # Scripts may pass a variable that is not set.
    assert described["data_prep.soundnet", "list"]["tried"][""] == ""


def _run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("data_prep.photos", "--input=.", "--output=gs://b/x"), "--output=gs://b/x"),
        (
            ("launch.pretrain", "--data=s3://b/x", "--model_dir=run"),
            "--data=s3://b/x",
        ),
        (("launch.demo", "--output", "hdfs://host:1/x"), "--output=hdfs://host:1/x"),
        (("data_prep.inspect", "gs://b/x"), "DIR gs://b/x"),
    ],
)
def test_stores_are_refused_before_anything_is_written(tmp_path, arguments, named):
    done = _run(tmp_path, *arguments)
    assert done.returncode == 1
    assert f"{named}: expected a path of this machine" in done.stderr
    assert "Copy" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_reads_and_writes_below_the_home_folder(tmp_path):
    depths = np.full([1, 4, 5], 2.0, np.float32)
    np.savez(tmp_path / "truth.npz", depths=depths)
    done = _run(
        tmp_path,
        "eval.nyuv2_depth.score",
        "--predictions=~/truth.npz",
        "--truth=~/truth.npz",
        "--output=~/scores.json",
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"truth.npz", "scores.json"}


def test_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert paths.local("~") == "/home/me"
    assert paths.local("./~/x") == "./~/x"
    assert paths.local("a~b:/c//d") == "a~b:/c//d"
    with pytest.raises(
        UserError, match=r"~nobody-here has no home folder .* \./~nobody-here/x"
    ):
        paths.local("~nobody-here/x")
    with pytest.raises(UserError, match="a path without file://"):
        paths.local("file:///x")
    assert paths.readable("ram://x/y") == "ram://x/y"
    with pytest.raises(UserError, match=r"cannot read nowhere://, only .*ram://"):
        paths.readable("nowhere://x/y")


def test_a_path_with_a_comma_that_exists_is_one_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = path_flags.PathsParser()
    assert parser.parse("~/a,b") == [f"{tmp_path}/a", "b"]
    (tmp_path / "a,b").mkdir()
    assert parser.parse("~/a,b") == [f"{tmp_path}/a,b"]
    with pytest.raises(ValueError, match="has an empty part"):
        parser.parse("a,,b")


def test_a_path_in_a_config_field(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    ab_bins.write_prior(str(tmp_path / "prior.csv"), ab_bins.imagenet_prior())

    def prior_file(text):
        override = f"colorization.prior_file={text}"
        config = configuration.resolve(
            "tiny", ["colorization"], task_overrides=[override]
        )
        return config.tasks["colorization"].prior_file

    assert prior_file("~/prior.csv") == str(tmp_path / "prior.csv")
    with pytest.raises(UserError, match=r"prior_file=gs://b/x: expected a path"):
        prior_file("gs://b/x")


def _copy_to(address, folder):
    import tensorflow as tf

    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            target = f"{address}/{path.relative_to(folder)}"
            tf.io.gfile.makedirs(os.path.dirname(target))
            tf.io.gfile.copy(str(path), target, overwrite=True)


@pytest.mark.slow
def test_features_read_a_trunk_by_tensorflows_file_system(tmp_path):
    from PIL import Image

    trunk_export.save(tmp_path / "trunk", ResNetV2(TrunkConfig("tiny")), card={})
    _copy_to("ram://features/trunk", tmp_path / "trunk")
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, [64, 64, 3], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")

    def extract(trunk, name):
        output = str(tmp_path / name)
        photos = str(tmp_path / "photos")
        assert feature_extraction.extract(trunk, photos, output, 64, 1) == 1
        with np.load(output) as stored:
            return stored["features"]

    expected = extract(str(tmp_path / "trunk"), "local.npz")
    np.testing.assert_array_equal(
        extract("ram://features/trunk", "remote.npz"), expected
    )
    with pytest.raises(
        UserError, match=r"^trunk=ram://features/none: not a SavedModel"
    ):
        feature_extraction.extract(
            "ram://features/none", str(tmp_path), str(tmp_path / "new" / "x.npz"), 64, 1
        )
    assert not (tmp_path / "new").exists()
