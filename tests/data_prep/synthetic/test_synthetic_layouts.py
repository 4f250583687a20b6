"""A small world, read as the owners' tools read theirs."""

import dataclasses
from xml.etree import ElementTree

import cv2
import h5py
import numpy as np
import pytest
import scipy.io

from data_prep.media import video_reading
from data_prep.synthetic import nyu_layout, options, renderer, voc_layout, world

OPTIONS = options.resolve(
    seed=1,
    classes=3,
    images_per_class=3,
    validation_images_per_class=2,
    videos=2,
    frames=4,
    detection_images=9,
    depth_images=9,
)
NAMES = ["ball", "stool", "car"]
SETS = ("train", "val", "trainval", "test")
SIDES = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "made"
    assert world.generate(str(folder), OPTIONS, 1)
    return folder


def _digests(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_number_of_workers_does_not_shape_the_world(made, tmp_path):
    world.generate(str(tmp_path / "again"), OPTIONS, 2)
    first, second = _digests(made), _digests(tmp_path / "again")
    assert first.keys() == second.keys()
    assert not [name for name in first if first[name] != second[name]]


def test_another_seed_is_another_world(made, tmp_path):
    other = dataclasses.replace(
        OPTIONS, seed=2, videos=0, depth_images=0, detection_images=3
    )
    world.generate(str(tmp_path / "other"), other, 1)
    first, second = _digests(made), _digests(tmp_path / "other")
    pictures = [name for name in second if name.lower().endswith((".jpg", ".jpeg"))]
    assert len(pictures) == 18
    assert all(first[name] != second[name] for name in pictures)
    assert not (tmp_path / "other" / "nyu").exists()
    assert not (tmp_path / "other" / "videos").exists()


def test_class_folders(made):
    for split, count in (("train", 3), ("val", 2)):
        folders = sorted((made / "imagenet" / split).iterdir())
        assert [one.name for one in folders] == ["n90000000", "n90000001", "n90000002"]
        for folder in folders:
            images = [cv2.imread(str(path)) for path in folder.glob("*.JPEG")]
            assert len(images) == count
            for image in images:
                assert min(image.shape[:2]) >= 128 and max(image.shape[:2]) <= 160
    contents = [path.read_bytes() for path in made.glob("imagenet/*/*/*.JPEG")]
    assert len(set(contents)) == len(contents)
    mapping = (made / "imagenet" / "LOC_synset_mapping.txt").read_text().splitlines()
    assert mapping == [f"n9000000{i} {name}" for i, name in enumerate(NAMES)]


def test_videos_and_their_truth(made):
    videos = sorted((made / "videos").iterdir())
    assert [path.name for path in videos] == ["video_0000.mp4", "video_0001.mp4"]
    for path in videos:
        frames = [frame for _, frame in video_reading.read_frames(path)]
        assert [frame.shape for frame in frames] == [(240, 320, 3)] * OPTIONS.frames
        truth = np.load(made / "videos_truth" / f"{path.stem}.npz")
        moving, objects = truth["moving"], truth["objects"]
        assert moving.shape == objects.shape == (OPTIONS.frames, 240, 320)
        assert moving.dtype == objects.dtype == np.uint8
        assert set(np.unique(moving)) <= {0, 1} and moving.any()
        # An object moves as a whole or not at all, and the room never does.
        for number in np.unique(objects):
            assert len(np.unique(moving[objects == number])) == 1
        assert not moving[objects == 0].any()


def _read_annotation(path):
    root = ElementTree.parse(path).getroot()
    objects = [
        (
            item.findtext("name"),
            [int(item.findtext(f"bndbox/{side}")) for side in SIDES],
            item.findtext("difficult"),
            item.findtext("truncated"),
        )
        for item in root.iter("object")
    ]
    size = [int(root.findtext(f"size/{one}")) for one in ("height", "width", "depth")]
    return root.findtext("filename"), size, objects


def test_voc_annotations_fit_the_images(made):
    base = made / "VOCdevkit" / "VOC2007"
    paths = sorted((base / "Annotations").iterdir())
    assert [path.name for path in paths] == [f"{i:06d}.xml" for i in range(1, 10)]
    for path in paths:
        name, (height, width, depth), objects = _read_annotation(path)
        image = cv2.imread(str(base / "JPEGImages" / name))
        assert image.shape == (height, width, depth)
        assert objects
        for label, (xmin, ymin, xmax, ymax), difficult, truncated in objects:
            assert label in NAMES
            assert 1 <= xmin <= xmax <= width and 1 <= ymin <= ymax <= height
            assert difficult in "01" and truncated in "01"


def test_voc_image_sets(made):
    base = made / "VOCdevkit" / "VOC2007"
    main = base / "ImageSets" / "Main"
    sets = {one: (main / f"{one}.txt").read_text().split() for one in SETS}
    assert [len(sets[one]) for one in SETS] == [3, 3, 6, 3]
    assert sorted(sets["train"] + sets["val"]) == sets["trainval"]
    assert sorted(sets["trainval"] + sets["test"]) == [f"{i:06d}" for i in range(1, 10)]
    for one in SETS:
        for label in NAMES:
            lines = (main / f"{label}_{one}.txt").read_text().splitlines()
            assert [line.split()[0] for line in lines] == sets[one]
            for line in lines:
                name, sign = line.split()
                _, _, objects = _read_annotation(base / "Annotations" / f"{name}.xml")
                flags = [
                    difficult for other, _, difficult, _ in objects if other == label
                ]
                expected = -1 if not flags else int("0" in flags)
                assert int(sign) == expected


def test_boxes_hold_what_changes_when_the_object_is_taken_away():
    checked = 0
    for seed in range(4):
        random = np.random.default_rng([9, seed])
        scene, camera = voc_layout.shots.room_scene(random, 8, 120, 160, 5)
        whole = renderer.render(scene, camera)
        annotations = iter(voc_layout.annotate(scene, camera, whole))
        for index, thing in enumerate(scene.things):
            if thing.kind is None or (whole.thing == index).sum() < voc_layout._SEEN:
                continue
            annotation = next(annotations)
            things = scene.things[:index] + scene.things[index + 1 :]
            without = renderer.render(dataclasses.replace(scene, things=things), camera)
            rows, columns = np.nonzero(without.depth != whole.depth)
            box = columns.min(), rows.min(), columns.max(), rows.max()
            assert annotation.box == tuple(one + 1 for one in box)
            assert annotation.name == thing.kind.name
            checked += 1
    assert checked > 6


def test_hidden_tiny_and_cut_objects_are_marked():
    whole = np.zeros((100, 100), bool)
    whole[10:50, 10:50] = True
    plain = voc_layout._annotation("ball", whole, whole)
    assert (plain.box, plain.truncated, plain.difficult) == (
        (11, 11, 50, 50),
        False,
        False,
    )
    hidden = whole.copy()
    hidden[10:50, 10:42] = False
    hidden = voc_layout._annotation("ball", hidden, whole)
    assert (hidden.box, hidden.difficult) == ((43, 11, 50, 50), True)
    cut = np.zeros((100, 100), bool)
    cut[40:60, :30] = True
    cut = voc_layout._annotation("ball", cut, cut)
    assert (cut.truncated, cut.difficult) == (True, False)
    tiny = np.zeros((100, 100), bool)
    tiny[50:57, 50:57] = True
    assert voc_layout._annotation("ball", tiny, tiny).difficult


def test_nyu_file_is_matlabs(made):
    path = made / "nyu" / "nyu_depth_v2_labeled.mat"
    head = path.read_bytes()[:512]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:128] == b"\x00\x02IM"
    with h5py.File(path) as file:
        assert file.userblock_size == 512
        assert file["images"].shape == (9, 3, 320, 240)
        assert file["images"].dtype == np.uint8
        assert file["images"].attrs["MATLAB_class"] == b"uint8"
        for name in ("depths", "rawDepths"):
            assert file[name].shape == (9, 320, 240) and file[name].dtype == np.float32
            assert file[name].attrs["MATLAB_class"] == b"single"
        scenes = ["".join(map(chr, file[one][:, 0])) for one in file["scenes"][0]]
        names = [
            "".join(map(chr, file[one][:, 0])) for one in file["rawRgbFilenames"][0]
        ]
        depths, raw = file["depths"][:], file["rawDepths"][:]
        images = file["images"][:]
    assert len(set(names)) == 9
    assert all(name.startswith(scene + "/") for name, scene in zip(names, scenes))
    assert depths.min() >= 0.7 and depths.max() <= 10
    assert 0.02 < (raw == 0).mean() < 0.5
    known = raw > 0
    assert np.abs(raw - depths)[known].max() < 0.05 * 10
    assert np.median(np.abs(raw - depths)[known]) < 0.05
    assert images.std() > 20
    splits = scipy.io.loadmat(made / "nyu" / "splits.mat")
    train, test = splits["trainNdxs"], splits["testNdxs"]
    assert train.shape[1] == test.shape[1] == 1
    numbers = np.concatenate([train, test])[:, 0]
    assert sorted(numbers) == list(range(1, 10))
    sides = [{scenes[int(one) - 1] for one in part[:, 0]} for part in (train, test)]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_nyu_depth_is_of_its_image(made):
    """Where depth jumps, so do colors, as a rule."""
    with h5py.File(made / "nyu" / "nyu_depth_v2_labeled.mat") as file:
        images = file["images"][:].transpose(0, 3, 2, 1).astype(float)
        depths = file["depths"][:].transpose(0, 2, 1)
    jumps = np.abs(np.diff(depths, axis=2)) > 0.3
    steps = np.abs(np.diff(images, axis=2)).mean(axis=-1)
    assert steps[jumps].mean() > 3 * steps[~jumps].mean()


def test_sensor_misses_what_its_projector_does_not_light():
    depth = np.full((60, 320), 4.0, np.float32)
    depth[20:40, 100:200] = 1.5
    rendering = renderer.Rendering(None, depth, None, np.zeros_like(depth))
    sensed = nyu_layout.sense(rendering, np.random.default_rng(0))
    # 0.075 m of baseline and a focal length of about the image's width.
    shadow = round(0.075 * 320 * (1 / 1.5 - 1 / 4.0))
    assert not sensed[22:38, 101 - shadow : 100].any()
    assert (sensed[22:38, 210:300] > 0).mean() > 0.9
    assert not nyu_layout.sense(
        dataclasses.replace(rendering, depth=depth + 4), np.random.default_rng(0)
    )[:20].any()
