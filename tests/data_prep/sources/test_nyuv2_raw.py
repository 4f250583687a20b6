import functools
import os

import cv2
import numpy as np
import nyu_files
import pytest
import scipy.interpolate
import tensorflow as tf

from data_prep.build.dataset_build import Input, SetAside
from data_prep.sources.nyu import (
    kinect,
    pnm,
    raw_builder,
    raw_conversion,
    raw_listing,
    scene_folders,
)
from selfsup.common.errors import UserError
from selfsup.data import records

# A slanted wall and a board in front of it, in the depth camera's metres.
WALL = np.array([0.1, -0.05, 0.3])  # WALL . point = 1
BOARD_DEPTH = 1.5
BOARD = (-0.4, 0.3, -0.3, 0.2)  # left, right, top, bottom


def _wall_depth(x, y):
    """Returns the depth of the wall on the rays through (x, y, 1)."""
    return 1 / (WALL[0] * x + WALL[1] * y + WALL[2])


def _on_board(x, y, margin=0.0):
    left, right, top, bottom = BOARD
    x, y = x * BOARD_DEPTH, y * BOARD_DEPTH
    return (
        (x > left + margin)
        & (x < right - margin)
        & (y > top + margin)
        & (y < bottom - margin)
    )


@functools.cache
def _disparity():
    """Returns the sensor's disparities of the scene, uint16 [480, 640].

    The rays of the pixels come from the distortion model, inverted by interpolation. The
    code under test computes them differently.
    """
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, 120), np.linspace(-0.55, 0.55, 100))
    rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], 1)
    pixels, _ = cv2.projectPoints(
        rays,
        np.zeros(3),
        np.zeros(3),
        kinect.DEPTH_CAMERA,
        kinect.DEPTH_DISTORTION,
    )
    places = np.mgrid[: kinect.HEIGHT, : kinect.WIDTH]
    x, y = scipy.interpolate.LinearNDInterpolator(pixels[:, 0], rays[:, :2])(
        places[1], places[0]
    ).transpose(2, 0, 1)
    depth = np.where(_on_board(x, y), BOARD_DEPTH, _wall_depth(x, y))
    return np.round(1092.5 - 351.3 / depth).astype(np.uint16)


def _seen_from_photo(points):
    """Returns photo pixels of points in the depth camera's frame, as the toolbox does."""
    # camera_params.m: R = inv(reshape(-[...], [3 3])'), T = [t_x; t_z; t_y].
    listed = [
        9.9997798940829263e-01,
        5.0518419386157446e-03,
        4.3011152014118693e-03,
        -5.0359919480810989e-03,
        9.9998051861143999e-01,
        -3.6879781309514218e-03,
        -4.3196624923060242e-03,
        3.6662365748484798e-03,
        9.9998394948385538e-01,
    ]
    rotation = np.linalg.inv(-np.reshape(listed, (3, 3), order="F").T)
    offset = [[2.5031875059141302e-02], [-2.9342312935846411e-04]]
    offset.append([6.6238747008330102e-04])
    x, y, z = rotation @ points.T + offset
    photo = kinect.PHOTO_CAMERA
    return photo[0, 0] * x / z + photo[0, 2], photo[1, 1] * y / z + photo[1, 2]


def test_planes_have_their_depth_in_the_photo():
    projected = kinect.project_depth(kinect.disparity_to_metres(_disparity()))
    x, y = np.random.default_rng(0).uniform((-0.4,), (0.4,), (2, 4000))
    board = _on_board(x, y, margin=0.05)
    # Parts of the wall that the board may hide from a camera are left out.
    wall = ~_on_board(x, y, margin=-0.1)
    for inside, depth in ((board, BOARD_DEPTH + 0 * x), (wall, _wall_depth(x, y))):
        rays = np.stack([x, y, np.ones_like(x)], 1)
        u, v = _seen_from_photo((rays * depth[:, None])[inside])
        values = projected[np.round(v).astype(int), np.round(u).astype(int)]
        known = values > 0
        assert known.mean() > 0.99
        # A step of disparity at depth d is d ** 2 / 351.3; the rest is an error of a pixel.
        tolerance = 1.2 * depth[inside] ** 2 / 351.3 + 0.01
        assert (np.abs(values - depth[inside])[known] < tolerance[known]).all()


def test_the_nearest_point_wins():
    depth = np.zeros((480, 640), np.float32)
    depth[240, 300] = 3.0
    single = np.argwhere(kinect.project_depth(depth))
    depth[235:246, 295:306] = 3.0
    depth[240, 290:306] = np.linspace(1.0, 1.1, 16)
    covered = kinect.project_depth(depth)
    assert len(single) == 1
    assert covered[tuple(single[0])] < 1.2


def test_disparities_become_metres():
    values = np.array([[599, 600, 1000, 1057, 1058, 1092, 1093, 2047, 65535]])
    np.testing.assert_allclose(
        kinect.disparity_to_metres(values.astype(np.uint16))[0],
        [0, 351.3 / 492.5, 351.3 / 92.5, 351.3 / 35.5, 10, 10, 0, 0, 0],
        rtol=1e-6,
    )


def test_photos_are_straightened():
    """A grid that the photo camera's lens bends becomes straight."""
    places = np.mgrid[: kinect.HEIGHT, : kinect.WIDTH][::-1].astype(np.float64)
    straight = cv2.undistortPoints(
        places.reshape(2, -1).T[:, None],
        kinect.PHOTO_CAMERA,
        kinect.PHOTO_DISTORTION,
        None,
        None,
        kinect.PHOTO_CAMERA,
    )[:, 0].T.reshape(2, kinect.HEIGHT, kinect.WIDTH)
    bent = np.where((straight // 40).sum(0) % 2, 255, 0).astype(np.uint8)
    photo = kinect.undistort_photo(np.repeat(bent[..., None], 3, 2))
    expected = np.where((places // 40).sum(0) % 2, 255, 0)
    # All pixels except the rims of the fields and those that the sensor did not see.
    fields = (places % 40 > 2).all(0) & (places % 40 < 37).all(0)
    fields[:20] = fields[-20:] = fields[:, :20] = fields[:, -20:] = False
    np.testing.assert_array_equal(photo[fields, 1], expected[fields])
    assert (photo[0] == 255).all()


def _write_scene(folder, depth_times, photo_times):
    folder.mkdir(parents=True)
    for time in depth_times:
        nyu_files.write_disparity(
            folder / f"d-{nyu_files.START + time:.6f}-7.pgm", _disparity()
        )
    for time in photo_times:
        photo = np.full((kinect.HEIGHT, kinect.WIDTH, 3), round(1000 * time), np.uint8)
        nyu_files.write_photo(folder / f"r-{nyu_files.START + time:.6f}-8.ppm", photo)
    (folder / f"a-{nyu_files.START:.6f}-9.dump").write_bytes(b"\0" * 32)
    (folder / "INDEX.txt").write_text("d-1.5-7.pgm\n")


def test_depth_frames_are_paired_with_the_nearest_photo(tmp_path):
    _write_scene(tmp_path / "a", [0.0, 0.040, 0.075, 0.3], [0.010, 0.045, 0.070, 0.2])
    pairs, single = scene_folders.pair_frames(tmp_path / "a", tolerance=0.04)
    seconds = [(name.depth[11:15], name.photo[11:15]) for name in pairs]
    assert seconds == [("2.00", "2.01"), ("2.04", "2.04"), ("2.07", "2.07")]
    assert single == 1


def test_frames_without_photos_are_single(tmp_path):
    _write_scene(tmp_path / "a", [0.0, 0.1], [])
    assert scene_folders.pair_frames(tmp_path / "a", tolerance=0.04) == ([], 2)


def test_scenes_are_found_once_through_links(tmp_path):
    elsewhere, folder = tmp_path / "disk2", tmp_path / "raw"
    for path in (elsewhere / "den_0001", folder / "den_0002", folder / ".den_0003"):
        path.mkdir(parents=True)
        (path / "d-1.5-7.pgm").touch()
    (folder / "more").symlink_to(elsewhere)
    (folder / "same").symlink_to(elsewhere / "den_0001")
    (folder / "den_0002" / "loop").symlink_to(folder)
    (folder / "itself").symlink_to(folder / "itself")
    folders = list(scene_folders.find(str(folder)))
    assert folders == [str(folder / "den_0002"), str(folder / "more" / "den_0001")]


@pytest.mark.parametrize("count, wanted", [(1, 3), (10, 3), (100, 48), (5, 0)])
def test_samples_are_spread_evenly(count, wanted):
    sample = scene_folders.sample(list(range(count)), wanted)
    assert len(sample) == min(count, wanted or count)
    gaps = np.diff(sample)
    assert (gaps > 0).all() and len(set(gaps)) <= 2


def test_a_raw_build_leaves_the_rooms_of_test_frames_out(tmp_path, capfd):
    folder = tmp_path / "raw" / "part1"
    times = [index / 10 for index in range(5)]
    _write_scene(folder / "den_0002", times, [time + 0.01 for time in times])
    _write_scene(folder / "office_0001b", times, times)
    broken = folder / "den_0002" / f"d-{nyu_files.START + 0.2:.6f}-7.pgm"
    broken.write_bytes(broken.read_bytes()[:-1])
    scenes = ["office_0001a", "den_0002"]
    labelled = nyu_files.write_labelled(
        tmp_path / "l.mat", *nyu_files.labelled_arrays(2, 6, 8), scenes
    )
    splits = nyu_files.write_splits(tmp_path / "s.mat", [2], [1])
    manifest = raw_builder.build_raw(
        raw=str(tmp_path / "raw"),
        output=str(tmp_path / "set"),
        labelled=labelled,
        splits=splits,
        frames_per_scene=3,
        workers=1,
        num_shards=1,
    )
    assert "1 scenes with test frames are left out" in capfd.readouterr().err
    assert manifest.options["source"] == "raw"
    assert (manifest.records("train"), manifest.inputs["set_aside"]) == (2, 1)
    assert "truncated" in (tmp_path / "set" / "set_aside.tsv").read_text()
    path = os.path.join(manifest.directory, manifest.shards[0].file)
    for serialized in tf.data.TFRecordDataset(path):
        record = records.parse(serialized, (records.IMAGE, records.DEPTH))
        assert record["key"].numpy().startswith(b"part1/den_0002/d-")
        np.testing.assert_allclose(
            record["depth"][..., 0],
            kinect.project_depth(kinect.disparity_to_metres(_disparity())),
            atol=1.1e-4,
        )
        assert np.ptp(record["image"][20:-20, 20:-20]) <= 2


def _input(folder):
    return Input("d.pgm", "train", raw_conversion.detail(str(folder), "r.ppm"))


def test_a_replaced_photo_changes_its_input(tmp_path):
    """The build watches the file that the key names, which is the depth frame."""
    _write_scene(tmp_path / "den_0002", [0.0, 0.1], [0.0, 0.1])
    scenes = raw_listing.Scenes(str(tmp_path), frozenset(), 0, 0.04)
    before = list(scenes)
    assert len(before) == 2 and before == list(scenes)
    photo = next((tmp_path / "den_0002").glob("r-*.ppm"))
    os.utime(photo, ns=(1, 1))
    after = list(scenes)
    assert [item.key for item in after] == [item.key for item in before]
    assert sum(old != new for old, new in zip(before, after)) == 1


@pytest.mark.parametrize(
    "disparity, photo, reason",
    [
        (np.zeros((480, 640), np.uint16), (480, 640, 3), "known in 0.00%"),
        (np.full((240, 320), 900, np.uint16), (480, 640, 3), r"d.pgm: is uint16 \(240"),
        (np.full((480, 640), 900, np.uint16), (240, 320, 3), r"r.ppm: is uint8 \(240"),
    ],
)
def test_other_frames_are_set_aside(tmp_path, disparity, photo, reason):
    nyu_files.write_disparity(tmp_path / "d.pgm", disparity)
    nyu_files.write_photo(tmp_path / "r.ppm", np.zeros(photo, np.uint8))
    with pytest.raises(SetAside, match=reason):
        raw_conversion.RawConverter(str(tmp_path), 0.01)(_input(tmp_path))


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "no binary PGM"),
        (b"P2 1 1 255\n7", "no binary PGM"),
        (b"P5 2 2 255\nabc", "has 3 of 4 values"),
        (b"P5 0 2 255\n", "header says 0x2"),
        (b"P5 99999999 99999999 255\n", "header says 99999999x"),
    ],
)
def test_odd_pnm_files_are_set_aside(data, reason):
    with pytest.raises(SetAside, match=reason):
        pnm.decode(data)


def test_unusable_raw_folders_are_refused(tmp_path):
    folder = tmp_path / "raw"
    build = functools.partial(raw_builder.build_raw, output=str(tmp_path / "set"))
    with pytest.raises(UserError, match="raw: is not a folder"):
        build(raw=str(folder))
    folder.mkdir()
    archive = folder / "basements.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(UserError, match=r"unpack its archives first \(basem"):
        build(raw=str(folder))
    with pytest.raises(UserError, match=r"basements.zip: is an archive; unpack it"):
        build(raw=str(archive))
    _write_scene(folder / "scene", [0.0], [0.0])
    with pytest.raises(UserError, match="needs the files labelled and splits"):
        build(raw=str(folder))
    labelled = nyu_files.write_labelled(
        tmp_path / "l.mat", *nyu_files.labelled_arrays(2, 6, 8), ["a_1", "b_1"]
    )
    splits = nyu_files.write_splits(tmp_path / "s.mat", [1], [2])
    with pytest.raises(UserError, match=r"none of its scenes \(scene, ...\) is one"):
        build(raw=str(folder), labelled=labelled, splits=splits)
