"""Scores of files of depth maps, and the command."""

import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import nyu_files
import pytest
import tensorflow as tf

from eval.nyuv2_depth.score import depth_files, scoring
from eval.nyuv2_depth.score.depth_metrics import DepthMetrics
from selfsup.common.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "evaluations" / "nyuv2_score.md"
RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(1, 9, [3, 12, 16]).astype(np.float32)
TRUTH[0, :4] = 0
TRUTH[1, 2:5] = np.nan
PREDICTED = (RNG.uniform(0.8, 1.6, TRUTH.shape) * np.nan_to_num(TRUTH) + 0.1).astype(
    np.float32
)
KEYS = ["office/1", "office/2", "küche/3"]


def _save(folder, name, depths, **arrays):
    np.savez_compressed(folder / f"{name}.npz", depths=depths, **arrays)
    return folder / f"{name}.npz"


@pytest.fixture
def truth(tmp_path):
    return _save(tmp_path, "truth", TRUTH, keys=KEYS)


def _expected(predicted, truth):
    metrics = DepthMetrics()
    metrics.add(predicted, truth, np.nan_to_num(truth) > 0)
    return pytest.approx(metrics.result(), rel=1e-9)


def test_unknown_pixels_are_left_out(tmp_path, truth):
    path = _save(tmp_path, "predicted", PREDICTED, keys=KEYS)
    report, notes = scoring.score(path, truth)
    assert report["metrics"] == _expected(PREDICTED, TRUTH)
    assert report["pixels"] == 3 * 12 * 16 - 4 * 16 - 3 * 16
    assert (report["images"], report["images_without_truth"], notes) == (3, 0, [])


def test_keys_match_in_any_order(tmp_path, truth):
    order = [2, 0, 1]
    depths = np.concatenate([PREDICTED[order], PREDICTED[:1]])
    keys = [*np.array(KEYS)[order], "more"]
    path = _save(tmp_path, "predicted", depths, keys=keys)
    report, notes = scoring.score(path, truth)
    assert report["metrics"] == _expected(PREDICTED, TRUTH)
    assert notes == ["1 predictions without truth were not scored"]


def test_without_keys_the_order_matches(tmp_path, truth):
    path = _save(tmp_path, "predicted", PREDICTED[..., None])
    report, notes = scoring.score(path, truth)
    assert report["metrics"] == _expected(PREDICTED, TRUTH)
    assert notes == ["matched by order, because the files do not both have keys"]


def test_bytes_are_keys_too(tmp_path, truth):
    keys = np.array([key.encode() for key in KEYS])
    path = _save(tmp_path, "predicted", PREDICTED.astype(np.float16), keys=keys)
    report, _ = scoring.score(path, truth)
    assert report["metrics"] == _expected(PREDICTED.astype(np.float16), TRUTH)


@pytest.mark.parametrize("size", [(6, 8), (5, 9), (24, 30)])
def test_predictions_are_resized_as_tensorflow_does(tmp_path, truth, size):
    depths = RNG.uniform(1, 9, [3, *size]).astype(np.float32)
    resized = tf.image.resize(depths[..., None], [12, 16])[..., 0].numpy()
    for row, depth in zip(resized, depths):
        np.testing.assert_allclose(scoring.resize(depth, [12, 16]), row, atol=1e-5)
    path = _save(tmp_path, "predicted", depths, keys=KEYS)
    report, notes = scoring.score(path, truth)
    expected = _expected(resized, TRUTH).expected
    assert report["metrics"] == pytest.approx(expected, abs=1e-3)
    assert notes == [
        f"predictions of {size[0]}x{size[1]} were resized to 12x16, bilinearly"
    ]


def test_predictions_are_clipped(tmp_path, truth):
    path = _save(tmp_path, "predicted", PREDICTED * 3 - 9)
    report, _ = scoring.score(path, truth, min_depth=0.5, max_depth=7)
    expected = _expected(np.clip(PREDICTED * 3 - 9, 0.5, 7), TRUTH)
    assert report["metrics"] == expected
    report, _ = scoring.score(path, truth, max_depth=7)
    assert report["metrics"] == _expected(np.minimum(PREDICTED * 3 - 9, 7), TRUTH)


def test_crop_of_eigen_et_al(tmp_path):
    """Predictions are right only inside the 427x561 pixels."""
    predicted = np.full([1, 480, 640], 9, np.float32)
    predicted[:, 45 - 1 : 471, 41 - 1 : 601] = 1
    path = _save(tmp_path, "predicted", predicted)
    truth = _save(tmp_path, "true", np.ones_like(predicted))
    report, _ = scoring.score(path, truth, crop="eigen")
    assert report["pixels"] == 427 * 561
    assert report["metrics"]["under_1.25"] == 1.0
    report, _ = scoring.score(path, truth)
    assert report["metrics"]["under_1.25"] == 427 * 561 / (480 * 640)


def test_images_without_truth_are_counted(tmp_path):
    depths = np.stack([TRUTH[2], np.zeros([12, 16], np.float32)])
    truth = _save(tmp_path, "true", depths)
    report, _ = scoring.score(_save(tmp_path, "predicted", depths), truth)
    assert report["images_without_truth"] == 1
    assert report["metrics"]["under_1.25"] == 1.0


class _Unpickled:
    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path("unpickled"),))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"depth": TRUTH}, "has no array depths, but depth; expected an .npz file"),
        ({"depths": TRUTH[0]}, r"depths is float32 \(12, 16\)"),
        ({"depths": TRUTH[:0]}, r"depths is float32 \(0, 12, 16\)"),
        ({"depths": np.ones([3, 12, 16, 3])}, r"float64 \(3, 12, 16, 3\)"),
        ({"depths": np.ones([3, 12, 16], np.uint16)}, r"depths is uint16"),
        ({"depths": np.array([_Unpickled()])}, "allow_pickle=False"),
        ({"depths": TRUTH, "keys": KEYS[:2]}, r"keys is <U8 \(2,\), for 3 depth maps"),
        ({"depths": TRUTH, "keys": [1, 2, 3]}, "keys is int64"),
        ({"depths": TRUTH, "keys": ["a", "b", "a"]}, "or contains duplicates"),
        (
            {"depths": TRUTH, "keys": ["a", "b", "c"]},
            "no prediction for 3 of 3",
        ),
        ({"depths": TRUTH[:2]}, "2 predictions and 3 true depth maps"),
        ({"depths": TRUTH * np.nan, "keys": KEYS}, "image office/1: 128 predicted"),
    ],
)
def test_bad_predictions(tmp_path, truth, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=message):
        scoring.score(tmp_path / "bad.npz", truth)
    assert not pathlib.Path("unpickled").exists()


@pytest.mark.parametrize("value", [-1.0, np.inf])
def test_bad_truth(tmp_path, value):
    depths = np.where(TRUTH[2, 3, 4] == TRUTH, value, TRUTH).astype(np.float32)
    truth = _save(tmp_path, "true", depths)
    with pytest.raises(UserError, match=r"image 2 \(from 0\): 1 true depths"):
        scoring.score(_save(tmp_path, "predicted", PREDICTED), truth)


def test_files_of_another_format(tmp_path, truth):
    whole = truth.read_bytes()
    np.save(tmp_path / "array.npy", TRUTH)
    for name, data in [
        ("empty.npz", b""),
        ("text.npz", b"depths 1 2 3"),
        ("cut.npz", whole[: len(whole) // 2]),
        ("rotten.npz", whole[:300] + bytes(200) + whole[500:]),
    ]:
        (tmp_path / name).write_bytes(data)
    for name in ("empty.npz", "text.npz", "cut.npz", "rotten.npz", "array.npy", "no"):
        with pytest.raises(UserError, match=f"/{name}: .*; expected "):
            depth_files.read(tmp_path / name)


def test_truth_from_the_authors_files(tmp_path, monkeypatch):
    """The code of the documentation, on files in the authors' formats."""
    monkeypatch.chdir(tmp_path)
    images, depths, raw = nyu_files.labelled_arrays(frames=4)
    nyu_files.write_labelled("nyu_depth_v2_labeled.mat", images, depths, raw)
    nyu_files.write_splits("splits.mat", train=[1, 3], test=[2, 4])
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1], {})
    truth = depth_files.read("truth.npz")
    np.testing.assert_array_equal(truth.depths, depths[[1, 3]])
    assert truth.keys == ("labelled/00002", "labelled/00004")


def test_crop_is_for_one_size(tmp_path, truth):
    path = _save(tmp_path, "predicted", PREDICTED)
    with pytest.raises(UserError, match=r"^crop=eigen: is for 480x640, .* 12x16"):
        scoring.score(path, truth, crop="eigen")


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "eval.nyuv2_depth.score", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def test_the_command(tmp_path, truth):
    path = _save(tmp_path, "predicted", PREDICTED, keys=KEYS)
    given = [f"--predictions={path}", f"--truth={truth}"]
    done = _run(*given, f"--output={tmp_path / 'metrics.json'}", "--min_depth=0.1")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert report["metrics"] == _expected(np.maximum(PREDICTED, 0.1), TRUTH)
    percent = 100 * report["metrics"]["under_1.25"]
    assert f" {percent:.2f} %" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == "over 464 pixels of 3 images"
    done = _run(*given, "--min_depth=2", "--max_depth=1")
    assert done.returncode == 1
    assert done.stderr == "error: --min_depth=2: is greater than --max_depth=1\n"
