import subprocess
import sys

import pytest

from data_prep.sources import video_builder, video_listing
from selfsup.data import manifest as manifests
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Layer, Path, Scene

CAMERA = Path(pan=(1.0, 0.5))
OBJECT = Layer("gravel", (150, 120), (60, 50), Path(pan=(-3.0, 1.0)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos with and without moving objects, and a video that is too short."""
    root = tmp_path_factory.mktemp("videos")
    (root / "part1").mkdir()
    moving, _ = scenes.render(Scene("immunohistochemistry", CAMERA, (OBJECT,)), 12)
    scenes.write(root / "part1" / "0001.avi", moving)
    scenes.write(root / "short.avi", moving[:11])
    still, _ = scenes.render(Scene("immunohistochemistry", CAMERA), 12)
    scenes.write(root / "still.avi", still)
    scenes.write(root / "unlisted.avi", still)
    return root


@pytest.fixture(scope="module")
def built(folder, tmp_path_factory):
    """(what the command prints, the manifest)."""
    output = tmp_path_factory.mktemp("soundnet")
    (output / "list.txt").write_text(
        "http://host.example/0001/\nstill.avi\nshort\nhttp://host.example/gone\n"
    )
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "data_prep.soundnet",
            f"--input={folder}",
            f"--output={output / 'built'}",
            f"--list={output / 'list.txt'}",
            "--min_frames=12",
            "--workers=1",
            "--validation_fraction=0",
        ],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr, manifests.read(str(output / "built" / "manifest.json"))


def test_frames_with_a_moving_object_are_used(built):
    _, manifest = built
    assert manifest.kind == manifests.VIDEO_FRAMES
    assert manifest.records("train") == 2
    assert manifest.options == {
        "frames_per_video": 4,
        "track_length": 10,
        "mask_people": False,
        "min_foreground": 0.01,
        "max_foreground": 0.8,
        "min_frames": 12,
        "min_seconds": 0.0,
        "jpeg_quality": 95,
        "max_videos": 0,
    }


def test_frames_left_out_are_counted_by_reason(built):
    printed, manifest = built
    assert (manifest.inputs["found"], manifest.inputs["used"]) == (4, 1)
    assert manifest.inputs["counts"] == {
        "frames used": 2,
        "frames left out, too little foreground": 2,
        "frames left out, too much foreground": 0,
        "frames left out, camera unknown": 0,
    }
    assert "list.txt: 4 videos, 1 of them not on disk" in printed
    assert "frames left out, too little foreground: 2" in printed
    with open(f"{manifest.directory}/set_aside.tsv") as file:
        reasons = dict(line.rstrip("\n").split("\t") for line in file)
    assert reasons == {
        "http://host.example/gone": video_listing.MISSING,
        "short.avi": "too short: has 11 frames, needs 12",
        "still.avi": "none of 2 frames: 2 too little foreground",
    }


def test_a_subset_of_a_tree(folder, tmp_path):
    output = str(tmp_path / "built")
    videos = video_listing.find_videos(str(folder), output)
    (chosen,) = video_listing.choose(videos, 1)
    manifest = video_builder.build_videos(
        directory=str(folder),
        output=output,
        max_videos=1,
        conversion={"frames_per_video": 1},
        workers=1,
    )
    assert manifest.inputs["found"] == manifest.inputs["used"] == 1
    assert manifest.options["max_videos"] == 1
    (shard,) = manifest.shards
    assert chosen.key.encode() in (tmp_path / "built" / shard.file).read_bytes()
