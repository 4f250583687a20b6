"""Lists the photos of ILSVRC2012, or of other class folders, with their labels."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from data_prep.build.inputs import Input
from data_prep.sources import class_folders, imagenet_labels
from data_prep.sources.class_folders import ListedPhoto, PhotoSource
from data_prep.sources.imagenet_labels import GroundTruth
from selfsup.common.errors import UserError

TRAIN = "train"
VALIDATION = "validation"
_NO_CLASS = "is not in a class folder"
_NAMES_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class HeldOutPhotos:
    """The validation photos.

    Attributes:
      source: where the photos are.
      truth: their classes; None if the photos are in class folders.
    """

    source: PhotoSource
    truth: GroundTruth | None

    def class_of(self, photo: ListedPhoto) -> tuple[str, str]:
        """Returns (class name, problem) of a photo; exactly one of the two is ""."""
        if self.truth is None:
            return _class_folder(photo)
        try:
            return self.truth.class_of(photo.name), ""
        except KeyError as error:
            return "", error.args[0]


def open_held_out(
    validation: str,
    validation_labels: str,
    synsets: str,
    output: str,
    labels: Sequence[str],
) -> HeldOutPhotos | None:
    """Opens the validation photos and checks them against the training classes.

    Args:
      validation: folder or tar file of the photos; "" for none.
      validation_labels, synsets: see `imagenet_labels.read_ground_truth`; "" for photos
        in class folders.
      output: the builder's output folder, which is skipped.
      labels: names of the training classes.

    Returns:
      the photos; None without `validation`.

    Raises:
      UserError: an argument is missing, a class is unknown, or the number of labels is
        not the number of photos.
    """
    if synsets and not validation_labels:
        raise UserError(f"synsets={synsets}: can only be used with validation_labels")
    if validation_labels and not validation:
        raise UserError(
            f"validation_labels={validation_labels}: can only be used with validation"
        )
    if not validation:
        return None
    source = class_folders.open_source(validation, [output])
    if validation_labels:
        truth = imagenet_labels.read_ground_truth(validation_labels, synsets)
        _check_known(truth.classes, labels, validation_labels)
        _check_length(source, truth)
        return HeldOutPhotos(source, truth)
    if not source.classes:
        raise UserError(
            f"{validation}: the images are not in class folders; give their labels as "
            "validation_labels (the devkit, ILSVRC2012_devkit_t12.tar.gz)"
        )
    _check_known(source.classes, labels, validation)
    return HeldOutPhotos(source, None)


def list_inputs(
    source: PhotoSource, held_out: HeldOutPhotos | None, labels: Sequence[str]
) -> Iterator[Input]:
    """Yields an `Input` for each photo of both splits, including unusable photos.

    The detail of an input is JSON: {"problem"} for an unusable photo, otherwise {"from"
    (the split), "place" (see `ListedPhoto`), "label" (the class index)}.

    Args:
      source: the training photos.
      held_out: the validation photos; None if the build is to hold out a share.
      labels: class names, in the order of the class indices.
    """
    indices = {name: index for index, name in enumerate(labels)}
    split = "" if held_out is None else TRAIN
    for photo in source.photos(report=_print_line):
        class_name, problem = _class_folder(photo)
        detail = _detail(TRAIN, photo, class_name, problem, indices)
        yield Input(f"{TRAIN}/{photo.name}", split, detail)
    if held_out is None:
        return
    for photo in held_out.source.photos(report=_print_line):
        class_name, problem = held_out.class_of(photo)
        detail = _detail(VALIDATION, photo, class_name, problem, indices)
        name = photo.name
        if held_out.truth is not None and class_name and not photo.problem:
            # The name that the photo would have in class folders, so that both layouts
            # give the same records.
            name = f"{class_name}/{photo.name.rpartition('/')[2]}"
        yield Input(f"{VALIDATION}/{name}", VALIDATION, detail)


def _detail(
    split: str,
    photo: ListedPhoto,
    class_name: str,
    problem: str,
    indices: Mapping[str, int],
) -> str:
    """Returns the detail of a photo's `Input`."""
    problem = photo.problem or problem
    if not problem and class_name not in indices:
        problem = _NO_CLASS
    if problem:
        return json.dumps({"problem": problem})
    return json.dumps(
        {"from": split, "place": photo.place, "label": indices[class_name]}
    )


def _class_folder(photo: ListedPhoto) -> tuple[str, str]:
    """Returns (class name, problem) of a photo in a class folder."""
    folder, slash, _ = photo.name.partition("/")
    return (folder, "") if slash else ("", _NO_CLASS)


def _check_known(classes: Collection[str], labels: Sequence[str], path: str) -> None:
    unknown = sorted(set(classes) - set(labels))
    if unknown:
        names = ", ".join(unknown[:_NAMES_SHOWN])
        more = ", ..." if len(unknown) > _NAMES_SHOWN else ""
        raise UserError(
            f"{path}: {len(unknown)} of its {len(set(classes))} classes are not among "
            f"the {len(labels)} training classes: {names}{more}"
        )


def _check_length(source: PhotoSource, truth: GroundTruth) -> None:
    """Checks that there is one label per photo.

    A truncated archive may have more labels than photos: labels go by image number.
    """
    problems = [bool(photo.problem) for photo in source.photos(report=_ignore_line)]
    images = problems.count(False)
    if images == len(truth) or (any(problems) and images < len(truth)):
        return
    difference = len(truth) - images
    raise UserError(
        f"{truth.path}: labels {len(truth)} images, but {source.path} holds {images}: "
        f"{abs(difference)} "
        + ("images are missing" if difference > 0 else "images have no label")
    )


def _print_line(line: str) -> None:
    print(line, file=sys.stderr)


def _ignore_line(line: str) -> None:
    del line
