import math
import random

import devkits
import numpy as np
import pytest

from selfsup.formats import voc_annotations
from selfsup.formats.voc_annotations import Unreadable

WIDTH, HEIGHT = devkits.SIZE


def _parse(*things, **options):
    return voc_annotations.parse(devkits.annotation(*things, **options))


def _kinds(notes):
    return [note.kind for note in notes]


def test_the_content_of_an_annotation():
    annotation = _parse(
        devkits.object_xml("dog", 3, 5, 10, 20, difficult=1),
        devkits.object_xml(" dining table\n", 1, 1, WIDTH, HEIGHT),
    )
    assert annotation.size == devkits.SIZE
    assert not annotation.notes
    dog, table = annotation.objects
    assert dog == ("dog", (4.0, 2.0, 20.0, 10.0), 1, 1)
    assert table == ("dining table", (0.0, 0.0, HEIGHT, WIDTH), 0, 2)


def test_boxes_cover_the_pixels_of_the_annotation():
    """A box covers exactly VOC's pixels, first and last included."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        xmin, xmax = np.sort(rng.integers(1, WIDTH + 1, 2))
        ymin, ymax = np.sort(rng.integers(1, HEIGHT + 1, 2))
        (cat,) = _parse(devkits.object_xml("cat", xmin, ymin, xmax, ymax)).objects
        top, left, bottom, right = map(int, cat.box)
        assert (left + 1, top + 1, right, bottom) == (xmin, ymin, xmax, ymax)
        counted_from_1 = np.zeros([HEIGHT + 1, WIDTH + 1], bool)
        counted_from_1[ymin : ymax + 1, xmin : xmax + 1] = True
        covered = np.zeros([HEIGHT, WIDTH], bool)
        covered[top:bottom, left:right] = True
        np.testing.assert_array_equal(covered, counted_from_1[1:, 1:])


def test_parts_are_not_objects():
    head = f"<part><name>head</name>{devkits.box(2, 2, 9, 9)}</part>"
    annotation = _parse(devkits.object_xml("person", 1, 2, 30, 40, more=head))
    assert [annotated.name for annotated in annotation.objects] == ["person"]
    assert annotation.objects[0].box == (1.0, 0.0, 40.0, 30.0)


def test_the_box_of_a_part_is_not_that_of_its_object():
    annotation = _parse(
        f"<object><name>person</name><part>{devkits.box(2, 2, 9, 9)}</part></object>"
    )
    assert not annotation.objects
    assert annotation.notes == (
        ("objects set aside", "object 1 (person) set aside: has no bndbox"),
    )


def test_fractions_of_pixels():
    """VOC 2011 and later have them."""
    (cat,) = _parse(devkits.object_xml("cat", "45.7", "1e0", " 50.25 ", "+7.")).objects
    assert cat.box == (0.0, 44.7, 7.0, 50.25)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no xmin"),
        ("left", "xmin is 'left', not a number"),
        ("nan", "xmin is 'nan', not a number"),
        ("-inf", "xmin is '-inf', not a number"),
        ("1e999", "xmin is '1e999', not a number"),
        ("1_0", "xmin is '1_0', not a number"),
        ("\N{ARABIC-INDIC DIGIT ONE}", "not a number"),
        ("9" * 5000, f"xmin is '{'9' * 40}...', not a number"),
    ],
)
def test_coordinates_that_are_not_numbers(text, reason):
    annotation = _parse(
        devkits.object_xml("cat", text, 2, 3, 4), devkits.object_xml("dog", 1, 2, 3, 4)
    )
    assert [annotated.name for annotated in annotation.objects] == ["dog"]
    (note,) = annotation.notes
    assert note.kind == voc_annotations.SET_ASIDE
    assert note.text.startswith("object 1 (cat) set aside: ")
    assert note.text.endswith(reason)


def test_an_object_without_a_name_is_set_aside():
    annotation = _parse(f"<object>{devkits.box(1, 2, 3, 4)}</object>")
    assert (
        annotation.notes[0].text == "object 1 (without a name) set aside: has no name"
    )


def test_exchanged_corners_are_corrected():
    annotation = _parse(devkits.object_xml("cat", 20, 5, 10, 30))
    assert annotation.objects[0].box == (4.0, 9.0, 30.0, 20.0)
    assert _kinds(annotation.notes) == [voc_annotations.CORRECTED]


def test_an_invalid_difficult_is_noted():
    annotation = _parse(devkits.object_xml("cat", 1, 2, 3, 4, difficult="very"))
    assert annotation.objects[0].difficult == 0
    assert _kinds(annotation.notes) == [voc_annotations.CORRECTED]


@pytest.mark.parametrize("size", [("", ""), ("a", "3"), (0, 0), ("1.5", "2")])
def test_a_size_that_is_not_two_integers(size):
    assert _parse(size=size).size == (0, 0)


def test_no_objects():
    assert _parse().objects == ()


@pytest.mark.parametrize(
    ("corners", "clipped"),
    [
        ((1, 1, WIDTH, HEIGHT), (0, 0, HEIGHT, WIDTH)),
        ((0, 0, 10, 10), (0, 0, 10, 10)),
        ((-5, 3, 70, 1e9), (2, 0, HEIGHT, WIDTH)),
        ((WIDTH, HEIGHT, 100, 100), (HEIGHT - 1, WIDTH - 1, HEIGHT, WIDTH)),
        ((7, 7, 7, 7), (6, 6, 7, 7)),
    ],
)
def test_boxes_are_clipped_to_the_image(corners, clipped):
    objects, notes = voc_annotations.clip_to_image(
        _parse(devkits.object_xml("cat", *corners)).objects, WIDTH, HEIGHT
    )
    assert [kept.box for kept in objects] == [clipped]
    inside = min(corners) >= 1 and corners[2] <= WIDTH and corners[3] <= HEIGHT
    assert _kinds(notes) == ([] if inside else [voc_annotations.CLIPPED])


@pytest.mark.parametrize(
    "corners",
    [
        (WIDTH + 1, 1, WIDTH + 9, 9),
        (-9, 1, 0, 9),
        (1, HEIGHT + 1, 9, HEIGHT + 1),
        (1, -1e300, 9, -1e299),
        (WIDTH + 0.8, 1, WIDTH + 9, 9),
    ],
)
def test_boxes_outside_are_set_aside(corners):
    things = _parse(
        devkits.object_xml("cat", *corners), devkits.object_xml("dog", 1, 1, 2, 2)
    ).objects
    objects, notes = voc_annotations.clip_to_image(things, WIDTH, HEIGHT)
    assert [kept.name for kept in objects] == ["dog"]
    assert notes == [
        (
            voc_annotations.SET_ASIDE,
            f"object 1 (cat) set aside: lies outside {WIDTH}x{HEIGHT}",
        )
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding):
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = devkits.annotation(devkits.object_xml("fraîche", 1, 2, 3, 4)).decode()
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{text}'
    assert voc_annotations.parse(text.encode(encoding)).objects[0].name == "fraîche"


BOMB = b"""<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation>&c;</annotation>"""
EXTERNAL = b"""<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<annotation><object><name>&a;</name></object></annotation>"""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BOMB, "has a document type"),
        (EXTERNAL, "has a document type"),
        (b"<!DOCTYPE annotation><annotation/>", "has a document type"),
        (b"", "no element found"),
        (b"000005 1 2 3 4", "is not readable XML"),
        (b"<annotation><object></annotation>", "mismatched tag"),
        (b"<annotation>&unknown;</annotation>", "undefined entity"),
        (b"<annotation/>\0", "is not readable XML"),
        (b"<html><body/></html>", "is <html>, expected <annotation>"),
        (b"<a>" * 200_000, "nested over 32 levels"),
        (b" " * (voc_annotations.MAX_BYTES + 1), "is larger than"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "klingon"),
        (b'<?xml version="1.0" encoding="gbk"?><annotation>\xc4\xe3</annotation>', ""),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_files_that_are_refused(data, reason):
    with pytest.raises(Unreadable, match=f"annotation: .*{reason}"):
        voc_annotations.parse(data)


VALID = devkits.annotation(
    devkits.object_xml("dog", 3, 5, 10, 20, difficult=1),
    devkits.object_xml(
        "person", 1, 2, 30, 40, more=f"<part>{devkits.box(2, 2, 9, 9)}</part>"
    ),
    devkits.object_xml("cat", "45.7", 1, WIDTH, HEIGHT),
)
NASTY = (
    *(
        b"nan",
        b"-inf",
        b"1e999",
        b"1e308",
        b"-1e308",
        b"9" * 400,
        b"0",
        b"-1",
        b"1e-320",
    ),
    b"<object>", b"</object>", b"<bndbox>", b"&amp;", b"&a;", b"<![CDATA[", b"]]>",
    b"<!--", b"-->", b"<?xml version='1.0' encoding='utf-16'?>", b"\0", b"\xff\xfe",
    *(
        b"<!DOCTYPE a [<!ENTITY a 'b'>]>",
        b"<annotation>",
        b"xmin",
        b"name",
        b"difficult",
    ),
)  # fmt: skip
WORDS = (
    b"xmin",
    b"xmax",
    b"ymin",
    b"ymax",
    b"object",
    b"bndbox",
    b"name",
    b"annotation",
)


def _flip(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]


def _delete(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.choice([1, 2, 8, 40, 1000]) :]


def _insert(data, rng):
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(NASTY) + data[place:]


def _repeat(data, rng):
    first, last = sorted(rng.sample(range(len(data) + 1), 2))
    return data[:last] + data[first:last] * rng.choice([1, 3]) + data[last:]


def _exchange_tags(data, rng):
    return data.replace(rng.choice(WORDS), rng.choice(WORDS), rng.choice([1, 2, -1]))


def _exchange_number(data, rng):
    """Replaces the text of a random element."""
    parts = data.split(b">")
    place = rng.randrange(len(parts))
    text, opening, rest = parts[place].partition(b"<")
    del text
    parts[place] = rng.choice(NASTY) + opening + rest
    return b">".join(parts)


MUTATIONS = (_flip, _delete, _insert, _repeat, _exchange_tags, _exchange_number)


def _assert_valid(objects, width, height):
    for annotated in objects:
        box = np.float32(annotated.box)
        assert np.isfinite(box).all()
        ymin, xmin, ymax, xmax = box
        assert 0 <= ymin < ymax <= height
        assert 0 <= xmin < xmax <= width
        assert annotated.name
        assert annotated.difficult in (0, 1)


def test_thousands_of_mutated_files():
    """Every file is refused, or yields valid boxes."""
    rng = random.Random(0)
    outcomes = {"refused": 0, "read": 0, "objects": 0, "notes": 0}
    for _ in range(8000):
        data = VALID
        for _ in range(rng.choice([1, 1, 2, 5])):
            data = rng.choice(MUTATIONS)(data, rng) or b"?"
        try:
            annotation = voc_annotations.parse(data)
        except Unreadable as error:
            assert str(error).startswith("annotation: ")
            outcomes["refused"] += 1
            continue
        width, height = rng.choice([(WIDTH, HEIGHT), (1, 1), (5000, 3)])
        objects, notes = voc_annotations.clip_to_image(
            annotation.objects, width, height
        )
        _assert_valid(objects, width, height)
        assert all(map(math.isfinite, annotation.size))
        outcomes["read"] += 1
        outcomes["objects"] += len(objects)
        outcomes["notes"] += len(annotation.notes) + len(notes)
    # The mutations reach every outcome.
    assert min(outcomes.values()) > 500, outcomes
