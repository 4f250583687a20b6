"""Reads a small world like the original data sets."""

from __future__ import annotations

import dataclasses
import pathlib
from xml.etree import ElementTree

import cv2
import h5py
import numpy as np
import pytest
import scipy.io

from data_prep.media import video_reading
from data_prep.synthetic import (
    nyu_layout,
    options,
    renderer,
    still_scenes,
    voc_layout,
    world,
)
from data_prep.synthetic.arrays import Bool
from data_prep.synthetic.object_classes import CLASSES

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
def world_folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a small world."""
    folder = tmp_path_factory.mktemp("world") / "made"
    assert world.generate(str(folder), OPTIONS, 1)
    return folder


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    """The bytes of all files by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_world_does_not_depend_on_the_number_of_workers(
    world_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    world.generate(str(tmp_path / "again"), OPTIONS, 2)
    first, second = _contents(world_folder), _contents(tmp_path / "again")
    assert first.keys() == second.keys()
    assert not [name for name in first if first[name] != second[name]]


def test_another_seed_gives_another_world(
    world_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = dataclasses.replace(
        OPTIONS, seed=2, videos=0, depth_images=0, detection_images=3
    )
    world.generate(str(tmp_path / "other"), other, 1)
    first, second = _contents(world_folder), _contents(tmp_path / "other")
    pictures = [name for name in second if name.lower().endswith((".jpg", ".jpeg"))]
    assert len(pictures) == 18
    assert all(first[name] != second[name] for name in pictures)
    assert not (tmp_path / "other" / "nyu").exists()
    assert not (tmp_path / "other" / "videos").exists()


def test_class_folders(world_folder: pathlib.Path) -> None:
    for split, count in (("train", 3), ("val", 2)):
        folders = sorted((world_folder / "imagenet" / split).iterdir())
        names = [folder.name for folder in folders]
        assert names == ["n90000000", "n90000001", "n90000002"]
        for folder in folders:
            images = [cv2.imread(str(path)) for path in folder.glob("*.JPEG")]
            assert len(images) == count
            for image in images:
                assert min(image.shape[:2]) >= 128 and max(image.shape[:2]) <= 160
    contents = [path.read_bytes() for path in world_folder.glob("imagenet/*/*/*.JPEG")]
    assert len(set(contents)) == len(contents)
    mapping = (
        (world_folder / "imagenet" / "LOC_synset_mapping.txt").read_text().splitlines()
    )
    assert mapping == [f"n9000000{i} {name}" for i, name in enumerate(NAMES)]


def test_videos_and_their_ground_truth(world_folder: pathlib.Path) -> None:
    videos = sorted((world_folder / "videos").iterdir())
    assert [path.name for path in videos] == ["video_0000.mp4", "video_0001.mp4"]
    for path in videos:
        frames = [frame for _, frame in video_reading.read_frames(str(path))]
        assert [frame.shape for frame in frames] == [(240, 320, 3)] * OPTIONS.frames
        truth = np.load(world_folder / "videos_truth" / f"{path.stem}.npz")
        moving, objects = truth["moving"], truth["objects"]
        assert moving.shape == objects.shape == (OPTIONS.frames, 240, 320)
        assert moving.dtype == objects.dtype == np.uint8
        assert set(np.unique(moving)) <= {0, 1} and moving.any()
        # An object moves as a whole or not at all; the room never moves.
        for number in np.unique(objects):
            assert len(np.unique(moving[objects == number])) == 1
        assert not moving[objects == 0].any()


Object = tuple[str, list[int], str, str]


def _read_annotation(path: pathlib.Path) -> tuple[str, list[int], list[Object]]:
    """(file name, [height, width, depth], (name, box, difficult, truncated) of objects)."""
    root = ElementTree.parse(path).getroot()
    objects = [
        (
            item.findtext("name", ""),
            [int(item.findtext(f"bndbox/{side}", "")) for side in SIDES],
            item.findtext("difficult", ""),
            item.findtext("truncated", ""),
        )
        for item in root.iter("object")
    ]
    size = [
        int(root.findtext(f"size/{side}", "")) for side in ("height", "width", "depth")
    ]
    return root.findtext("filename", ""), size, objects


def test_voc_annotations_fit_the_images(world_folder: pathlib.Path) -> None:
    base = world_folder / "VOCdevkit" / "VOC2007"
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


def test_voc_image_sets(world_folder: pathlib.Path) -> None:
    base = world_folder / "VOCdevkit" / "VOC2007"
    main = base / "ImageSets" / "Main"
    sets = {name: (main / f"{name}.txt").read_text().split() for name in SETS}
    assert [len(sets[name]) for name in SETS] == [3, 3, 6, 3]
    assert sorted(sets["train"] + sets["val"]) == sets["trainval"]
    assert sorted(sets["trainval"] + sets["test"]) == [f"{i:06d}" for i in range(1, 10)]
    for name, images in sets.items():
        for label in NAMES:
            lines = (main / f"{label}_{name}.txt").read_text().splitlines()
            assert [line.split()[0] for line in lines] == images
            for line in lines:
                image, sign = line.split()
                _, _, objects = _read_annotation(base / "Annotations" / f"{image}.xml")
                flags = [
                    difficult for kind, _, difficult, _ in objects if kind == label
                ]
                expected = -1 if not flags else int("0" in flags)
                assert int(sign) == expected


def test_boxes_enclose_what_changes_without_the_object() -> None:
    checked = 0
    for seed in range(4):
        random = np.random.default_rng([9, seed])
        scene, camera = still_scenes.room_scene(random, CLASSES[:8], 120, 160, 5)
        whole = renderer.render(scene, camera)
        annotations = iter(voc_layout.annotate(scene, camera, whole))
        for index, placed in enumerate(scene.objects):
            visible = (whole.object_index == index).sum()
            if placed.kind is None or visible < voc_layout._MIN_PIXELS:
                continue
            annotation = next(annotations)
            objects = scene.objects[:index] + scene.objects[index + 1 :]
            without = renderer.render(
                dataclasses.replace(scene, objects=objects), camera
            )
            rows, columns = np.nonzero(without.depth != whole.depth)
            box = columns.min(), rows.min(), columns.max(), rows.max()
            assert annotation.box == tuple(side + 1 for side in box)
            assert annotation.name == placed.kind.name
            checked += 1
    assert checked > 6


def _square(top: int, left: int, bottom: int, right: int) -> Bool:
    mask = np.zeros((100, 100), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_hidden_tiny_and_cut_objects_are_marked() -> None:
    whole = _square(10, 10, 50, 50)
    plain = voc_layout._annotation("ball", whole, whole)
    assert plain == voc_layout.Annotation("ball", (11, 11, 50, 50), False, False)
    hidden = voc_layout._annotation("ball", _square(10, 42, 50, 50), whole)
    assert (hidden.box, hidden.difficult) == ((43, 11, 50, 50), True)
    at_border = _square(40, 0, 60, 30)
    cut = voc_layout._annotation("ball", at_border, at_border)
    assert (cut.truncated, cut.difficult) == (True, False)
    tiny = _square(50, 50, 57, 57)
    assert voc_layout._annotation("ball", tiny, tiny).difficult


def _texts(file: h5py.File, name: str) -> list[str]:
    return ["".join(map(chr, file[text][:, 0])) for text in file[name][0]]


def test_nyu_file_has_matlabs_format(world_folder: pathlib.Path) -> None:
    path = world_folder / "nyu" / "nyu_depth_v2_labeled.mat"
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
        scenes, names = _texts(file, "scenes"), _texts(file, "rawRgbFilenames")
    assert len(set(names)) == 9
    assert all(name.startswith(scene + "/") for name, scene in zip(names, scenes))


def test_nyu_depths_and_their_sensed_values(world_folder: pathlib.Path) -> None:
    with h5py.File(world_folder / "nyu" / "nyu_depth_v2_labeled.mat") as file:
        depths, raw = file["depths"][:], file["rawDepths"][:]
        assert file["images"][:].std() > 20
    assert depths.min() >= 0.7 and depths.max() <= 10
    assert 0.02 < (raw == 0).mean() < 0.5
    known = raw > 0
    assert np.abs(raw - depths)[known].max() < 0.05 * 10
    assert np.median(np.abs(raw - depths)[known]) < 0.05


def test_nyu_splits_share_no_room(world_folder: pathlib.Path) -> None:
    with h5py.File(world_folder / "nyu" / "nyu_depth_v2_labeled.mat") as file:
        scenes = _texts(file, "scenes")
    splits = scipy.io.loadmat(world_folder / "nyu" / "splits.mat")
    train, test = splits["trainNdxs"], splits["testNdxs"]
    assert train.shape[1] == test.shape[1] == 1
    assert sorted(np.concatenate([train, test])[:, 0]) == list(range(1, 10))
    sides = [{scenes[int(i) - 1] for i in split[:, 0]} for split in (train, test)]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_nyu_depth_belongs_to_its_image(world_folder: pathlib.Path) -> None:
    """Where depth jumps, colors usually do too."""
    with h5py.File(world_folder / "nyu" / "nyu_depth_v2_labeled.mat") as file:
        images = file["images"][:].transpose(0, 3, 2, 1).astype(float)
        depths = file["depths"][:].transpose(0, 2, 1)
    jumps = np.abs(np.diff(depths, axis=2)) > 0.3
    steps = np.abs(np.diff(images, axis=2)).mean(axis=-1)
    assert steps[jumps].mean() > 3 * steps[~jumps].mean()


def test_sensor_measures_nothing_in_the_shadow_of_its_projector() -> None:
    depth = np.full((60, 320), 4.0, np.float32)
    depth[20:40, 100:200] = 1.5
    rendering = renderer.Rendering(
        image=np.zeros((60, 320, 3), np.uint8),
        depth=depth,
        object_index=np.zeros((60, 320), np.int16),
        gloss=np.zeros_like(depth),
    )
    sensed = nyu_layout.sense(rendering, np.random.default_rng(0))
    # 0.075 m of baseline and a focal length of about the image's width.
    shadow = round(0.075 * 320 * (1 / 1.5 - 1 / 4.0))
    assert not sensed[22:38, 101 - shadow : 100].any()
    assert (sensed[22:38, 210:300] > 0).mean() > 0.9
    assert not nyu_layout.sense(
        dataclasses.replace(rendering, depth=depth + 4), np.random.default_rng(0)
    )[:20].any()
