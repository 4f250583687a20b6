import devkits
import numpy as np
import pytest
from PIL import Image

from data_prep.build.inputs import Input
from data_prep.build.shards import SetAside
from data_prep.sources import voc_conversion
from selfsup.data import records
from selfsup.formats import voc_annotations, voc_devkit

WIDTH, HEIGHT = devkits.SIZE
ORIENTATION = 0x0112


def _convert(tmp_path, picture, xml, labels=("dog", "cat")):
    devkits.write(tmp_path / "VOC", {"a": (picture, xml)}, {"train": "a"})
    devkit = voc_devkit.find([str(tmp_path / "VOC")])
    detail = voc_conversion.detail(devkit.images["a"], devkit.annotations["a"], "")
    made = voc_conversion.VocConverter(labels)(Input("VOC/a", "train", detail))
    features = (records.IMAGE, records.BOXES)
    return made, records.parse(made.records[0], features)


def test_objects_of_other_classes_are_left_out(tmp_path):
    xml = devkits.annotation(
        devkits.DOG, devkits.object_xml("ape", 1, 2, 3, 4), devkits.HARD_CAT
    )
    made, parsed = _convert(tmp_path, devkits.jpeg(), xml, labels=("cat",))
    assert made.counts == {
        "objects": 1,
        "objects that are difficult": 1,
        "objects left out, of the class 'dog'": 1,
        "objects left out, of the class 'ape'": 1,
    }
    np.testing.assert_array_equal(parsed["boxes"], [[0, 0, HEIGHT, WIDTH]])
    np.testing.assert_array_equal(parsed["classes"], [0])


def test_an_annotation_of_another_size_is_noted(tmp_path):
    xml = devkits.annotation(devkits.DOG, size=(HEIGHT, WIDTH))
    made, parsed = _convert(tmp_path, devkits.jpeg(), xml)
    assert made.note == (
        f"the annotation says {HEIGHT}x{WIDTH}, the image has {WIDTH}x{HEIGHT}"
    )
    np.testing.assert_array_equal(parsed["boxes"], [devkits.DOG_BOX])


def test_sizes_of_files_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(voc_annotations, "MAX_BYTES", 100)
    with pytest.raises(SetAside, match=r"is too large: \d+ bytes in .*a\.xml"):
        _convert(tmp_path, devkits.jpeg(), devkits.annotation(devkits.DOG))


def test_the_number_of_listed_notes_is_limited(tmp_path):
    outside = [devkits.object_xml("dog", 900, 900, 901, 901)] * 50
    made, _ = _convert(tmp_path, devkits.jpeg(), devkits.annotation(*outside))
    assert made.note.endswith("; and 30 more")
    assert made.counts[voc_annotations.SET_ASIDE] == 50


def _turned_jpeg(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return devkits.jpeg(exif=exif)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_turn_with_the_image(tmp_path, orientation):
    """The box covers the pixels of a mark, before and after the turn."""
    ymin, xmin, ymax, xmax = devkits.DOG_BOX
    mark = np.zeros([HEIGHT, WIDTH], np.uint8)
    mark[ymin:ymax, xmin:xmax] = 1
    turn = {5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}
    upright = Image.fromarray(mark).transpose(Image.Transpose[turn[orientation]])
    xml = devkits.annotation(devkits.DOG)
    made, parsed = _convert(tmp_path, _turned_jpeg(orientation), xml)
    assert parsed["image"].shape == (WIDTH, HEIGHT, 3)
    top, left, bottom, right = parsed["boxes"].numpy()[0].astype(int)
    placed = np.zeros([WIDTH, HEIGHT], np.uint8)
    placed[top:bottom, left:right] = 1
    np.testing.assert_array_equal(placed, np.asarray(upright))
    assert made.note == "boxes turned with the image; rotated by EXIF, turned upright"


def test_boxes_that_are_turned_already_stay(tmp_path):
    xml = devkits.annotation(devkits.DOG, size=(HEIGHT, WIDTH))
    made, parsed = _convert(tmp_path, _turned_jpeg(6), xml)
    assert made.note.startswith("boxes were upright already")
    np.testing.assert_array_equal(parsed["boxes"], [devkits.DOG_BOX])


@pytest.mark.parametrize(
    ("orientation", "size"), [(6, (0, 0)), (3, devkits.SIZE), (8, (99, 99))]
)
def test_boxes_of_unknown_orientation_are_set_aside(tmp_path, orientation, size):
    picture = _turned_jpeg(orientation)
    with pytest.raises(SetAside, match="is turned by EXIF"):
        _convert(tmp_path, picture, devkits.annotation(devkits.DOG, size=size))
    made, _ = _convert(tmp_path / "empty", picture, devkits.annotation(size=size))
    assert made.counts["images without objects"] == 1
