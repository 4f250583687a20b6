"""Finds the files of a VOC devkit in folders and in tars, without extracting these.

The parts of a year (`VOC2007/JPEGImages`, `Annotations` and `ImageSets/Main`) may be
spread over several inputs, as the organizers distribute them.
"""

import dataclasses
import os
import re
from typing import NamedTuple

from selfsup.common.errors import UserError
from selfsup.formats import archives, voc_lists

LISTS = ("train", "val", "trainval", "test")
_IMAGES, _ANNOTATIONS, _LISTS = PARTS = ("JPEGImages", "Annotations", "ImageSets/Main")
_IMAGE_EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"),
    *(".heic", ".heif", ".avif", ".jp2"),
)
_MEMBER = re.compile(rf"(?:(?:.*/)?([^/]+)/)?({'|'.join(PARTS)})/([^/]+)", re.DOTALL)


class Location(NamedTuple):
    """Where the bytes of a file lie.

    Attributes:
      path: of the file itself, or of the tar that holds it; absolute.
      offset: where they begin in the tar; -1 for a file of its own.
      size: how many there are.
      changed: when the file last was, in ns: no build goes on over a replaced file.
    """

    path: str
    offset: int
    size: int
    changed: int = 0

    @property
    def container(self):
        """The folder or the tar that it is in."""
        return self.path if self.offset >= 0 else os.path.dirname(self.path)

    def read(self):
        """The bytes; raises `OSError`."""
        if self.offset >= 0:
            return archives.read(self.path, self.offset, self.size)
        with open(self.path, "rb") as file:
            return file.read()


@dataclasses.dataclass(frozen=True)
class Devkit:
    """One year of a devkit.

    Attributes:
      name: its folder's, "VOC2007".
      images: {image id: `Location`}.
      annotations: {image id: `Location`}.
      lists: {"train", "val", "trainval" or "test": tuple of image ids}, each id once;
        those that are there.
      containers: paths of the folders and tars that these are in.
    """

    name: str
    images: dict
    annotations: dict
    lists: dict
    containers: tuple


def find(inputs, year=""):
    """Finds a devkit.

    Args:
      inputs: paths. A folder is a year's ("VOC2007"), the devkit ("VOCdevkit"), which
        holds years, or one that holds the devkit; a tar holds any of these.
      year: which one, "VOC2007" or "2007"; "" if there is but one.

    Returns:
      a `Devkit`.

    Raises:
      UserError: an input cannot be read, a file is there twice and differs, or it is
        not clear which year is meant.
    """
    try:
        return _find(inputs, year)
    except OSError as error:
        raise UserError(f"--input: cannot be read: {error}") from error


def _find(inputs, year):
    years = {}
    for path in inputs:
        for name, part, file, location in _files(path):
            folder = years.setdefault(name, {part: {} for part in PARTS})[part]
            _add(folder, os.path.splitext(file)[0], location)
    wanted = f"VOC{year}" if year.isdigit() else year
    name = _choose_year(years, wanted, ", ".join(inputs))
    images, annotations, lists = (years[name][part] for part in PARTS)
    return Devkit(
        name=name or wanted,
        images=images,
        annotations=annotations,
        lists={stem: _ids(location) for stem, location in sorted(lists.items())},
        containers=_containers(years[name]),
    )


def _containers(parts):
    """Paths of all folders and tars that a year's files are in, sorted."""
    found = {one.container for files in parts.values() for one in files.values()}
    return tuple(sorted(found))


def _files(path):
    """Yields (year, part, file name, Location) of the devkit's files in an input."""
    if os.path.isdir(path):
        found = _files_of_folder(os.path.abspath(path))
    elif os.path.isfile(path):
        found = _files_of_tar(os.path.abspath(path))
    else:
        raise UserError(f"--input={path}: no such file or folder")
    for year, part, file, location in found:
        if not file.startswith(".") and _belongs(part, file):
            yield year, part, file, location


def _belongs(part, file):
    stem, extension = os.path.splitext(file)
    extension = extension.lower()
    if part == _IMAGES:
        return extension in _IMAGE_EXTENSIONS
    if part == _ANNOTATIONS:
        return extension == ".xml"
    return extension == ".txt" and stem in LISTS


def _files_of_tar(path):
    for entry in archives.entries(path, descend=False):
        if entry.problem:
            raise UserError(
                f"--input={path}: {entry.name} {entry.problem}; get it anew, or extract "
                "it and give the folder"
            )
        match = _MEMBER.fullmatch(entry.name)
        if match:
            location = Location(path, entry.offset, entry.size)
            yield match[1] or "", match[2], match[3], location


def _files_of_folder(folder):
    years = [year for year in _year_folders(folder) if _has_parts(year)]
    for year in years:
        for part in PARTS:
            for entry in _listed(os.path.join(year, part)):
                if entry.is_file():
                    status = entry.stat()
                    location = Location(
                        entry.path, -1, status.st_size, status.st_mtime_ns
                    )
                    yield os.path.basename(year), part, entry.name, location


def _year_folders(folder):
    if _has_parts(folder):
        return [folder]
    devkit = os.path.join(folder, "VOCdevkit")
    root = devkit if os.path.isdir(devkit) else folder
    return [entry.path for entry in _listed(root) if entry.is_dir()]


def _has_parts(folder):
    return any(os.path.isdir(os.path.join(folder, part)) for part in PARTS)


def _listed(folder):
    """Its entries by name; none where it is not there."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _add(folder, stem, location):
    """Files that the inputs share, as the organizers' tars do, must be the same."""
    other = folder.setdefault(stem, location)
    if other is location:
        return
    if other.size != location.size or other.read() != location.read():
        raise UserError(
            f"--input: {stem} is there twice and differs: in {other.path} and in "
            f"{location.path}"
        )


def _choose_year(years, wanted, where):
    """The key of `years` that is wanted; "" there is a tar's content without a year."""
    known = ", ".join(name or "one without a name" for name in sorted(years))
    if not years:
        raise UserError(
            f"--input={where}: no VOC devkit there: expected VOCdevkit/VOC2007 with the "
            f"folders {', '.join(PARTS)}, or the tars that hold it"
        )
    if wanted and not {wanted, ""} & set(years):
        raise UserError(f"--year={wanted}: is not in {where}, which has {known}")
    if wanted:
        return wanted if wanted in years else ""
    if len(years) > 1 or "" in years:
        raise UserError(f"--year: is needed, as {where} has {known}")
    return known


def _ids(location):
    """The image ids in a list file, each once, in its order."""
    try:
        return voc_lists.parse_image_ids(location.read())
    except ValueError as error:
        raise UserError(f"{location.path}: cannot be read: {error}") from error
