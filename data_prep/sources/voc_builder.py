"""Builds a data set of images with boxes from a VOC devkit; the library of `voc07`."""

import collections
import sys

from data_prep.build import writer
from data_prep.build.inputs import Input
from data_prep.build.shards import SetAside
from data_prep.sources import photo_conversion, voc_conversion
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests
from selfsup.formats import voc_devkit, voc_splits

# In the devkit's order; the manifest's labels, and so the class indices.
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
FOUND = "found"
_SECONDS = 120
_NAMES_SHOWN = 10


def build_voc(*, inputs, output, year="", splits=(), classes="", **build_options):
    """Builds or resumes a data set of images with boxes.

    Args:
      inputs: paths of folders and tars that together hold the devkit.
      output: the folder for the shards.
      year: "VOC2007" or "2007"; "" where the inputs have but one.
      splits: of "train", "val", "trainval" and "test", those to build; all that are
        there if empty.
      classes: "a,b,c" or "@FILE" (a name a line); "found" for the names that the
        annotations have, sorted; "" for VOC's, where these have no other.
      **build_options: as in `writer.build`.

    Returns:
      the `Manifest`.

    Raises:
      UserError: there is no devkit or not what was asked for, or as `writer.build`.
    """
    asked = voc_splits.parse_splits(splits)
    devkit = voc_devkit.find(inputs, year)
    chosen = _check_splits(devkit, asked, required=bool(splits))
    assigned = voc_splits.assign(devkit.lists)
    chosen, bare = _check_annotations(devkit, assigned, chosen, required=bool(splits))
    images = {image: one for image, one in assigned.items() if one.split in chosen}
    labels = _choose_classes(classes, devkit, assigned)
    print(_describe(devkit, images, assigned), file=sys.stderr)
    return writer.build(
        output=output,
        kind=manifests.OBJECTS,
        features=("image", "boxes"),
        inputs=_inputs(devkit, images, bare),
        convert=voc_conversion.VocConverter(labels),
        options={
            "year": devkit.name,
            "splits": chosen,
            "splits_without_annotations": bare,
            "min_side": photo_conversion.MIN_SIDE,
            "jpeg_quality": photo_conversion.JPEG_QUALITY,
        },
        labels=labels,
        containers=devkit.containers,
        time_limit=_SECONDS,
        **build_options,
    )


def _check_splits(devkit, asked, required):
    """The splits of `asked` that have a list; says why the others have none."""
    missing = voc_splits.explain_missing(devkit.lists, asked)
    for split, reason in missing.items():
        if required:
            raise UserError(f"--splits={split}: {devkit.name}: {reason}")
        print(f"{devkit.name}: no {split} split: {reason}", file=sys.stderr)
    chosen = tuple(split for split in asked if split not in missing)
    if not chosen:
        raise UserError(f"{devkit.name}: has no lists in ImageSets/Main")
    return chosen


def _check_annotations(devkit, assigned, chosen, required):
    """Deals with a test set whose annotations were never published, as VOC2012's.

    Returns:
      (splits to build, those of them that have no annotations).
    """
    test = [image for image, one in assigned.items() if one.split == "test"]
    if "test" not in chosen or not test or devkit.annotations.keys() & set(test):
        return chosen, ()
    if required:
        print(
            f"{devkit.name}: the test split has no annotations, so no boxes",
            file=sys.stderr,
        )
        return chosen, ("test",)
    print(
        f"{devkit.name}: no test split: its annotations are not there; --splits=test "
        "builds it without boxes",
        file=sys.stderr,
    )
    return tuple(split for split in chosen if split != "test"), ()


def _inputs(devkit, images, bare):
    """Yields an `Input` for every image; unusable ones say why."""
    for image, (split, problem) in images.items():
        picture = devkit.images.get(image)
        annotation = devkit.annotations.get(image)
        if not problem and picture is None:
            problem = f"JPEGImages has no image {image}"
        if not problem and annotation is None and split not in bare:
            problem = f"Annotations has no {image}.xml"
        detail = voc_conversion.detail(picture, annotation, problem)
        yield Input(f"{devkit.name}/{image}", split, detail)


def _choose_classes(option, devkit, images):
    """The class names that an option of `build_voc` means, in the order of indices.

    Those of all splits count: sets built of single splits agree.
    """
    if option and option != FOUND:
        return _named_classes(option)
    counts = count_names(devkit.annotations, images)
    if not counts:
        raise UserError(
            f"{devkit.name}: no annotation of the listed images has objects"
        )
    if option == FOUND:
        return tuple(sorted(counts))
    others = [name for name, _ in counts.most_common() if name not in VOC_CLASSES]
    if others:
        shown = ", ".join(f"{name} ({counts[name]})" for name in others[:_NAMES_SHOWN])
        raise UserError(
            f"{devkit.name}: has objects of {len(others)} classes that are not VOC's: "
            f"{shown}; give --classes={FOUND} to take all that are there, or "
            "--classes=a,b,c to leave those of others out"
        )
    return VOC_CLASSES


def _named_classes(option):
    if option.startswith("@"):
        try:
            with open(option[1:], encoding="utf-8-sig") as file:
                words = file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--classes={option}: cannot be read: {error}") from error
    else:
        words = option.split(",")
    names = tuple(word.strip() for word in words if word.strip())
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if twice or not names:
        reason = f"{twice[0]} is there twice" if twice else "names no class"
        raise UserError(f"--classes={option}: {reason}")
    return names


def count_names(annotations, images):
    """Counter of the class names of objects in the annotations of some images.

    Args:
      annotations: {image id: `Location`}.
      images: iterable of image ids.
    """
    counts = collections.Counter()
    for image in images:
        try:
            annotation = voc_conversion.read_annotation(annotations.get(image))
        except (SetAside, OSError):
            continue  # Is told, with the reason, when the image is converted.
        if annotation is not None:
            counts.update(one.name for one in annotation.objects)
    return counts


def _describe(devkit, images, assigned):
    splits = collections.Counter(one.split for one in images.values())
    numbers = ", ".join(f"{splits[split]} {split}" for split in splits)
    unlisted = len(devkit.images.keys() - assigned.keys())
    return f"{devkit.name}: {numbers} images; {unlisted} others are in no list"
