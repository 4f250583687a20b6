"""A world is generated completely or not at all, and never over other files."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from data_prep.synthetic import options, world
from selfsup.common.errors import UserError

FEW = options.resolve(
    classes=2,
    images_per_class=1,
    validation_images_per_class=1,
    videos=0,
    detection_images=0,
    depth_images=0,
)

NOTHING = options.resolve(
    images_per_class=0, videos=0, detection_images=0, depth_images=0
)


def test_world_describes_itself_and_is_generated_once(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "new" / "world"
    assert world.generate(str(output), FEW, 1)
    described = json.loads((output / "world.json").read_text())
    assert [kind["name"] for kind in described["classes"]] == ["ball", "stool"]
    assert described["options"]["images_per_class"] == 1
    before = os.stat(output / "world.json").st_mtime_ns
    assert not world.generate(str(output), FEW, 1)
    assert os.stat(output / "world.json").st_mtime_ns == before
    other = options.resolve(classes=2, seed=4)
    with pytest.raises(UserError, match="other options"):
        world.generate(str(output), other, 1)
    assert sorted(os.listdir(tmp_path / "new")) == ["world"]


def test_nothing_is_overwritten(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(UserError, match="not empty"):
        world.generate(str(tmp_path), FEW, 1)
    with pytest.raises(UserError, match="is not a folder"):
        world.generate(str(tmp_path / "mine"), FEW, 1)
    with pytest.raises(UserError, match="cannot be written"):
        world.generate(str(tmp_path / "mine" / "below"), FEW, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "keep"


def test_a_killed_run_does_not_prevent_the_next(tmp_path: pathlib.Path) -> None:
    left = tmp_path / ".world.unfinished"
    (left / "imagenet" / "train").mkdir(parents=True)
    (left / "imagenet" / "train" / "half.JPEG").write_text("x")
    (tmp_path / "world").mkdir()
    assert world.generate(str(tmp_path / "world"), FEW, 1)
    assert len(list((tmp_path / "world").rglob("*.JPEG"))) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


def test_a_link_to_an_empty_folder_is_filled(tmp_path: pathlib.Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "world").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "world")
    assert world.generate(str(tmp_path / "link"), FEW, 1)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link" / "world.json").is_file()
    assert sorted(os.listdir(tmp_path / "disk")) == ["world"]
    assert sorted(os.listdir(tmp_path / "disk" / "world")) == ["imagenet", "world.json"]


def test_the_lock_is_held_until_the_folder_is_renamed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, held = os.rename, []

    def watched(source: str, target: str) -> None:
        held.append(os.path.exists(os.path.join(source, ".lock")))
        rename(source, target)

    monkeypatch.setattr(os, "rename", watched)
    world.generate(str(tmp_path / "world"), NOTHING, 1)
    assert held == [True]
    assert os.listdir(tmp_path / "world") == ["world.json"]


def test_a_world_that_another_process_generated_is_kept(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path / "world")
    world.generate(output, NOTHING, 1)
    answers = [False]
    exists = world._exists
    monkeypatch.setattr(
        world, "_exists", lambda *place: answers.pop() if answers else exists(*place)
    )
    assert not world.generate(output, NOTHING, 1)
    assert os.listdir(tmp_path) == ["world"]


def test_no_validation_images_without_training_images() -> None:
    assert options.resolve(images_per_class=0).validation_images_per_class == 0
    both = {"images_per_class": 0, "validation_images_per_class": 3}
    with pytest.raises(
        UserError, match="validation_images_per_class: needs images_per"
    ):
        options.resolve("tiny", **both)


@pytest.mark.parametrize(
    "counts",
    [
        {"classes": 1},
        {"classes": 13},
        {"videos": -1},
        {"frames": 0},
        {"detection_images": 2},
        {"depth_images": 1},
        {"seed": -1},
    ],
)
def test_errors_name_the_count_out_of_range(counts: dict[str, int]) -> None:
    (name,) = counts
    with pytest.raises(UserError, match=f"{name}="):
        options.resolve("tiny", **counts)


def test_counts_of_the_scales() -> None:
    tiny, small = options.resolve("tiny"), options.resolve("small")
    assert (tiny.classes, tiny.images_per_class, tiny.frames) == (8, 60, 36)
    assert options.resolve("small", frames=9).frames == 9
    for name in options.SCALES:
        assert getattr(small, name) > getattr(tiny, name)


def test_interrupt_leaves_nothing(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "world"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "data_prep.synthetic",
            f"--output={output}",
            "--workers=1",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    unfinished = tmp_path / ".world.unfinished"
    while not list(unfinished.glob("videos/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors and "Traceback" not in errors
    assert not list(tmp_path.iterdir())
