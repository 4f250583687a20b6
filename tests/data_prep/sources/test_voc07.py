import os
import pathlib
import subprocess
import sys

import devkits
import numpy as np
import pytest
import tensorflow as tf

from data_prep.sources import voc_builder, voc_classes
from selfsup.data import manifest as manifests
from selfsup.data import records
from selfsup.formats import voc_splits

WIDTH, HEIGHT = devkits.SIZE
ROOT = pathlib.Path(__file__).resolve().parents[3]

DOG, HARD_CAT = devkits.DOG, devkits.HARD_CAT
TRAIN = [f"{index:06d}" for index in range(1, 9)]
VALIDATION = ["000010", "000011"]
TEST = ["000020", "000021", "000022"]
LISTS = {
    "train": "\r\n".join([*TRAIN, ""]),
    "val": "\ufeff" + "".join(f"{image}   \n\n" for image in VALIDATION),
    "trainval": "".join(
        f"{image}  {1 - 2 * (n % 2)}\n" for n, image in enumerate(TRAIN)
    )
    + "\n".join(VALIDATION),
    "test": "\n".join(TEST).encode("utf-16"),
}


def _images():
    """Returns {image id: (picture, annotation)} of the small devkit."""
    images = {
        image: (devkits.jpeg(seed), devkits.annotation(DOG, HARD_CAT))
        for seed, image in enumerate(TRAIN + VALIDATION + TEST)
    }
    pictures = {image: picture for image, (picture, _) in images.items()}
    wide = devkits.annotation(DOG, devkits.object_xml("cat", 60, 40, 70, 90))
    images[TRAIN[1]] = (pictures[TRAIN[1]], devkits.annotation())
    images[TRAIN[2]] = (pictures[TRAIN[2]], wide)
    images[TRAIN[3]] = (pictures[TRAIN[3]], devkits.annotation(DOG, size=(0, 0)))
    images[TRAIN[4]] = (pictures[TRAIN[4]], None)
    images[TRAIN[5]] = (None, devkits.annotation(DOG))
    images[TRAIN[6]] = (b"\xff\xd8\xff cut", devkits.annotation(DOG))
    images[TRAIN[7]] = (pictures[TRAIN[7]], b"<annotation>")
    images["000030"] = (devkits.jpeg(30), None)
    return images


@pytest.fixture(scope="module")
def devkit(tmp_path_factory):
    """A devkit's folder, and two tars that divide it as the organizers do."""
    root = tmp_path_factory.mktemp("voc")
    images = _images()
    devkits.write(root / "VOCdevkit/VOC2007", images, LISTS)
    is_test = {image for image in images if image >= "000020"} | {"test"}
    both = {"train"}
    for name, test in (("VOCtrainval.tar", False), ("VOCtest.tar", True)):
        devkits.pack(
            root / "VOCdevkit",
            root / name,
            lambda file, test=test: (
                (file.split(".")[0] in is_test) == test or file.split(".")[0] in both
            ),
        )
    return root


@pytest.fixture(scope="module")
def built(devkit, tmp_path_factory):
    output = str(tmp_path_factory.mktemp("built") / "tree")
    return voc_builder.build_voc(
        inputs=[str(devkit / "VOCdevkit")], output=output, num_shards=2, workers=1
    )


def _read(built, split):
    """Returns {key: parsed record as NumPy} of a split."""
    paths = [os.path.join(built.directory, shard.file) for shard in built.split(split)]
    parsed = [
        records.parse(record, (records.IMAGE, records.BOXES))
        for record in tf.data.TFRecordDataset(paths)
    ]
    return {
        record["key"].numpy().decode(): {name: record[name].numpy() for name in record}
        for record in parsed
    }


def _lines(built, file):
    path = pathlib.Path(built.directory, file)
    return dict(line.split("\t") for line in path.read_text().splitlines())


def test_records_hold_images_boxes_classes_and_difficult(built):
    assert (built.kind, built.features) == (manifests.OBJECTS, ("image", "boxes"))
    assert built.labels == voc_classes.VOC_CLASSES
    by_key = _read(built, "validation")
    assert sorted(by_key) == [f"VOC2007/{image}" for image in VALIDATION]
    record = by_key["VOC2007/000010"]
    np.testing.assert_array_equal(
        record["boxes"], [[4, 2, 20, 10], [0, 0, HEIGHT, WIDTH]]
    )
    assert [built.labels[index] for index in record["classes"]] == ["dog", "cat"]
    np.testing.assert_array_equal(record["difficult"], [False, True])
    stored = tf.io.decode_jpeg(_images()["000010"][0], channels=3).numpy()
    np.testing.assert_array_equal(record["image"], stored)


def test_all_splits_exist_and_are_disjoint(built):
    assert {shard.split for shard in built.shards} == set(voc_splits.SPLITS)
    keys = [set(_read(built, split)) for split in voc_splits.SPLITS]
    assert [len(split_keys) for split_keys in keys] == [4, 2, 3]
    assert len(set.union(*keys)) == 9


def test_unusable_images_are_set_aside_with_the_reason(built):
    reasons = _lines(built, "set_aside.tsv")
    assert sorted(reasons) == [f"VOC2007/{image}" for image in TRAIN[4:]]
    expected = {
        TRAIN[4]: "Annotations has no 000005.xml",
        TRAIN[5]: "JPEGImages has no image 000006",
        TRAIN[6]: "cannot be read",
        TRAIN[7]: "annotation: is not readable XML",
    }
    for image, words in expected.items():
        assert words in reasons[f"VOC2007/{image}"]


def test_changes_are_listed_and_counted(built):
    notes = _lines(built, "repaired.tsv")
    assert notes == {
        "VOC2007/000003": f"object 2 (cat) clipped to {WIDTH}x{HEIGHT}",
        "VOC2007/000004": f"the annotation says 0x0, the image has {WIDTH}x{HEIGHT}",
    }
    assert built.inputs["counts"] == {
        "objects": 15,
        "objects that are difficult": 6,
        "objects clipped to the image": 1,
        "images without objects": 1,
        "images with another size in the annotation": 1,
    }
    train = _read(built, "train")
    np.testing.assert_array_equal(
        train["VOC2007/000003"]["boxes"], [[4, 2, 20, 10], [39, 59, HEIGHT, WIDTH]]
    )
    assert train["VOC2007/000002"]["boxes"].shape == (0, 4)


def test_tars_give_the_same_shards(built, devkit, tmp_path):
    """The command reads two tars that both contain train.txt."""
    tars = f"{devkit / 'VOCtrainval.tar'},{devkit / 'VOCtest.tar'}"
    command = [sys.executable, "-m", "data_prep.voc07", f"--input={tars}"]
    command += [f"--output={tmp_path / 'tars'}", "--num_shards=2", "--workers=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "VOC2007: 8 train, 2 validation, 3 test images; 1 others" in done.stderr
    from_tars = manifests.read(str(tmp_path / "tars" / manifests.FILE_NAME))
    assert from_tars.shards == built.shards
    assert from_tars.inputs == built.inputs


def test_the_lists_decide_what_is_held_out(devkit):
    """The command neither offers nor accepts a flag that has no effect."""
    command = [sys.executable, "-m", "data_prep.voc07"]
    help_run = subprocess.run(
        [*command, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert (
        "--num_shards" in help_run.stdout
        and "validation_fraction" not in help_run.stdout
    )
    command += [f"--input={devkit}", "--output=o", "--validation_fraction=0.1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --validation_fraction: not for this builder")
