"""Files that are no videos but name some are never opened."""

import cv2
import numpy as np
import pytest

from data_prep.trajectories import containers, video
from selfsup.errors import UserError

FRAMES = 6


def _write(path, fourcc):
    """A small video in the container that the path's extension says."""
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    code = cv2.VideoWriter_fourcc(*fourcc)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25.0, (64, 48))
    assert writer.isOpened()
    for shift in range(FRAMES):
        writer.write(np.roll(image, shift, axis=1))
    writer.release()
    return path


# What FFmpeg follows where it may; each names the video beside it.
LISTS = {
    "m3u.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "concat.avi": "ffconcat version 1.0\nfile real.ts\n",
    "session.mkv": "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "mark.mp4": "\ufeff#EXTM3U\n#EXTINF:2,\n{}\n",
    "dash.mp4": '<?xml version="1.0"?><MPD profiles="urn:mpeg:dash:profile:">{}</MPD>',
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_other_files_are_refused(tmp_path, name):
    real = _write(tmp_path / "real.ts", "mpg1")
    assert video.probe(str(real)).frames == FRAMES
    path = tmp_path / name
    path.write_text(LISTS[name].format(real), "utf-8")
    with pytest.raises(UserError, match="begins like no video"):
        video.probe(str(path))
    with pytest.raises(UserError, match="begins like no video"):
        next(video.frames(str(path)))


def test_opencv_would_follow_them(tmp_path):
    """Else this guard were in vain."""
    real = _write(tmp_path / "real.ts", "mpg1")
    for name in ("m3u.mp4", "concat.avi"):
        (tmp_path / name).write_text(LISTS[name].format(real))
        capture = cv2.VideoCapture(str(tmp_path / name), cv2.CAP_FFMPEG)
        assert capture.isOpened() and capture.grab()


@pytest.mark.parametrize(
    "head",
    [
        b"ID3\4\0\0\0\0\0\0#EXTM3U\n",
        b"\xff\xd8\xff\nc=IN IP4 127.0.0.1\n",
        b"Gc=IN IP4 127.0.0.1\n".ljust(188, b"x") + 5 * b"G".ljust(188, b"x"),
        b"#EXT\0",
        b"",
    ],
)
def test_lists_behind_something_else(tmp_path, head):
    (tmp_path / "a.ts").write_bytes(head)
    assert not containers.is_video(tmp_path / "a.ts")


@pytest.mark.parametrize(
    "name, fourcc",
    [
        *(("a.mp4", "mp4v"), ("a.m4v", "mp4v"), ("a.mov", "MJPG"), ("a.3gp", "mp4v")),
        *(("a.mkv", "mp4v"), ("a.webm", "VP80"), ("a.avi", "XVID"), ("a.flv", "FLV1")),
        *(("a.mpg", "mpg1"), ("a.m2v", "mpg2"), ("a.ts", "mpg1"), ("a.vob", "mpg2")),
        *(
            ("a.wmv", "WMV2"),
            ("a.asf", "DIV3"),
            ("a.mjpeg", "MJPG"),
            ("a.m2ts", "mpg2"),
        ),
    ],
)
def test_containers_are_known(tmp_path, name, fourcc):
    path = _write(tmp_path / name, fourcc)
    assert containers.is_video(path)
    assert video.probe(str(path)).frames > 0


def test_a_transport_stream_may_begin_within_a_packet(tmp_path):
    data = _write(tmp_path / "a.ts", "mpg1").read_bytes()
    (tmp_path / "cut.ts").write_bytes(data[100:])
    assert containers.is_video(tmp_path / "cut.ts")
