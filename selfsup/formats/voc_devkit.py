"""Finds the files of a VOC devkit in folders and in tars, which are not extracted.

The parts of a year (`VOC2007/JPEGImages`, `Annotations` and `ImageSets/Main`) may be in
several inputs, because the organizers distribute them in several tars.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from selfsup.common.errors import UserError
from selfsup.formats import archives, voc_lists

LISTS = ("train", "val", "trainval", "test")
_IMAGES, _ANNOTATIONS, _LISTS = PARTS = ("JPEGImages", "Annotations", "ImageSets/Main")
_IMAGE_EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif",
    ".heic", ".heif", ".avif", ".jp2",
)  # fmt: skip
_MEMBER = re.compile(rf"(?:(?:.*/)?([^/]+)/)?({'|'.join(PARTS)})/([^/]+)", re.DOTALL)


class Location(NamedTuple):
    """The place of a file's content: a file, or a member of a tar.

    Attributes:
      path: absolute path of the file, or of the tar that contains it.
      offset: position of the first byte in the tar; -1 for a file outside tars.
      size: number of bytes.
      changed: time in ns when the file last changed. A build that resumes compares it, so
        that a replaced file is noticed; 0 in a tar.
    """

    path: str
    offset: int
    size: int
    changed: int = 0

    @property
    def container(self) -> str:
        """Path of the folder or of the tar that contains the file."""
        return self.path if self.offset >= 0 else os.path.dirname(self.path)

    def read(self) -> bytes:
        """Returns the content; raises `OSError`."""
        if self.offset >= 0:
            return archives.read(self.path, self.offset, self.size)
        with open(self.path, "rb") as file:
            return file.read()


@dataclasses.dataclass(frozen=True)
class Devkit:
    """One year of a devkit.

    Attributes:
      name: of its folder, such as "VOC2007".
      images: locations by image id.
      annotations: locations by image id.
      lists: image ids by list, "train", "val", "trainval" or "test"; each id once. Lists
        that do not exist are absent.
      containers: paths of the folders and tars that contain the files, sorted.
    """

    name: str
    images: dict[str, Location]
    annotations: dict[str, Location]
    lists: dict[str, tuple[str, ...]]
    containers: tuple[str, ...]


# A part's files by name without extension.
_Part = dict[str, Location]
# A year's files by part.
_Year = dict[str, _Part]


class _File(NamedTuple):
    """A file of a devkit: the name of its year, or "", its part and its own name."""

    year: str
    part: str
    name: str
    location: Location


def find(inputs: Sequence[str], year: str = "") -> Devkit:
    """Finds one year of a devkit.

    Args:
      inputs: paths. A folder is that of a year ("VOC2007"), the devkit ("VOCdevkit"), or
        a folder that contains the devkit. A tar contains any of these.
      year: such as "VOC2007" or "2007"; "" if the inputs have only one.

    Raises:
      UserError: an input cannot be read, a file differs between two inputs, or the year
        is missing or ambiguous.
    """
    try:
        return _find(inputs, year)
    except OSError as error:
        raise UserError(f"the VOC devkit cannot be read: {error}") from error


def _find(inputs: Sequence[str], year: str) -> Devkit:
    years: dict[str, _Year] = {}
    for path in inputs:
        for file in _files(path):
            parts = years.setdefault(file.year, {part: {} for part in PARTS})
            _add(parts[file.part], os.path.splitext(file.name)[0], file.location)
    wanted = f"VOC{year}" if year.isdigit() else year
    name = _choose_year(years, wanted, ", ".join(inputs))
    images, annotations, lists = (years[name][part] for part in PARTS)
    return Devkit(
        name=name or wanted,
        images=images,
        annotations=annotations,
        lists={stem: _image_ids(location) for stem, location in sorted(lists.items())},
        containers=_containers(years[name]),
    )


def _containers(year: _Year) -> tuple[str, ...]:
    paths = {location.container for part in year.values() for location in part.values()}
    return tuple(sorted(paths))


def _files(path: str) -> Iterator[_File]:
    """Yields the files of devkits in an input."""
    if os.path.isdir(path):
        files = _files_in_folder(os.path.abspath(path))
    elif os.path.isfile(path):
        files = _files_in_tar(os.path.abspath(path))
    else:
        raise UserError(f"{path}: no such file or folder")
    for file in files:
        if not file.name.startswith(".") and _is_in_part(file.part, file.name):
            yield file


def _is_in_part(part: str, name: str) -> bool:
    """Whether a file in a part's folder has the type that belongs there."""
    stem, extension = os.path.splitext(name)
    extension = extension.lower()
    if part == _IMAGES:
        return extension in _IMAGE_EXTENSIONS
    if part == _ANNOTATIONS:
        return extension == ".xml"
    return extension == ".txt" and stem in LISTS


def _files_in_tar(path: str) -> Iterator[_File]:
    for entry in archives.entries(path, descend=False):
        if entry.problem:
            raise UserError(
                f"{path}: {entry.name} {entry.problem}; download the tar again, or "
                "extract it and use the folder"
            )
        match = _MEMBER.fullmatch(entry.name)
        if match:
            location = Location(path, entry.offset, entry.size)
            yield _File(match[1] or "", match[2], match[3], location)


def _files_in_folder(folder: str) -> Iterator[_File]:
    for year in _year_folders(folder):
        for part in PARTS:
            for entry in _sorted_entries(os.path.join(year, part)):
                if not entry.is_file():
                    continue
                status = entry.stat()
                location = Location(entry.path, -1, status.st_size, status.st_mtime_ns)
                yield _File(os.path.basename(year), part, entry.name, location)


def _year_folders(folder: str) -> list[str]:
    if _has_parts(folder):
        return [folder]
    devkit = os.path.join(folder, "VOCdevkit")
    root = devkit if os.path.isdir(devkit) else folder
    paths = [entry.path for entry in _sorted_entries(root) if entry.is_dir()]
    return [path for path in paths if _has_parts(path)]


def _has_parts(folder: str) -> bool:
    return any(os.path.isdir(os.path.join(folder, part)) for part in PARTS)


def _sorted_entries(folder: str) -> list[os.DirEntry[str]]:
    """Returns a folder's entries by name; [] for a missing folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _add(part: _Part, stem: str, location: Location) -> None:
    """Adds a file. Inputs may share files, as the organizers' tars do, if these agree."""
    other = part.setdefault(stem, location)
    if other is location:
        return
    if other.size != location.size or other.read() != location.read():
        raise UserError(
            f"{stem} differs between two inputs: {other.path} and {location.path}"
        )


def _choose_year(years: Mapping[str, _Year], wanted: str, inputs: str) -> str:
    """Returns the key of the wanted year; "" is a tar's content outside a year's folder.

    Args:
      years: the available years.
      wanted: name of the year, or "".
      inputs: paths of the inputs, for errors.
    """
    known = ", ".join(name or "a year without a name" for name in sorted(years))
    if not years:
        raise UserError(
            f"{inputs}: contains no VOC devkit; expected VOCdevkit/VOC2007 with the "
            f"folders {', '.join(PARTS)}, or the tars that contain it"
        )
    if wanted and not {wanted, ""} & set(years):
        raise UserError(f"year {wanted} is not in {inputs}, which has {known}")
    if wanted:
        return wanted if wanted in years else ""
    if len(years) > 1 or "" in years:
        raise UserError(f"choose a year, because {inputs} has {known}")
    return known


def _image_ids(location: Location) -> tuple[str, ...]:
    """Returns the image ids in a list file, each once, in its order."""
    try:
        return voc_lists.parse_image_ids(location.read())
    except ValueError as error:
        raise UserError(f"{location.path}: cannot be read: {error}") from error
