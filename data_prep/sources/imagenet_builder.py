"""Builds ILSVRC2012, or any set in class folders; the library behind `imagenet`."""

import dataclasses
import json
import sys

from data_prep.build import writer
from data_prep.build.inputs import Input
from data_prep.sources import (
    class_folders,
    imagenet_labels,
    photo_conversion,
)
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

TRAIN = "train"
VALIDATION = "validation"
_NO_CLASS = "lies in no class folder"
# Names that folders of whole splits have, and classes have not.
_SPLIT_NAMES = {"train", "val", "valid", "validation", "test"}


def build_imagenet(
    *,
    train,
    output,
    validation="",
    validation_labels="",
    synsets="",
    max_side=0,
    max_pixels=100_000_000,
    **build_options,
):
    """Builds or resumes a labelled data set of photos.

    Args:
      train: folder of class folders, or a tar file of them or of one tar a class.
      output: the folder for the shards.
      validation: the same for the held-out split, or its images in no class folder; ""
        to hold out a share of `train`.
      validation_labels, synsets: see `imagenet_labels.read_ground_truth`; for
        validation images in no class folder.
      max_side: longer side above which photos are shrunk; 0 keeps all sizes.
      max_pixels: larger images are set aside.
      **build_options: as in `writer.build`.

    Returns:
      the `Manifest`; its labels are the names of `train`'s class folders, sorted.

    Raises:
      UserError: the files do not fit one another, or as `writer.build`.
    """
    source = class_folders.open_source(train, "train", [output])
    labels = _class_names(source)
    held_out = _open_validation(validation, validation_labels, synsets, output, labels)
    sources = {TRAIN: source, **({VALIDATION: held_out.source} if held_out else {})}
    return writer.build(
        output=output,
        kind=manifests.PHOTOS,
        features=("image", "label"),
        inputs=list_inputs(source, held_out, labels),
        convert=ImageNetConverter(sources, max_side, max_pixels),
        options={
            "max_side": max_side,
            "max_pixels": max_pixels,
            "min_side": photo_conversion.MIN_SIDE,
            "jpeg_quality": photo_conversion.JPEG_QUALITY,
        },
        labels=labels,
        containers=[one.path for one in sources.values()],
        time_limit=photo_conversion.time_limit(max_pixels),
        **build_options,
    )


@dataclasses.dataclass(frozen=True)
class ImageNetConverter:
    """Turns listed photos into records; a `writer.build` convert function.

    Attributes:
      sources: {"train" or "validation": where its photos are read}.
      max_side, max_pixels: as in `photo_conversion.convert`.
    """

    sources: dict
    max_side: int = 0
    max_pixels: int = 100_000_000

    def __call__(self, item):
        """Returns `Converted`: the photo's one record, and what was repaired.

        Raises:
          SetAside: it cannot be used; says why.
        """
        detail = json.loads(item.detail)
        if "problem" in detail:
            raise writer.SetAside(detail["problem"])
        limit = photo_conversion.byte_limit(self.max_pixels)
        data = self.sources[detail["from"]].read(*detail["place"], limit)
        return photo_conversion.to_record(
            data, item.key, detail["label"], self.max_side, self.max_pixels
        )


@dataclasses.dataclass(frozen=True)
class _HeldOut:
    """The validation images.

    Attributes:
      source: where they are.
      truth: their `GroundTruth`, or None for class folders.
    """

    source: object
    truth: object

    def class_of(self, photo):
        """(class, why there is none) of a photo."""
        if self.truth is None:
            return _folder_of(photo)
        try:
            return self.truth.class_of(photo.name), ""
        except KeyError as error:
            return "", error.args[0]


def _class_names(source):
    labels = source.classes
    if len(labels) < 2 or set(labels) <= _SPLIT_NAMES:
        found = f"holds {', '.join(labels)}" if labels else "holds no folder of photos"
        raise UserError(
            f"--train={source.path}: {found}; expected two or more class folders "
            "(n01440764, ...) directly in it, or a tar file of one tar a class"
        )
    print(f"{source.path}: {len(labels)} classes", file=sys.stderr)
    return labels


def _open_validation(validation, validation_labels, synsets, output, labels):
    """The `_HeldOut` images, checked against the classes; None without any."""
    if synsets and not validation_labels:
        raise UserError(f"--synsets={synsets}: goes with --validation_labels")
    if validation_labels and not validation:
        raise UserError(f"--validation_labels={validation_labels}: no --validation")
    if not validation:
        return None
    source = class_folders.open_source(validation, "validation", [output])
    if validation_labels:
        truth = imagenet_labels.read_ground_truth(validation_labels, synsets)
        _check_known(truth.classes, labels, f"--validation_labels={validation_labels}")
        _check_length(source, truth)
        return _HeldOut(source, truth)
    if not source.classes:
        raise UserError(
            f"--validation={validation}: its images lie in no class folders; give "
            "--validation_labels (the devkit, ILSVRC2012_devkit_t12.tar.gz)"
        )
    _check_known(source.classes, labels, f"--validation={validation}")
    return _HeldOut(source, None)


def _check_known(classes, labels, where):
    unknown = sorted(set(classes) - set(labels))
    if unknown:
        shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise UserError(
            f"{where}: {len(unknown)} of its {len(set(classes))} classes are not among "
            f"the {len(labels)} of --train: {shown}"
        )


def _check_length(source, truth):
    """Refuses ground truth of other images; a cut archive's are known by number."""
    images = problems = 0
    for photo in source.photos(report=_say_nothing):
        images += not photo.problem
        problems += bool(photo.problem)
    if images == len(truth) or (problems and images < len(truth)):
        return
    difference = len(truth) - images
    raise UserError(
        f"--validation_labels={truth.path}: labels {len(truth)} images, and "
        f"--validation={source.path} holds {images}: {abs(difference)} "
        + ("images are missing" if difference > 0 else "images have no label")
    )


def list_inputs(source, held_out, labels):
    """Yields the `Input`s of both splits, unusable ones too.

    Args:
      source: of the training images.
      held_out: the validation images, or None.
      labels: class names by label.
    """
    indices = {name: index for index, name in enumerate(labels)}
    for photo in source.photos(report=_say):
        split = TRAIN if held_out else ""
        yield _input(TRAIN, split, photo, photo.name, *_folder_of(photo), indices)
    if held_out is None:
        return
    for photo in held_out.source.photos(report=_say):
        name, problem = held_out.class_of(photo)
        below = photo.name
        if held_out.truth is not None and name:
            # As if it lay in class folders, so that both ways give the same records.
            below = f"{name}/{photo.name.rpartition('/')[2]}"
        yield _input(VALIDATION, VALIDATION, photo, below, name, problem, indices)


def _input(origin, split, photo, below, class_name, problem, indices):
    """The `Input` of a photo; `below` is its path in the folder of the class folders."""
    problem = photo.problem or problem
    if not problem and class_name not in indices:
        problem = _NO_CLASS
    if problem:
        detail = {"problem": problem}
        below = photo.name
    else:
        detail = {"from": origin, "place": photo.place, "label": indices[class_name]}
    return Input(f"{origin}/{below}", split, json.dumps(detail))


def _folder_of(photo):
    """(class, why there is none) of a photo in a class folder."""
    folder, slash, _ = photo.name.partition("/")
    return (folder, "") if slash else ("", _NO_CLASS)


def _say(line):
    print(line, file=sys.stderr)


def _say_nothing(line):
    del line
