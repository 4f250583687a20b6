import gzip
import io
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep.build.shards import SetAside
from data_prep.sources import (
    class_folders,
    imagenet_builder,
    imagenet_conversion,
    imagenet_listing,
)
from selfsup.common.errors import UserError
from selfsup.data import manifest, records
from tests.data_prep.sources.test_imagenet_labels import devkit

# In the order of their ILSVRC2012_IDs, which is not that of their names.
WNIDS = ("n02119789", "n01440764", "n02110185")
LABELS = tuple(sorted(WNIDS))
CMYK = "train/n02119789/n02119789_1.JPEG"
PNG = "train/n01440764/n01440764_2.JPEG"
CUT = "train/n02110185/n02110185_0.JPEG"
IDS = (2, 1, 3, 3, 1)


def _image(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(pixels).resize((50, 40), Image.Resampling.BICUBIC)


def _jpeg(seed, mode="RGB", kind="JPEG"):
    file = io.BytesIO()
    _image(seed).convert(mode).save(file, kind)
    return file.getvalue()


def _train_files():
    """Returns {path in the training folder: bytes}, with ImageNet's known faults."""
    files = {}
    for index, wnid in enumerate(WNIDS):
        for number in range(4):
            path = f"{wnid}/{wnid}_{number}.JPEG"
            files[path] = _jpeg(10 * index + number)
    files[CMYK[6:]] = _jpeg(1, mode="CMYK")
    files[PNG[6:]] = _jpeg(2, kind="PNG")
    files[CUT[6:]] = _jpeg(3)[:-200]
    return files


def _validation_files():
    return {
        f"ILSVRC2012_val_{number:08d}.JPEG": _jpeg(100 + number)
        for number in range(1, 1 + len(IDS))
    }


def _tar(files, path=None):
    """Returns the bytes of a tar of {name: bytes}; writes them to `path` if given."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    if path is not None:
        path.write_bytes(file.getvalue())
    return file.getvalue()


def _tree(files, folder):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def _nested(files):
    """Returns {name: bytes} of a tar per class, as in ILSVRC2012_img_train.tar."""
    classes = sorted({name.partition("/")[0] for name in files})
    return {
        f"{wnid}.tar": _tar(
            {
                name.partition("/")[2]: data
                for name, data in files.items()
                if name.startswith(wnid)
            }
        )
        for wnid in classes
    }


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A folder with the files in the form that image-net.org distributes."""
    folder = tmp_path_factory.mktemp("official")
    _tar(_nested(_train_files()), folder / "ILSVRC2012_img_train.tar")
    _tar(_validation_files(), folder / "ILSVRC2012_img_val.tar")
    kit = gzip.compress(devkit(IDS, WNIDS))
    (folder / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(kit)
    return folder


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """A folder with `train` and `val`, both in class folders."""
    folder = tmp_path_factory.mktemp("extracted")
    _tree(_train_files(), folder / "train")
    for (name, data), number in zip(_validation_files().items(), IDS):
        _tree({f"{WNIDS[number - 1]}/{name}": data}, folder / "val")
    return folder


@pytest.fixture(scope="module")
def built(official, tmp_path_factory):
    """The folder of the set that the command builds from the official files."""
    output = tmp_path_factory.mktemp("sets") / "imagenet"
    command = [sys.executable, "-m", "data_prep.imagenet", "--workers=2"]
    command += [f"--output={output}", "--num_shards=2"]
    command += [f"--train={official}/ILSVRC2012_img_train.tar"]
    command += [f"--validation={official}/ILSVRC2012_img_val.tar"]
    command += [f"--validation_labels={official}/ILSVRC2012_devkit_t12.tar.gz"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert "ILSVRC2012_img_train.tar: 12 photos; ignored 0 hidden" in done.stderr
    return output


def _records(output, split):
    made = manifest.read(str(output / "manifest.json"))
    files = [str(output / shard.file) for shard in made.split(split)]
    examples = {}
    for serialized in tf.data.TFRecordDataset(files).as_numpy_iterator():
        feature = tf.train.Example.FromString(serialized).features.feature
        records.parse(serialized, ("image", "label"))
        key = feature["image/key"].bytes_list.value[0].decode()
        examples[key] = (
            feature["image/encoded"].bytes_list.value[0],
            feature["image/label"].int64_list.value[0],
        )
    return examples


def _lines(path):
    return dict(line.split("\t") for line in path.read_text().splitlines())


def test_official_archives(built):
    made = manifest.read(str(built / "manifest.json"))
    assert made.kind == manifest.PHOTOS
    assert made.features == ("image", "label")
    assert made.labels == LABELS
    assert (made.records("train"), made.records("validation")) == (11, 5)
    assert made.inputs["found"] == 17
    assert _lines(built / "repaired.tsv") == {
        CMYK: "CMYK, made RGB",
        PNG: "PNG named .JPEG",
    }
    assert list(_lines(built / "set_aside.tsv")) == [CUT]


def test_good_jpegs_keep_their_bytes_and_labels(built):
    train, held_out = _records(built, "train"), _records(built, "validation")
    files = {f"train/{name}": data for name, data in _train_files().items()}
    assert train.keys() == files.keys() - {CUT}
    for key, (encoded, label) in train.items():
        assert LABELS[label] == key.split("/")[1]
        assert encoded == files[key] or key in (CMYK, PNG)
        assert tf.io.decode_image(encoded).shape == (40, 50, 3)
    for (name, data), number in zip(_validation_files().items(), IDS):
        wnid = WNIDS[number - 1]
        assert held_out[f"validation/{wnid}/{name}"] == (data, LABELS.index(wnid))


def _build(tmp_path, name="out", **options):
    output = tmp_path / name
    options = {key: str(value) for key, value in options.items()}
    made = imagenet_builder.build_imagenet(
        output=str(output), workers=1, num_shards=2, **options
    )
    return {shard.file: shard.sha256 for shard in made.shards}


def _checksums(output):
    made = manifest.read(str(output / "manifest.json"))
    return {shard.file: shard.sha256 for shard in made.shards}


def test_extracted_trees_give_the_same_shards(built, extracted, tmp_path):
    made = _build(tmp_path, train=extracted / "train", validation=extracted / "val")
    assert made == _checksums(built)


def test_flat_validation_folder_and_tars_of_trees(built, tmp_path):
    """The input is a tar of train/n.../x.JPEG, and the unpacked validation images."""
    files = {f"./train/{name}": data for name, data in _train_files().items()}
    _tar({**files, "train/readme.txt": b"not a photo"}, tmp_path / "flat.tar")
    flat = _tree(_validation_files(), tmp_path / "val")
    truth = tmp_path / "labels.txt"
    truth.write_text("".join(f"{WNIDS[number - 1]}\n" for number in IDS))
    made = _build(
        tmp_path,
        train=tmp_path / "flat.tar",
        validation=flat,
        validation_labels=truth,
    )
    assert made == _checksums(built)


@pytest.mark.parametrize("stray", ["montage.jpg", "train/montage.jpg"])
def test_a_stray_photo_does_not_hide_the_class_folders(tmp_path, stray):
    files = {f"train/{name}": data for name, data in _train_files().items()}
    _tar({stray: _jpeg(7), **files}, tmp_path / "a.tar")
    source = class_folders.open_source(str(tmp_path / "a.tar"))
    assert (source.prefix, source.classes) == ("train/", LABELS)
    names = {photo.name for photo in source.photos(lambda line: None)}
    assert names == {"montage.jpg", *_train_files()}


def test_a_single_class_folder_is_not_a_prefix(tmp_path):
    _tar({"cat/a.jpg": _jpeg(1), "cat/more/b.jpg": _jpeg(2)}, tmp_path / "a.tar")
    source = class_folders.open_source(str(tmp_path / "a.tar"))
    assert (source.prefix, source.classes) == ("", ("cat",))


def test_any_class_folders_without_validation(tmp_path):
    files = {f"cat/deep/{n}.png": _jpeg(n, kind="PNG") for n in range(6)}
    files.update({f"dog/{n}": _jpeg(n, kind="GIF") for n in range(6)})
    files.update({"loose.jpg": _jpeg(1), ".cat/x.jpg": _jpeg(2), "empty/x.txt": b""})
    output = tmp_path / "out"
    made = imagenet_builder.build_imagenet(
        train=str(_tree(files, tmp_path / "in")),
        output=str(output),
        max_side=40,
        workers=1,
        validation_fraction=0.25,
    )
    assert made.labels == ("cat", "dog")
    assert made.records("train") + made.records("validation") == 12
    assert _lines(output / "set_aside.tsv") == {
        "train/loose.jpg": "is not in a class folder"
    }
    assert made.records("validation") == 3
    for _, (encoded, _) in _records(output, "train").items():
        assert tf.io.decode_image(encoded, expand_animations=False).shape == (32, 40, 3)


def test_a_truncated_archive_gives_its_whole_members(official, tmp_path):
    whole = (official / "ILSVRC2012_img_train.tar").read_bytes()
    with tarfile.open(official / "ILSVRC2012_img_train.tar") as tar:
        second = tar.getmembers()[1]
    cut = tmp_path / "ILSVRC2012_img_train.tar"
    with tarfile.open(fileobj=io.BytesIO(whole[second.offset_data :])) as tar:
        place = second.offset_data + tar.getmembers()[1].offset_data
    cut.write_bytes(whole[: place + 100])
    source = class_folders.open_source(str(cut))
    assert source.classes == LABELS[:2]
    listed = list(source.photos(print))
    assert [photo.name.split("/")[0] for photo in listed] == [
        *[LABELS[0]] * 4,
        *[LABELS[1]] * 2,
    ]
    assert [bool(photo.problem) for photo in listed] == [False] * 5 + [True]
    assert "is cut off" in listed[-1].problem


def test_hostile_members_are_set_aside(tmp_path):
    files = {**_train_files(), "../../evil.JPEG": b"x", "/etc/evil.JPEG": b"y"}
    _tar(files, tmp_path / "train.tar")
    source = class_folders.open_source(str(tmp_path / "train.tar"))
    listed = imagenet_listing.list_inputs(source, None, source.classes)
    convert = imagenet_conversion.ImageNetConverter({"train": source})
    aside = {}
    for item in listed:
        try:
            convert(item)
        except SetAside as reason:
            aside[item.key] = str(reason)
    assert aside.pop(CUT).startswith("is broken")
    assert aside == {
        "train/../../evil.JPEG": "has a name that leaves its folder",
        "train//etc/evil.JPEG": "has an absolute name",
    }
    assert os.listdir(tmp_path) == ["train.tar"]


def _truth(tmp_path, lines):
    path = tmp_path / "truth.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_ground_truth_of_the_wrong_length(official, tmp_path):
    options = {
        "train": official / "ILSVRC2012_img_train.tar",
        "validation": official / "ILSVRC2012_img_val.tar",
    }
    for lines, message in (
        (LABELS, "labels 3 images, but .* holds 5: 2 images have no label"),
        (LABELS * 2, "labels 6 images, but .* holds 5: 1 images are missing"),
    ):
        with pytest.raises(UserError, match=message):
            _build(tmp_path, validation_labels=_truth(tmp_path, lines), **options)
    with pytest.raises(
        UserError, match=r"1 of its 2 .* among the 3 training classes: n0000000"
    ):
        lines = ["n00000001", *[LABELS[0]] * 4]
        _build(tmp_path, validation_labels=_truth(tmp_path, lines), **options)
    with pytest.raises(UserError, match="not in class folders; give their labels as"):
        _build(tmp_path, **options)
    with pytest.raises(
        UserError, match="synsets=x: can only be used with validation_labels"
    ):
        _build(tmp_path, synsets="x", **options)


def test_class_folders_that_do_not_fit(extracted, tmp_path):
    train = extracted / "train"
    _tree({"n00000002/1.JPEG": _jpeg(1)}, tmp_path / "val")
    with pytest.raises(
        UserError, match="1 of its 1 classes are not among the 3 training"
    ):
        _build(tmp_path, train=train, validation=tmp_path / "val")
    with pytest.raises(UserError, match="holds train, val; expected two or more class"):
        _build(tmp_path, train=extracted)
    with pytest.raises(UserError, match="holds no folder of photos; expected"):
        _build(tmp_path, train=tmp_path / "val" / "n00000002")
    with pytest.raises(UserError, match="nowhere: is neither a folder nor a tar"):
        _build(tmp_path, train=tmp_path / "nowhere")
    with pytest.raises(UserError, match="can only be used with validation"):
        _build(tmp_path, train=train, validation_labels=_truth(tmp_path, LABELS))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--input=i"], "--input: give --train and --validation"),
        (
            ["--validation=v", "--validation_fraction=0.1"],
            "--validation_fraction: not with --validation",
        ),
    ],
)
def test_the_command_refuses_flags_without_effect(extracted, arguments, message):
    command = [sys.executable, "-m", "data_prep.imagenet", "--output=o", *arguments]
    done = subprocess.run(
        [*command, f"--train={extracted}/train"], stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
