import json
import subprocess

import devkits
import pytest

from data_prep.sources import voc_listing
from selfsup.common.errors import UserError
from selfsup.formats import voc_devkit, voc_splits


def test_a_devkit_is_found_from_every_level(tmp_path):
    devkits.write_small(tmp_path, {"train": "a\nb"})
    for path in (".", "VOCdevkit", "VOCdevkit/VOC2007", "VOCdevkit/VOC2007/"):
        devkit = voc_devkit.find([str(tmp_path / path)])
        assert devkit.name == "VOC2007"
        assert devkit.lists == {"train": ("a", "b")}
        assert sorted(devkit.images) == sorted(devkit.annotations) == ["a", "b"]
        assert devkit.images["b"].read() == devkits.jpeg(1)


def test_a_devkit_in_pieces(tmp_path):
    """Each tar is extracted to its own folder; both contain image a."""
    devkits.write_small(tmp_path / "one", {"trainval": "a"}, images=["a"])
    devkits.write_small(tmp_path / "two", {"test": "b"})
    devkit = voc_devkit.find([str(tmp_path / "one"), str(tmp_path / "two")])
    assert devkit.lists == {"trainval": ("a",), "test": ("b",)}
    assert sorted(devkit.images) == ["a", "b"]
    (tmp_path / "two/VOCdevkit/VOC2007/Annotations/a.xml").write_bytes(b"other")
    with pytest.raises(UserError, match="a differs between two inputs"):
        voc_devkit.find([str(tmp_path / "one"), str(tmp_path / "two")])


def test_years(tmp_path):
    devkits.write_small(tmp_path, {"train": "a"})
    devkits.write_small(tmp_path, {"train": "b"}, year="VOCdevkit/VOC2012")
    with pytest.raises(UserError, match=r"choose a year.*VOC2007, VOC2012"):
        voc_devkit.find([str(tmp_path)])
    for year in ("2012", "VOC2012"):
        devkit = voc_devkit.find([str(tmp_path)], year)
        assert (devkit.name, devkit.lists) == ("VOC2012", {"train": ("b",)})
    with pytest.raises(UserError, match=r"year VOC2010 is not in .*VOC2007, VOC2012"):
        voc_devkit.find([str(tmp_path)], "2010")


def test_a_tar_without_a_year_takes_its_name_from_the_flag(tmp_path):
    devkits.write_small(tmp_path, {"train": "a"})
    year = tmp_path / "VOCdevkit/VOC2007"
    tar = str(tmp_path / "voc.tar")
    subprocess.run(["tar", "-cf", tar, "-C", str(year), "."], check=True)
    with pytest.raises(UserError, match="choose a year"):
        voc_devkit.find([tar])
    devkit = voc_devkit.find([tar], "VOC2007")
    assert (devkit.name, sorted(devkit.images)) == ("VOC2007", ["a", "b"])


def test_a_cut_tar_is_refused(tmp_path):
    devkits.write_small(tmp_path, {"train": "a"})
    tar = tmp_path / "voc.tar"
    devkits.pack(tmp_path / "VOCdevkit", tar, lambda file: True)
    tar.write_bytes(tar.read_bytes()[:6000])
    with pytest.raises(UserError, match=r"voc\.tar.* cut off.*download the tar again"):
        voc_devkit.find([str(tar)])


def test_no_devkit(tmp_path):
    with pytest.raises(UserError, match="contains no VOC devkit; expected VOCdevkit"):
        voc_devkit.find([str(tmp_path)])
    with pytest.raises(UserError, match="no such file or folder"):
        voc_devkit.find([str(tmp_path / "missing")])


def test_odd_files_are_passed_over(tmp_path):
    devkits.write_small(tmp_path, {"train": "a"})
    year = tmp_path / "VOCdevkit/VOC2007"
    (year / "JPEGImages/._a.jpg").write_bytes(b"of a Mac")
    (year / "JPEGImages/Thumbs.db").write_bytes(b"of Windows")
    (year / "ImageSets/Main/dog_train.txt").write_text("b 1")
    (year / "Annotations/b.xml").unlink()
    (year / "Annotations/b.xml").symlink_to("nowhere")
    devkit = voc_devkit.find([str(tmp_path)])
    assert sorted(devkit.images) == ["a", "b"]
    assert sorted(devkit.annotations) == ["a"]
    assert devkit.lists == {"train": ("a",)}


def test_a_list_cannot_name_files_elsewhere(tmp_path):
    devkits.write_small(tmp_path, {"train": "a\n../Annotations/a\n/etc/passwd"})
    devkit = voc_devkit.find([str(tmp_path)])
    images = voc_splits.assign(devkit.lists)
    for item in voc_listing.list_inputs(devkit, images, ()):
        problem = json.loads(item.detail)["problem"]
        assert bool(problem) == (item.key != "VOC2007/a")
