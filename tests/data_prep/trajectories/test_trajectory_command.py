import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_prep.media import video_reading
from data_prep.trajectories import extraction, preview
from selfsup.common.errors import UserError
from tests.data_prep.trajectories import clips, scenes
from tests.data_prep.trajectories.scenes import Layer, Path, Scene

FRAMES = 9


@pytest.fixture(scope="module")
def images():
    layer = Layer("astronaut", (160, 120), (60, 50), Path(pan=(3.0, 0.0)))
    return scenes.render(Scene("coffee", Path(pan=(0.0, 2.5)), (layer,)), FRAMES)[0]


@pytest.fixture(scope="module")
def clip(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "100%d clip.avi"
    scenes.write(path, images)
    return path


def run_command(*flags):
    return subprocess.run(
        [sys.executable, "-m", "data_prep.trajectories", *map(str, flags)],
        capture_output=True,
        text=True,
    )


def test_command_writes_tracks_and_preview(clip, tmp_path):
    output, drawn = tmp_path / "new" / "tracks.npz", tmp_path / "new" / "drawn.mp4"
    ended = run_command(
        f"--video={clip}",
        f"--output={output}",
        "--track_length=6",
        f"--preview={drawn}",
    )
    assert ended.returncode == 0, ended.stderr
    assert f"{FRAMES} frames" in ended.stderr
    with np.load(output) as tracks:
        count = len(tracks["points"])
        assert count > 500
        assert tracks["points"].shape == (count, 7, 2)
        assert tracks["points"].dtype == np.float32
        assert set(tracks["end_frame"]) == {6, 7, 8}
        assert tracks["scale"].min() == 1.0
        assert tracks["camera_motion"].dtype == bool
        assert 0.1 < tracks["camera_motion"].mean() < 0.95
    assert video_reading.probe(drawn).frames == FRAMES
    assert sorted(os.listdir(tmp_path / "new")) == ["drawn.mp4", "tracks.npz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"no video", "cannot be opened as a video")],
)
def test_the_command_reports_errors(tmp_path, content, message):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    ended = run_command(f"--video={path}", f"--output={tmp_path / 'tracks.npz'}")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {path}: ")
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_frames_are_read_as_they_were_written(clip, images):
    read = dict(video_reading.read_frames(clip))
    assert sorted(read) == list(range(FRAMES))
    error = np.abs(read[3].astype(float) - images[3])
    assert error.mean() < 5
    chosen = dict(video_reading.read_frames(clip, wanted={2, 5}, size=(120, 200)))
    assert sorted(chosen) == [2, 5]
    expected = cv2.resize(read[5], (200, 120), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(chosen[5], expected)
    assert dict(video_reading.read_frames(clip, wanted=set())) == {}


def test_probe_counts_decodable_frames(clip, tmp_path):
    info = video_reading.probe(clip)
    assert (info.frames, info.fps, info.truncated) == (FRAMES, 25.0, "")
    assert (info.height, info.width) == (240, 320)
    half = tmp_path / "half.avi"
    half.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    info = video_reading.probe(half)
    assert 0 < info.frames < FRAMES
    assert info.truncated


def test_probe_refuses_a_file_without_frames(clip, tmp_path):
    header = tmp_path / "header.avi"
    header.write_bytes(clip.read_bytes().partition(b"movi")[0] + b"movi")
    with pytest.raises(UserError, match=r"header\.avi: "):
        video_reading.probe(header)


def test_command_takes_names_of_any_bytes_and_turned_videos(images, tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"d\xe9")
    os.mkdir(folder)
    turned = clips.write(tmp_path / "turned.mp4", images=list(images[:5]))
    clips.with_matrix(turned, 0, 1, -1, 0)
    os.rename(turned, folder + b"/caf\xe9.mp4")
    names = [folder + name for name in (b"/caf\xe9.mp4", b"/\xe9.npz", b"/\xe9.mp4")]
    flags = [b"--video=" + names[0], b"--output=" + names[1], b"--preview=" + names[2]]
    ended = run_command("--track_length=2", *map(os.fsdecode, flags))
    assert ended.returncode == 0, ended.stderr
    info = video_reading.probe(os.fsdecode(names[2]))
    assert (info.frames, info.height, info.width) == (5, 320, 240)
    with np.load(names[1]) as tracks:
        assert 240 < tracks["points"][..., 1].max() <= 320


def test_preview_draws_tracks_up_to_their_frame():
    points = np.float32(
        [[[10, 10], [20, 10], [30, 10]], [[10, 40], [20, 40], [30, 40]]]
    )
    tracks = extraction.Trajectories(
        points=points,
        end_frame=np.array([7, 7], np.int32),
        scale=np.ones(2, np.float32),
        camera_motion=np.array([False, True]),
    )
    drawn = {}
    for frame in (4, 6, 8):
        drawn[frame] = np.zeros([50, 50, 3], np.uint8)
        preview.draw(drawn[frame], tracks, frame)
    assert not drawn[4].any()
    assert not drawn[8].any()
    # Anti-aliased lines reach their colors only nearly.
    np.testing.assert_allclose(drawn[6][10, 15], preview.FOREGROUND_COLOR, atol=40)
    np.testing.assert_allclose(drawn[6][40, 15], preview.CAMERA_COLOR, atol=40)
    assert not drawn[6][:, 25:].any()
