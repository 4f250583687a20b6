"""Pictures and times of video files in many containers, as a player shows them."""

from __future__ import annotations

import io
import os

import av
import numpy as np
import pytest

from data_prep.media import video_reading, video_writing
from selfsup.common.errors import UserError
from tests.data_prep.trajectories import clips

FRAMES = 20
# File name, encoder of the pictures and encoder of the sound.
CONTAINERS = [
    ("a.mp4", "mpeg4", "aac"), ("a.m4v", "libx264", None),
    ("a.mov", "mpeg4", "aac"), ("a.3gp", "mpeg4", None),
    ("a.mkv", "libx264", "libopus"), ("a.webm", "libvpx", "libopus"),
    ("a.avi", "mpeg4", "mp2"), ("a.flv", "flv", "aac"), ("a.wmv", "wmv2", "mp2"),
    ("a.mpg", "mpeg1video", "mp2"), ("a.vob", "mpeg2video", "mp2"),
    ("a.ts", "mpeg2video", "mp2"), ("a.m2ts", "libx264", None),
    ("a.ogv", "libvpx", "libopus"), ("a.m2v", "mpeg2video", None),
    ("a.gif", "gif", None), ("a.mjpeg", "mjpeg", None), ("a.y4m", "rawvideo", None),
]  # fmt: skip
PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p"}


def write(folder, name, codec, audio=None, seconds=3.0, **options):
    return clips.write(
        folder / name,
        codec,
        audio=audio,
        seconds=seconds,
        pixels=PIXELS.get(codec, "yuv420p"),
        **options,
    )


@pytest.mark.parametrize(("name", "codec", "audio"), CONTAINERS)
def test_every_picture_is_read_although_the_sound_is_longer(
    tmp_path, name, codec, audio
):
    path = write(tmp_path, name, codec, audio)
    info = video_reading.probe(str(path))
    assert (info.frames, info.truncated) == (FRAMES, "")
    assert info.seconds == pytest.approx(FRAMES / clips.FPS, abs=0.011)
    assert info.fps == pytest.approx(clips.FPS, abs=0.4)
    np.testing.assert_allclose(info.times, np.arange(FRAMES) / clips.FPS, atol=0.011)
    assert (info.height, info.width) == (clips.HEIGHT, clips.WIDTH)
    indices, images = zip(*video_reading.read_frames(str(path)))
    assert list(indices) == list(range(FRAMES))
    error = [
        np.abs(x - y.astype(float)).mean() for x, y in zip(images, clips.moving(FRAMES))
    ]
    # GIF has 256 colors.
    assert max(error) < (45 if codec == "gif" else 25)


@pytest.mark.parametrize("sound_first", [False, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_last_pictures_are_read(tmp_path, name, sound_first):
    """A decoder of H.264 keeps some pictures until it is flushed."""
    path = write(tmp_path, name, "libx264", "aac", sound_first=sound_first)
    with av.open(str(path)) as container:
        assert container.streams.video[0].index == int(sound_first)
    assert video_reading.probe(str(path)).frames == FRAMES
    assert len(list(video_reading.read_frames(str(path)))) == FRAMES


def test_other_streams_are_ignored(tmp_path):
    """For example time codes, or the positions and motions that phones record."""
    path = write(tmp_path, "a.mov", "libx264", metadata={"timecode": "00:00:00:00"})
    with av.open(str(path)) as container:
        assert len(container.streams.data) == 1
    info = video_reading.probe(str(path))
    assert (info.frames, info.truncated) == (FRAMES, "")
    assert len(list(video_reading.read_frames(str(path)))) == FRAMES


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "mpeg4", {"movflags": "faststart"}),
        ("a.avi", "mpeg4", {}),
        ("a.mov", "libx264", {"movflags": "faststart"}),
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx", {}),
        ("a.flv", "flv", {}),
    ],
)
@pytest.mark.parametrize("sound", [False, True])
def test_files_that_were_cut_off_are_truncated(tmp_path, name, codec, options, sound):
    audio = (
        {"webm": "libopus", "mkv": "libopus"}.get(name[2:], "mp2") if sound else None
    )
    audio = "aac" if sound and name[2:] in ("mp4", "mov", "flv") else audio
    short = write(tmp_path, "short" + name, codec, images=clips.moving(3), **options)
    assert not video_reading.probe(str(short)).truncated
    images = clips.moving(80)
    path = write(tmp_path, name, codec, audio, seconds=3.2, images=images, **options)
    assert not video_reading.probe(str(path)).truncated
    info = video_reading.probe(str(clips.cut(path, 0.6)))
    assert 0 < info.frames < len(images)
    assert "that the header declares" in info.truncated or (
        "cannot be decoded, but data continue" in info.truncated
    )


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.ts", "mpeg2video", {}),
        ("a.mpg", "mpeg1video", {}),
        ("a.mkv", "mpeg4", {"live": "1"}),
        ("a.wmv", "wmv2", {}),
    ],
)
def test_files_without_a_declared_duration_are_used(tmp_path, name, codec, options):
    """In streaming formats, nothing shows that pictures are missing."""
    images = clips.moving(80)
    path = clips.cut(write(tmp_path, name, codec, images=images, **options), 0.7)
    info = video_reading.probe(str(path))
    assert len(images) // 4 < info.frames < len(images)
    assert not info.truncated


def test_hidden_pictures_do_not_count_as_missing(tmp_path):
    """The number of pictures in MP4 includes those that an edit list hides."""
    path = clips.trimmed(
        write(tmp_path, "a.mp4", "mpeg4", images=clips.moving(50)), 30, 15
    )
    info = video_reading.probe(str(path))
    assert (info.frames, info.truncated) == (15, "")
    assert info.seconds == pytest.approx(0.6)
    first = next(video_reading.read_frames(str(path)))[1]
    assert np.abs(first - clips.moving(50)[30].astype(float)).mean() < 25


def test_a_file_whose_end_was_never_written_is_truncated(tmp_path):
    """An interrupted download may leave a whole index, and zeros for data."""
    path = write(tmp_path, "a.mp4", "libx264", movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10].ljust(len(data), b"\0"))
    info = video_reading.probe(str(path))
    assert 0 < info.frames < FRAMES
    assert info.truncated.startswith("frames after 0.")
    assert info.truncated.endswith("cannot be decoded, but data continue to 0.76 s")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.mp4", "mpeg4")]
)
def test_times_are_those_of_the_file(tmp_path, name, codec):
    times = [0, 30, 70, 90, 1000, 1030, 4000, 4040]
    path = write(tmp_path, name, codec, images=clips.moving(8), times=times)
    info = video_reading.probe(str(path))
    np.testing.assert_allclose(info.times, np.divide(times, 1000), atol=0.002)
    assert 4.04 < info.seconds < 4.2
    assert not info.truncated


def test_joined_streams_are_read_as_one_video(tmp_path):
    """The time stamps jump back; every picture is read, in ascending order of time."""
    path = write(tmp_path, "a.ts", "mpeg2video")
    path.write_bytes(2 * path.read_bytes())
    info = video_reading.probe(str(path))
    assert info.frames == 2 * FRAMES
    assert (np.diff(info.times) > 0).all()


# a, b, c, d of the display matrix, and how a player shows a stored picture.
ORIENTATIONS = [
    ((1, 0, 0, 1), lambda x: x),
    ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
    ((1, 0, 0, -1), lambda x: x[::-1]),
    ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    ((0, -1, 1, 0), lambda x: np.rot90(x, 1)),
    ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
    ((0, -1, -1, 0), lambda x: np.rot90(x, 2).swapaxes(0, 1)),
]


@pytest.mark.parametrize(("matrix", "turn"), ORIENTATIONS)
def test_pictures_are_rotated_and_mirrored(tmp_path, matrix, turn):
    path = write(tmp_path, "a.mp4", "mpeg4", images=3 * [clips.picture()])
    clips.with_matrix(path, *matrix)
    expected = turn(clips.picture()).astype(float)
    info = video_reading.probe(str(path))
    assert (info.height, info.width) == expected.shape[:2]
    for _, image in video_reading.read_frames(str(path)):
        assert image.shape == expected.shape
        assert np.median(np.abs(image - expected)) < 6
    expected = turn(clips.picture(24, 32)).astype(float)
    _, image = next(video_reading.read_frames(str(path), size=expected.shape[:2]))
    assert np.median(np.abs(image - expected)) < 6


def test_a_quarter_turn_has_the_direction_of_ffmpeg(tmp_path):
    path = write(tmp_path, "a.mp4", "mpeg4", images=3 * [clips.picture()])
    clips.with_matrix(path, 0, -1, 1, 0)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == 90  # Counter-clockwise.


@pytest.mark.parametrize(("space", "yuv"), [(1, (63, 102, 240)), (5, (81, 90, 240))])
def test_colors_are_those_that_the_stream_declares(tmp_path, space, yuv):
    """Red, in BT.709 and in BT.601."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = space, 1
        frame = av.VideoFrame(32, 32, "yuv420p")
        for plane, value in zip(frame.planes, yuv):
            plane.update(bytes([value]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    _, image = next(video_reading.read_frames(str(path)))
    np.testing.assert_allclose(image[16, 16], [0, 0, 255], atol=3)


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("libx264", "yuv420p10le"),
        ("libx264", "yuvj420p"),
        ("libx265", "yuv420p10le"),
        ("libaom-av1", "yuv420p"),
    ],
)
def test_new_codecs_and_deep_pixels_are_read(tmp_path, codec, pixels):
    images = 3 * [clips.picture(64, 96)]
    path = clips.write(tmp_path / "a.mp4", codec, images, pixels=pixels)
    assert video_reading.probe(str(path)).frames == 3
    for _, image in video_reading.read_frames(str(path)):
        assert np.median(np.abs(image.astype(float) - images[0])) < 6


def test_a_picture_of_another_size_is_resized(tmp_path):
    """The size changes in some streams, as when a phone is rotated while it records."""
    parts = [
        write(tmp_path, f"{n}.m2v", "mpeg2video", images=3 * [clips.picture(*size)])
        for n, size in enumerate([(48, 64), (64, 48)])
    ]
    path = tmp_path / "a.m2v"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    shapes = [image.shape for _, image in video_reading.read_frames(str(path))]
    # FFmpeg drops the last picture before the change.
    assert shapes == 5 * [(48, 64, 3)]


@pytest.mark.parametrize(
    ("code", "name"), [(b"evc1", "evc (evc1 "), (b"zzzz", "unknown (zzzz ")]
)
def test_a_codec_that_cannot_be_decoded_is_named(tmp_path, code, name):
    path = write(tmp_path, "a.mp4", "mpeg4")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"mp4v", code).replace(b"esds", b"free"))
    with pytest.raises(UserError) as raised:
        video_reading.probe(str(path))
    assert f"{path}: has the codec {name}" in str(raised.value)
    assert "installed with PyAV, cannot decode" in str(raised.value)


def test_sound_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        clips.write_noise(container, container.add_stream("aac", rate=48000), 0.5)
    with pytest.raises(UserError, match="has no video stream"):
        video_reading.probe(str(path))


# Files that FFmpeg follows if it may; each names the video beside it.
LISTS = {
    "m3u.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "m3u.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "concat.avi": "ffconcat version 1.0\nfile real.ts\n",
    "session.mkv": "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "mark.mp4": "\ufeff#EXTM3U\n#EXTINF:2,\n{}\n",
    "dash.mp4": '<?xml version="1.0"?><MPD profiles="urn:mpeg:dash:profile:">{}</MPD>',
    "tag.ts": "ID3\4\0\0\0\0\0\0#EXTM3U\n{}\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_other_files_are_refused(tmp_path, name, monkeypatch):
    real = write(tmp_path, "real.ts", "mpeg1video")
    assert video_reading.probe(str(real)).frames == FRAMES
    path = tmp_path / name
    path.write_text(LISTS[name].format(real), "utf-8")
    # The names in some lists are relative to the working folder.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot be opened as a video"):
        video_reading.probe(str(path))
    with pytest.raises(UserError, match="cannot be opened as a video"):
        next(video_reading.read_frames(str(path)))


def test_without_the_options_ffmpeg_follows_lists(tmp_path):
    """This shows that the options are needed; each of the two suffices."""
    real = write(tmp_path, "real.ts", "mpeg1video")
    path = tmp_path / "list.m3u8"
    path.write_text(LISTS["m3u.m3u8"].format(real))
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).height == clips.HEIGHT
    for name, value in video_reading._OPTIONS.items():
        with pytest.raises((av.error.FFmpegError, StopIteration)):  # noqa: SIM117
            with av.open(
                open(path, "rb"), container_options={name: value}
            ) as container:
                next(container.decode(video=0))


@pytest.mark.parametrize("content", [b"", b"no video", bytes(5000)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(
        UserError, match=r"a\.mp4: cannot be opened as a video: Invalid"
    ):
        video_reading.probe(str(tmp_path / "a.mp4"))


def test_a_file_without_its_index_is_refused(tmp_path):
    path = clips.cut(write(tmp_path, "a.mp4", "mpeg4"), 0.5)
    with pytest.raises(
        UserError, match="cannot be opened as a video: moov atom not found"
    ):
        video_reading.probe(str(path))


def test_names_may_have_any_bytes(tmp_path):
    for name, codec in (
        (b"caf\xe9.mp4", "mpeg4"),
        (b"d\xe9/100%d.mkv", "mpeg4"),
        (b"http:.mp4", "mpeg4"),
        (b"\xff\n.webm", "libvpx"),
    ):
        path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        plain = write(tmp_path, "plain" + os.path.splitext(path)[1], codec)
        os.rename(plain, path)
        assert video_reading.probe(path).frames == FRAMES
        assert len(list(video_reading.read_frames(path))) == FRAMES


def test_titles_may_have_any_bytes(tmp_path):
    path = write(tmp_path, "a.mp4", "mpeg4", metadata={"title": "a cafe"})
    path.write_bytes(path.read_bytes().replace(b"a cafe", b"a caf\xe9"))
    assert video_reading.probe(str(path)).frames == FRAMES


def test_a_disk_error_is_not_taken_for_the_end_of_a_video(tmp_path, monkeypatch):
    path = write(tmp_path, "a.mkv", "libx264")
    data = path.read_bytes()

    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > len(data) // 2:
                raise OSError("the disk is gone")
            return super().read(min(size, 1000))

    def fail(path, mode):
        return Failing(data)

    monkeypatch.setattr(video_reading, "open", fail, raising=False)
    with pytest.raises(OSError, match="the disk is gone"):
        video_reading.probe(str(path))


@pytest.mark.parametrize("fps", [24, 7.6, 30000 / 1001, 240, 1 / 3])
def test_written_videos_can_be_read(tmp_path, fps):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")
    images = [np.kron(x, np.ones([2, 2, 1], np.uint8)) for x in clips.moving(6)]
    video_writing.write(path, iter(images), fps)
    info = video_reading.probe(path)
    assert info.frames == 6
    assert info.fps == pytest.approx(fps, rel=0.001)
    for index, image in video_reading.read_frames(path):
        assert np.abs(image.astype(float) - images[index]).mean() < 20
    assert len(os.listdir(tmp_path)) == 1


def test_videos_that_cannot_be_written_are_errors(tmp_path):
    with pytest.raises(UserError, match=r"gone/a\.mp4: cannot be written: No such"):
        video_writing.write(str(tmp_path / "gone" / "a.mp4"), clips.moving(2), 25)

    def broken():
        yield clips.picture()
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        video_writing.write(str(tmp_path / "a.mp4"), broken(), 25)
    assert not os.listdir(tmp_path)
