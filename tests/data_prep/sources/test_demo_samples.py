import importlib.util

import cv2
import numpy as np
import pytest

from data_prep.media import video_reading
from data_prep.sources import demo_samples
from selfsup.common.errors import UserError

PHOTOS, SCENES, FRAMES = 20, 5, 6
CLIPS = 3


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    demo_samples.write_samples(str(folder), 3, PHOTOS, SCENES, FRAMES)
    return folder


def _files(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _frames(path):
    return [frame for _, frame in video_reading.read_frames(path)]


def test_photos_are_different_color_photos(written):
    photos = [cv2.imread(str(path)) for path in (written / "photos").glob("*/*.jpg")]
    assert len(photos) == PHOTOS
    thumbnails = {cv2.resize(photo, (8, 8)).tobytes() for photo in photos}
    assert len(thumbnails) == PHOTOS
    for photo in photos:
        assert min(photo.shape[:2]) >= 300 and max(photo.shape[:2]) <= 450
        assert photo.std() > 10
        assert np.ptp(photo, axis=-1).max() > 20


def test_videos_move(written):
    paths = list((written / "videos").glob("*.mp4"))
    assert len(paths) == SCENES + CLIPS
    for path in paths:
        frames = _frames(path)
        assert [frame.shape for frame in frames] == [(240, 320, 3)] * FRAMES
        assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 3


def test_objects_of_a_scene_travel_apart_from_the_background():
    """If the background rests, only an object's position changes."""
    sources = demo_samples._read_sources()
    traveller = demo_samples._random_traveller(sources, "cat", np.random.default_rng(0))
    blank = np.zeros((240, 320, 3), np.uint8)

    def center(time):
        rows, columns = np.nonzero(traveller.draw(blank, time).any(-1))
        return np.array([columns.mean(), rows.mean()])

    way = traveller.end - traveller.start
    np.testing.assert_allclose(center(0.75) - center(0.25), way / 2, atol=6)


def test_the_seed_determines_all_files(written, tmp_path):
    demo_samples.write_samples(str(tmp_path / "same"), 3, PHOTOS, SCENES, FRAMES)
    assert _files(tmp_path / "same") == _files(written)
    demo_samples.write_samples(str(tmp_path / "other"), 4, PHOTOS, 0, FRAMES)
    photos = {name for name in _files(written) if name.startswith("photos")}
    other = _files(tmp_path / "other")
    assert not [name for name in photos if other[name] == _files(written)[name]]


def test_missing_package_is_named(monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "skimage" else find(name),
    )
    with pytest.raises(UserError, match=r"package skimage is not installed.*\[demo\]"):
        demo_samples.write_samples(str(tmp_path))
