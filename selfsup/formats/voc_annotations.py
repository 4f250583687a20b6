"""Reads PASCAL VOC annotations, XML from untrusted sources, into valid boxes.

Only `annotation/object/bndbox` counts. The boxes of an object's `part`s (head, hands and
feet in VOC's person layout) are nested deeper and are ignored. VOC counts pixels from 1 and
includes the last pixel; boxes here are edges from 0, as in `selfsup.data.records`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple, NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

# The largest file of VOC 2007 has 16 KB; this is enough for ten thousand objects.
MAX_BYTES = 4 << 20
_MAX_DEPTH = 32
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Kinds of notes, which name counts in a manifest.
SET_ASIDE = "objects set aside"
CLIPPED = "objects clipped to the image"
CORRECTED = "objects corrected"
_CORNERS = ("ymin", "xmin", "ymax", "xmax")
# Annotated boxes span at least a pixel. A box with a shorter side after clipping is
# outside the image, up to a rounding error.
_MIN_SIDE = 0.5

Box = tuple[float, float, float, float]


class Unreadable(Exception):
    """An annotation file cannot be used; the message says why."""


class Object(NamedTuple):
    """An object in an image.

    Attributes:
      name: of its class.
      box: (ymin, xmin, ymax, xmax), edges in pixels from 0.
      difficult: 0 or 1; evaluations ignore difficult objects.
      number: place of the object in the file, from 1.
    """

    name: str
    box: Box
    difficult: int
    number: int

    def describe(self) -> str:
        """Returns a text that identifies the object in the file."""
        return _describe(self.number, self.name)


class Note(NamedTuple):
    """A defect of an annotation.

    Attributes:
      kind: under which a manifest counts the defect, such as `SET_ASIDE`.
      text: description of the defect.
    """

    kind: str
    text: str


class Annotation(NamedTuple):
    """Content of an annotation file.

    Attributes:
      size: (width, height); (0, 0) if the file does not state it.
      objects: usable objects; `clip_to_image` compares them with the image.
      notes: one for each object that was left out or corrected.
    """

    size: tuple[int, int]
    objects: tuple[Object, ...]
    notes: tuple[Note, ...]


def parse(data: bytes) -> Annotation:
    """Parses an annotation file.

    Args:
      data: content of the file.

    Raises:
      Unreadable: the file is not an annotation or is unsafe to parse. No other error is
        raised for any content.
    """
    root = _parse_xml(data)
    if root.tag != "annotation":
        raise Unreadable(f"annotation: is <{_short(root.tag)}>, expected <annotation>")
    objects: list[Object] = []
    notes: list[Note] = []
    for number, element in enumerate(root.findall("object"), start=1):
        try:
            objects.append(_object(element, number, notes))
        except _Unusable as error:
            text = f"{_describe(number, _name(element))} set aside: {error}"
            notes.append(Note(SET_ASIDE, text))
    return Annotation(_size(root), tuple(objects), tuple(notes))


def clip_to_image(
    objects: Iterable[Object], width: int, height: int
) -> tuple[list[Object], list[Note]]:
    """Clips boxes to an image.

    Args:
      objects: the objects.
      width: of the image in pixels.
      height: of the image in pixels.

    Returns:
      the objects that are at least partly inside the image, and a note for each object
      that was clipped or left out.
    """
    kept, notes = [], []
    for annotated in objects:
        ymin, xmin, ymax, xmax = annotated.box
        box = (
            min(max(ymin, 0.0), float(height)),
            min(max(xmin, 0.0), float(width)),
            min(max(ymax, 0.0), float(height)),
            min(max(xmax, 0.0), float(width)),
        )
        if min(box[2] - box[0], box[3] - box[1]) < _MIN_SIDE:
            text = f"{annotated.describe()} set aside: lies outside {width}x{height}"
            notes.append(Note(SET_ASIDE, text))
            continue
        if box != annotated.box:
            text = f"{annotated.describe()} clipped to {width}x{height}"
            notes.append(Note(CLIPPED, text))
        kept.append(annotated._replace(box=box))
    return kept, notes


class _Unusable(Exception):
    """An object cannot be used; the message says why."""


def _parse_xml(data: bytes) -> ElementTree.Element:
    """Returns the root element.

    Document types are rejected, because they can define entities that expand to a million
    times the file's size or that refer to other files.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(f"annotation: is larger than {MAX_BYTES} bytes")
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise Unreadable(f"annotation: is nested over {_MAX_DEPTH} levels deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
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
        # expat raises ValueError and LookupError for encodings that it does not know.
        raise Unreadable(f"annotation: is not readable XML: {error}") from error
    return builder.close()


def _refuse_document_type(*_: object) -> NoReturn:
    raise Unreadable("annotation: has a document type, which VOC does not use")


def _object(element: ElementTree.Element, number: int, notes: list[Note]) -> Object:
    """Returns the object in an element; adds a note for each correction."""
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


def _coordinate(frame: ElementTree.Element, corner: str) -> float:
    text = _text(frame, corner)
    if not text:
        raise _Unusable(f"has no {corner}")
    value = _number(text)
    if value is None:
        raise _Unusable(f"{corner} is {_short(text)!r}, not a number")
    return value


def _size(root: ElementTree.Element) -> tuple[int, int]:
    """Returns the (width, height) in the file, or (0, 0) unless both are integers."""
    width = _number(_text(root, "size/width"))
    height = _number(_text(root, "size/height"))
    if width is None or height is None:
        return 0, 0
    if not (width.is_integer() and height.is_integer()):
        return 0, 0
    return int(width), int(height)


def _name(element: ElementTree.Element) -> str:
    return _text(element, "name")


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(text: str) -> float | None:
    """Returns the finite number that `text` denotes, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _describe(number: int, name: str) -> str:
    return f"object {number} ({_short(name) or 'without a name'})"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
