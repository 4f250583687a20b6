"""PASCAL VOC's annotation files: XML of unknown origin in, sound boxes out.

Only `annotation/object/bndbox` counts: the boxes of an object's `part`s (head, hands and
feet in VOC's person layout) lie deeper. VOC counts pixels from 1 and includes the last
one; boxes here are edges from 0, as in `selfsup.data.records`.
"""

import math
import re
from typing import NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

# The largest of VOC 2007 has 16 KB; this is room for ten thousand objects.
MAX_BYTES = 4 << 20
_MAX_DEPTH = 32
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SET_ASIDE = "objects set aside"
CLIPPED = "objects clipped to the image"
CORRECTED = "objects corrected"
_CORNERS = ("ymin", "xmin", "ymax", "xmax")
# Boxes are at least a pixel as they are annotated; less than this is left of one that
# lies beside the image but for a rounding error.
_MIN_SIDE = 0.5


class Unreadable(Exception):
    """An annotation file cannot be used; the message says why."""


class Object(NamedTuple):
    """An object in an image.

    Attributes:
      name: of its class.
      box: (ymin, xmin, ymax, xmax), floats, edges in pixels from 0.
      difficult: 0 or 1; evaluations leave difficult objects out.
      number: its place in the file, from 1.
    """

    name: str
    box: tuple
    difficult: int
    number: int

    def describe(self):
        return _describe(self.number, self.name)


class Note(NamedTuple):
    """Something that is not as it should be.

    Attributes:
      kind: under which it is counted.
      text: what it is.
    """

    kind: str
    text: str


class Annotation(NamedTuple):
    """What an annotation file says.

    Attributes:
      size: (width, height), (0, 0) where the file does not say.
      objects: the usable `Object`s, not yet compared with the image.
      notes: a `Note` for each thing that was left out or corrected.
    """

    size: tuple
    objects: tuple
    notes: tuple


def parse(data):
    """Reads an annotation file.

    Args:
      data: its bytes.

    Returns:
      an `Annotation`.

    Raises:
      Unreadable: it is no annotation, or is not safe to read; nothing else is raised,
        whatever the bytes.
    """
    root = _parse_xml(data)
    if root.tag != "annotation":
        raise Unreadable(f"annotation: is <{_short(root.tag)}>, expected <annotation>")
    objects, notes = [], []
    for number, element in enumerate(root.findall("object"), start=1):
        try:
            objects.append(_object(element, number, notes))
        except _Unusable as error:
            text = f"{_describe(number, _name(element))} set aside: {error}"
            notes.append(Note(SET_ASIDE, text))
    return Annotation(_size(root), tuple(objects), tuple(notes))


def clip_to_image(objects, width, height):
    """Clips boxes to an image.

    Args:
      objects: iterable of `Object`s.
      width, height: the image's size in pixels.

    Returns:
      (objects, notes): those with something left inside the image, and a `Note` for
      each one that was changed or is missing.
    """
    kept, notes = [], []
    for one in objects:
        box = tuple(
            min(max(edge, 0.0), float(limit))
            for edge, limit in zip(one.box, (height, width, height, width))
        )
        ymin, xmin, ymax, xmax = box
        if min(ymax - ymin, xmax - xmin) < _MIN_SIDE:
            text = f"{one.describe()} set aside: lies outside {width}x{height}"
            notes.append(Note(SET_ASIDE, text))
            continue
        if box != one.box:
            text = f"{one.describe()} clipped to {width}x{height}"
            notes.append(Note(CLIPPED, text))
        kept.append(one._replace(box=box))
    return kept, notes


class _Unusable(Exception):
    """An object cannot be used; the message says why."""


def _parse_xml(data):
    """The root element.

    Document types are refused: entities come with them, and with those files that
    grow a million times when read, or that ask for other files.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(f"annotation: is larger than {MAX_BYTES} bytes")
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0

    def start(tag, attributes):
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise Unreadable(f"annotation: is nested over {_MAX_DEPTH} levels deep")
        builder.start(tag, attributes)

    def end(tag):
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        # The latter two: encodings that expat does not know.
        raise Unreadable(f"annotation: is no XML that can be read: {error}") from error
    return builder.close()


def _refuse_document_type(*_):
    raise Unreadable("annotation: has a document type, which none needs")


def _object(element, number, notes):
    name = _name(element)
    if not name:
        raise _Unusable("has no name")
    frame = element.find("bndbox")
    if frame is None:
        raise _Unusable("has no bndbox")
    ymin, xmin, ymax, xmax = (_coordinate(frame, corner) for corner in _CORNERS)
    if ymin > ymax or xmin > xmax:
        text = f"{_describe(number, name)}: exchanged its minimum and maximum"
        notes.append(Note(CORRECTED, text))
        (ymin, ymax), (xmin, xmax) = sorted((ymin, ymax)), sorted((xmin, xmax))
    difficult = _text(element, "difficult") or "0"
    if difficult not in ("0", "1"):
        text = f"{_describe(number, name)}: difficult is {_short(difficult)!r}, not 1"
        notes.append(Note(CORRECTED, text))
    box = (ymin - 1.0, xmin - 1.0, ymax, xmax)
    return Object(name, box, int(difficult == "1"), number)


def _coordinate(frame, corner):
    text = _text(frame, corner)
    if not text:
        raise _Unusable(f"has no {corner}")
    value = _number(text)
    if value is None:
        raise _Unusable(f"{corner} is {_short(text)!r}, no number")
    return value


def _size(root):
    """(width, height) by the file; (0, 0) unless it has two whole numbers."""
    sides = [_number(_text(root, f"size/{side}")) for side in ("width", "height")]
    if None in sides or not all(side.is_integer() for side in sides):
        return 0, 0
    return int(sides[0]), int(sides[1])


def _name(element):
    return _text(element, "name")


def _text(element, path):
    return (element.findtext(path) or "").strip()


def _number(text):
    """The finite number that `text` is, a float; else None."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _describe(number, name):
    return f"object {number} ({_short(name) or 'without a name'})"


def _short(text):
    return text if len(text) <= 40 else f"{text[:40]}..."
