"""Result files of the devkit: written, read, and refused."""

import numpy as np
import pytest

from eval.voc07_detection.score import result_files
from selfsup.common.errors import UserError


def _random(rng, count):
    low = rng.uniform(1, 300, [count, 2])
    boxes = np.concatenate([low, low + rng.uniform(0, 200, [count, 2])], axis=1)
    images = [f"2008_{n:06d}" for n in rng.integers(0, 50, count)]
    return images, np.float32(rng.random(count)), np.float32(boxes)


def test_files_are_read_back(tmp_path):
    """With every bit of a float32 and in the same order."""
    rng = np.random.default_rng(0)
    written = {"dog": _random(rng, 200), "cat": _random(rng, 0)}
    result_files.write(tmp_path / "new", "test", written)
    read = result_files.read(tmp_path / "new", "test", ["cat", "dog"])
    assert list(read) == ["cat", "dog"]
    for name, (images, confidences, boxes) in read.items():
        assert images == written[name][0]
        np.testing.assert_array_equal(np.float32(confidences), written[name][1])
        np.testing.assert_array_equal(np.float32(boxes), written[name][2])
        assert boxes.shape == (len(images), 4)


def test_a_line_in_the_format_of_the_devkit(tmp_path):
    boxes = np.float32([[8.5, 12, 352, 498]])
    result_files.write(tmp_path, "test", {"dog": (["000001"], [0.5], boxes)})
    content = (tmp_path / "comp3_det_test_dog.txt").read_text()
    assert content == "000001 0.5 8.5 12 352 498\n"


@pytest.mark.parametrize(
    "content",
    [
        "000001 0.5 8.5 12 352 498",
        "000001\t5.000000e-01  8.5 +12. 352 498 \r\n\r\n",
        "\ufeff000001 .5 8.5 1.2E1 352 498\n",
    ],
)
def test_spellings(tmp_path, content):
    path = tmp_path / "comp4_det_val_dog.txt"
    path.write_bytes(content.encode())
    read = result_files.read(tmp_path, "val", ["dog"], {"000001"}, "comp4")
    images, confidences, boxes = read["dog"]
    assert images == ["000001"]
    assert confidences == [0.5]
    assert boxes.tolist() == [[8.5, 12, 352, 498]]


def test_less_than_a_pixel_is_a_box(tmp_path):
    """Edges from 0 become pixels from 1, so that xmax may lie just under xmin."""
    (tmp_path / "comp3_det_test_dog.txt").write_text("a 0.5 3.6 4 3.2 3\n")
    result_files.read(tmp_path, "test", ["dog"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a 0.5 1 1 9", "has 5 columns; expected: image confidence xmin"),
        ("a 0.5 1 1 9 9 9", "has 7 columns"),
        ("a b 0.5 1 1 9 9", "has 7 columns"),
        ("a 0,5 1 1 9 9", "'0,5' is not a finite number"),
        ("a nan 1 1 9 9", "'nan' is not a finite number"),
        ("a 0.5 1 -Inf 9 9", "'-Inf' is not a finite number"),
        ("a 0.5 1 1 1e999 9", "'1e999' is not a finite number"),
        ("a 0.5 1 1 1_0 9", "'1_0' is not a finite number"),
        ("a 0.5 9 1 5 9", "a maximum lies below its minimum"),
        ("a 0.5 1 9 9 5", "a maximum lies below its minimum"),
        ("other 0.5 1 1 9 9", "image 'other' is not in the set"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = tmp_path / "comp3_det_test_dog.txt"
    path.write_text(f"a 0.5 1 1 9 9\n\n{line}\n")
    with pytest.raises(UserError, match=rf"dog\.txt, line 3: .*{message}"):
        result_files.read(tmp_path, "test", ["dog"], {"a": None})


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "comp3_det_test_dog.txt").write_bytes(b"\xff\xfe\0a" * 20)
    with pytest.raises(UserError, match=r"dog\.txt, line 1: "):
        result_files.read(tmp_path, "test", ["dog"])


def test_missing_files_are_listed(tmp_path):
    result_files.write(tmp_path, "test", {"dog": ([], [], np.zeros([0, 4]))})
    expected = (
        r"has no comp3_det_test_cat\.txt, comp3_det_test_cow\.txt\. A class without "
    )
    with pytest.raises(UserError, match=expected):
        result_files.read(tmp_path, "test", ["cat", "dog", "cow"])


def test_image_ids_have_no_blanks(tmp_path):
    with pytest.raises(UserError, match="cannot hold 'a b'"):
        result_files.write(tmp_path, "test", {"dog": (["a b"], [1.0], [(1, 1, 2, 2)])})
