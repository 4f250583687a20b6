"""One image of a VOC devkit to one record: the photo as it is and sound boxes."""

import collections
import dataclasses
import json

from data_prep.build.shards import Converted, SetAside
from data_prep.sources import photo_conversion
from selfsup.formats import voc_annotations
from selfsup.formats.voc_annotations import Note
from selfsup.formats.voc_devkit import Location

MAX_PIXELS = 100_000_000
_MAX_NOTES = 20
_KEPT = "objects"
_DIFFICULT = "objects that are difficult"
_EMPTY = "images without objects"
_OTHER_SIZE = "images with another size in the annotation"
_CONVERTED = "images encoded anew"
_TURNED = "images with boxes, turned by EXIF"

# Where an edge at (y, x) of an image of height h and width w is after the quarter turn
# of an EXIF orientation (EXIF 2.3, section 4.6.4).
_QUARTER_TURNS = {
    5: lambda y, x, h, w: (x, y),
    6: lambda y, x, h, w: (x, h - y),
    7: lambda y, x, h, w: (w - x, h - y),
    8: lambda y, x, h, w: (w - x, y),
}


def detail(image, annotation, problem):
    """The text in an `Input` by which `VocConverter` finds the files.

    Args:
      image, annotation: `Location`s; None where there is none.
      problem: why the image cannot be used, or "".
    """
    return json.dumps({"image": image, "annotation": annotation, "problem": problem})


@dataclasses.dataclass(frozen=True)
class VocConverter:
    """Turns an image and its annotation into a record; a `writer.build` convert function.

    Attributes:
      labels: class names; objects of others are left out and counted.
    """

    labels: tuple

    def __call__(self, item):
        """Returns the image's record with notes on its objects.

        Args:
          item: an `Input` with a text of `detail`.

        Raises:
          SetAside: the image or its annotation cannot be used; says why.
        """
        from selfsup.data import records

        where = json.loads(item.detail)
        if where["problem"]:
            raise SetAside(where["problem"])
        annotation = read_annotation(where["annotation"])
        data = _read(where["image"], photo_conversion.byte_limit(MAX_PIXELS))
        photo = photo_conversion.convert(data, "", max_pixels=MAX_PIXELS)
        objects, notes = [], []
        if annotation is not None:
            objects, notes = _place(annotation, data, photo.width, photo.height)
        if photo.encoded is not data:
            notes.append(Note(_CONVERTED, photo.note or "made a JPEG"))
        objects, left_out = self._known(objects)
        record = records.serialize(
            key=item.key,
            encoded=photo.encoded,
            height=photo.height,
            width=photo.width,
            boxes=[one.box for one in objects],
            classes=[self.labels.index(one.name) for one in objects],
            difficult=[one.difficult for one in objects],
        )
        counts = collections.Counter(note.kind for note in notes) + left_out
        counts[_KEPT] += len(objects)
        counts[_DIFFICULT] += sum(one.difficult for one in objects)
        counts[_EMPTY] += not objects
        return Converted([record], _text_of(notes), dict(+counts))

    def _known(self, objects):
        """(objects of our classes, Counter of the others by class)."""
        known = [one for one in objects if one.name in self.labels]
        others = (one.name for one in objects if one.name not in self.labels)
        return known, collections.Counter(
            f"objects left out, of the class {name[:40]!r}" for name in others
        )


def read_annotation(where):
    """The `Annotation` at a `Location`, as `detail` has it; None for None.

    Raises:
      SetAside: it cannot be used.
    """
    if where is None:
        return None
    data = _read(where, voc_annotations.MAX_BYTES)
    try:
        return voc_annotations.parse(data)
    except voc_annotations.Unreadable as error:
        raise SetAside(str(error)) from error


def _read(where, limit):
    """The bytes at a `Location`, unless they are too many to be what they should be."""
    location = Location(*where)
    if location.size > limit:
        raise SetAside(f"is too large: {location.size} bytes in {location.path}")
    return location.read()


def _place(annotation, data, width, height):
    """The objects as they lie in the record's image.

    Args:
      annotation: an `Annotation`.
      data: the image file's bytes.
      width, height: of the record's image.

    Returns:
      (objects, notes).
    """
    notes = list(annotation.notes)
    objects = annotation.objects
    orientation = photo_conversion.orientation(data)
    if orientation != 1 and objects:
        is_upright = _has_upright_boxes(annotation.size, orientation, width, height)
        if not is_upright:
            objects = [_turn(one, orientation, width, height) for one in objects]
        how = "were upright already" if is_upright else "turned with the image"
        notes.append(Note(_TURNED, f"boxes {how}"))
    elif annotation.size != (width, height):
        text = "says {}x{}, the image has {}x{}"
        text = text.format(*annotation.size, width, height)
        notes.append(Note(_OTHER_SIZE, f"the annotation {text}"))
    objects, more = voc_annotations.clip_to_image(objects, width, height)
    return objects, notes + more


def _has_upright_boxes(size, orientation, width, height):
    """Whether the boxes of an image that EXIF turns are those of the upright image.

    Some tools that draw boxes turn the image before, others do not. The size that the
    annotation says tells, where the turn changes it.

    Args:
      size: (width, height) by the annotation.
      orientation: EXIF's.
      width, height: of the upright image.
    """
    sizes = {(width, height), (height, width)}
    if orientation not in _QUARTER_TURNS or size not in sizes or len(sizes) == 1:
        raise SetAside(
            f"is turned by EXIF (orientation {orientation}), and whether its boxes are "
            "turned too cannot be told from the annotation's size"
        )
    return size == (width, height)


def _turn(one, orientation, width, height):
    """An object of the stored image as it lies in the upright one of width x height."""
    move = _QUARTER_TURNS[orientation]
    # As the image is stored, its sides are exchanged.
    corners = (
        move(*one.box[:2], h=width, w=height),
        move(*one.box[2:], h=width, w=height),
    )
    (ymin, ymax), (xmin, xmax) = map(sorted, zip(*corners))
    return one._replace(box=(ymin, xmin, ymax, xmax))


def _text_of(notes):
    texts = [note.text for note in notes[:_MAX_NOTES]]
    if len(notes) > _MAX_NOTES:
        texts.append(f"and {len(notes) - _MAX_NOTES} more")
    return "; ".join(texts)
