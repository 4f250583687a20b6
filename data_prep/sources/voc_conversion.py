"""Converts an image of a VOC devkit to a record: the photo and its objects' boxes."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable, Sequence

from data_prep.build.inputs import Input
from data_prep.build.shards import Converted, SetAside
from data_prep.sources import photo_conversion
from selfsup.formats import voc_annotations
from selfsup.formats.voc_annotations import Annotation, Note, Object
from selfsup.formats.voc_devkit import Location

_MAX_NOTES = 20
# Names under which the manifest counts objects and images.
_KEPT = "objects"
_DIFFICULT = "objects that are difficult"
_EMPTY = "images without objects"
_OTHER_SIZE = "images with another size in the annotation"
_CONVERTED = "images encoded again"
_TURNED = "images with boxes, turned by EXIF"

# EXIF orientations that turn an image by a quarter (EXIF 2.3, section 4.6.4), and where
# the turn moves a point (y, x) of a stored image of height h and width w.
_Move = Callable[[float, float, int, int], tuple[float, float]]
_QUARTER_TURNS: dict[int, _Move] = {
    5: lambda y, x, h, w: (x, y),
    6: lambda y, x, h, w: (x, h - y),
    7: lambda y, x, h, w: (w - x, h - y),
    8: lambda y, x, h, w: (w - x, y),
}


def detail(image: Location | None, annotation: Location | None, problem: str) -> str:
    """Returns the `Input.detail` from which `VocConverter` finds the files.

    Args:
      image, annotation: where the files are; None for a missing file.
      problem: why the image cannot be used; "" if it can.
    """
    return json.dumps({"image": image, "annotation": annotation, "problem": problem})


@dataclasses.dataclass(frozen=True)
class VocConverter:
    """Converts an image and its annotation; a `shards.Converter`.

    Attributes:
      labels: class names; objects of other classes are left out and counted.
    """

    labels: tuple[str, ...]

    def __call__(self, item: Input) -> Converted:
        """Converts one image.

        Args:
          item: an `Input` whose detail was made by `detail`.

        Returns:
          `Converted` with one record, a note of what was changed, and the number of
          objects and images of each kind.

        Raises:
          SetAside: the image or its annotation cannot be used; the message is the reason.
        """
        from selfsup.data import records

        fields = json.loads(item.detail)
        if fields["problem"]:
            raise SetAside(fields["problem"])
        annotation = read_annotation(fields["annotation"])
        limit = photo_conversion.byte_limit(photo_conversion.MAX_PIXELS)
        data = _read(fields["image"], limit)
        photo = photo_conversion.convert(data, "")
        objects: Sequence[Object] = ()
        notes: list[Note] = []
        if annotation is not None:
            objects, notes = _fit(annotation, data, photo.width, photo.height)
        if photo.encoded is not data:
            notes.append(Note(_CONVERTED, photo.note or "made a JPEG"))
        counts = collections.Counter(note.kind for note in notes)
        counts.update(
            f"objects left out, of the class {thing.name[:40]!r}"
            for thing in objects
            if thing.name not in self.labels
        )
        known = [thing for thing in objects if thing.name in self.labels]
        record = records.serialize(
            key=item.key,
            encoded=photo.encoded,
            height=photo.height,
            width=photo.width,
            boxes=[thing.box for thing in known],
            classes=[self.labels.index(thing.name) for thing in known],
            difficult=[thing.difficult for thing in known],
        )
        counts[_KEPT] += len(known)
        counts[_DIFFICULT] += sum(thing.difficult for thing in known)
        counts[_EMPTY] += not known
        return Converted([record], _join_notes(notes), dict(+counts))


def read_annotation(location: Sequence[str | int] | None) -> Annotation | None:
    """Reads and parses an annotation file.

    Args:
      location: a `Location`, or its fields as JSON stores them; None for no file.

    Returns:
      the `Annotation`; None for no file.

    Raises:
      SetAside: the file cannot be used.
    """
    if location is None:
        return None
    data = _read(location, voc_annotations.MAX_BYTES)
    try:
        return voc_annotations.parse(data)
    except voc_annotations.Unreadable as error:
        raise SetAside(str(error)) from error


def _read(fields: Sequence[str | int], limit: int) -> bytes:
    """Returns the bytes at a `Location`; sets the input aside if they exceed `limit`."""
    location = Location(str(fields[0]), *map(int, fields[1:]))
    if location.size > limit:
        raise SetAside(f"is too large: {location.size} bytes in {location.path}")
    return location.read()


def _fit(
    annotation: Annotation, data: bytes, width: int, height: int
) -> tuple[list[Object], list[Note]]:
    """Turns and clips the boxes of an annotation to fit the upright image.

    Args:
      annotation: the annotation.
      data: bytes of the image file.
      width, height: size of the upright image.

    Returns:
      (objects, notes on what was changed).

    Raises:
      SetAside: EXIF turns the image, and it is unknown whether the boxes are turned.
    """
    notes = list(annotation.notes)
    objects: Sequence[Object] = annotation.objects
    orientation = photo_conversion.orientation(data)
    if orientation != 1 and objects:
        if _has_upright_boxes(annotation.size, orientation, width, height):
            notes.append(Note(_TURNED, "boxes were upright already"))
        else:
            objects = [_turn(thing, orientation, width, height) for thing in objects]
            notes.append(Note(_TURNED, "boxes turned with the image"))
    elif annotation.size != (width, height):
        size = "{}x{}".format(*annotation.size)
        text = f"the annotation says {size}, the image has {width}x{height}"
        notes.append(Note(_OTHER_SIZE, text))
    clipped, clip_notes = voc_annotations.clip_to_image(objects, width, height)
    return clipped, notes + clip_notes


def _has_upright_boxes(
    size: tuple[int, int], orientation: int, width: int, height: int
) -> bool:
    """Whether the boxes of an image that EXIF turns fit the upright image.

    Some annotation tools turn the image before the boxes are drawn, others do not. The
    size in the annotation shows which, if the turn changes the size.

    Args:
      size: (width, height) in the annotation.
      orientation: the EXIF orientation.
      width, height: size of the upright image.

    Raises:
      SetAside: the size does not show which.
    """
    sizes = {(width, height), (height, width)}
    if orientation not in _QUARTER_TURNS or size not in sizes or len(sizes) == 1:
        raise SetAside(
            f"is turned by EXIF (orientation {orientation}), and the annotation's size "
            "does not show whether the boxes are turned too"
        )
    return size == (width, height)


def _turn(thing: Object, orientation: int, width: int, height: int) -> Object:
    """Moves an object's box from the stored image to the upright image.

    Args:
      thing: the object, in the stored image.
      orientation: the EXIF orientation, a quarter turn.
      width, height: size of the upright image.
    """
    move = _QUARTER_TURNS[orientation]
    ymin, xmin, ymax, xmax = thing.box
    # The stored image is `width` high and `height` wide.
    corners = move(ymin, xmin, width, height), move(ymax, xmax, width, height)
    (ymin, ymax), (xmin, xmax) = map(sorted, zip(*corners))
    return thing._replace(box=(ymin, xmin, ymax, xmax))


def _join_notes(notes: Sequence[Note]) -> str:
    texts = [note.text for note in notes[:_MAX_NOTES]]
    if len(notes) > _MAX_NOTES:
        texts.append(f"and {len(notes) - _MAX_NOTES} more")
    return "; ".join(texts)
