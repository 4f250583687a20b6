"""Reads photos in class folders, from a folder tree or in place from a tar file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, Union

from data_prep.build import inputs
from data_prep.media import image_formats
from data_prep.sources import photo_listing
from selfsup.common.errors import UserError, error_reason
from selfsup.common.progress import ProgressBar
from selfsup.formats import archives

# Where a source finds a photo: a list that JSON can hold. Only the source that made it
# knows what it means.
Place = list[Union[str, int]]


class ListedPhoto(NamedTuple):
    """A photo that a `PhotoSource` lists.

    Attributes:
      name: path below the folder of the class folders, with "/" between folders.
      place: argument for the source's `read`.
      problem: why the photo cannot be used; "" if it can.
    """

    name: str
    place: Place
    problem: str = ""


class PhotoSource(Protocol):
    """A collection of photos in class folders.

    A source must be picklable, because worker processes read photos through it.
    """

    @property
    def path(self) -> str:
        """The folder or file that holds the photos."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the class folders, sorted."""

    def photos(self, report: Callable[[str], None]) -> Iterator[ListedPhoto]:
        """Yields all photos.

        Args:
          report: called with a line of text on skipped files, after the last photo.
        """

    def read(self, place: Place, limit: int) -> bytes:
        """Returns the bytes of a photo, at most `limit` + 1 of them.

        Args:
          place: the photo's `ListedPhoto.place`.
          limit: largest acceptable size; the extra byte shows that it is exceeded.
        """


def open_source(path: str, exclude: Sequence[str] = ()) -> PhotoSource:
    """Opens a folder of class folders, or a tar file of class folders or class tars.

    Args:
      path: the folder or tar file.
      exclude: folders to skip, usually the builder's output.

    Raises:
      UserError: `path` is neither a folder nor a readable tar file.
    """
    if os.path.isdir(path):
        return FolderSource(path, _folder_classes(path, tuple(exclude)), tuple(exclude))
    if os.path.isfile(path):
        return TarSource(path, *_tar_layout(path))
    raise UserError(f"{path}: is neither a folder nor a tar file")


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """A `PhotoSource` that reads a folder of class folders.

    Attributes:
      path: the folder.
      classes: names of the class folders, sorted.
      exclude: folders to skip.
    """

    path: str
    classes: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    def photos(self, report: Callable[[str], None]) -> Iterator[ListedPhoto]:
        """Yields all photos; see `PhotoSource.photos`."""
        finder = _finder(self.path, self.exclude)
        for name in finder:
            state = inputs.file_state(os.path.join(self.path, name))
            yield ListedPhoto(name.replace(os.sep, "/"), [name, state])
        report(
            _summary(self.path, finder.num_files, finder.num_hidden, finder.num_others)
        )
        for folder in finder.unreadable_folders:
            report(f"{folder}: cannot be listed")

    def read(self, place: Place, limit: int) -> bytes:
        """Returns the bytes of a photo; see `PhotoSource.read`."""
        name = str(place[0])
        with open(os.path.join(self.path, name), "rb") as file:
            return file.read(limit + 1)


@dataclasses.dataclass(frozen=True)
class TarSource:
    """A `PhotoSource` that reads a tar file of class folders or of class tars.

    Attributes:
      path: the tar file.
      prefix: start of the member names that `ListedPhoto.name` omits.
      classes: names of the class folders, sorted.
    """

    path: str
    prefix: str
    classes: tuple[str, ...]

    def photos(self, report: Callable[[str], None]) -> Iterator[ListedPhoto]:
        """Yields all photos; see `PhotoSource.photos`."""
        count = hidden = others = 0
        for entry in archives.entries(self.path):
            name = entry.name
            if not entry.problem and _is_hidden(name):
                hidden += 1
            elif not entry.problem and not _looks_like_photo(self.path, entry):
                others += 1
            else:
                count += 1
                if name.startswith(self.prefix):
                    name = name[len(self.prefix) :]
                yield ListedPhoto(name, [entry.offset, entry.size], entry.problem)
        report(_summary(self.path, count, hidden, others))

    def read(self, place: Place, limit: int) -> bytes:
        """Returns the bytes of a photo; see `PhotoSource.read`."""
        offset, size = map(int, place)
        return archives.read(self.path, offset, min(size, limit + 1))


def _summary(path: str, photos: int, hidden: int, others: int) -> str:
    return f"{path}: {photos} photos; ignored {hidden} hidden and {others} other files"


def _finder(folder: str, exclude: tuple[str, ...]) -> inputs.FileFinder:
    return inputs.FileFinder(folder, photo_listing.looks_like_photo, exclude)


def _folder_classes(path: str, exclude: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the sorted names of the subfolders that hold a photo at any depth."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be listed: {error_reason(error)}") from error
    return tuple(
        name
        for name in names
        if not _is_hidden(name)
        and os.path.isdir(os.path.join(path, name))
        and any(True for _ in _finder(os.path.join(path, name), exclude))
    )


def _tar_layout(path: str) -> tuple[str, tuple[str, ...]]:
    """Returns (common prefix of the class folders, class names) of a tar file.

    The archive may contain the parent of the class folders ("train/n01440764/..."), and
    stray photos next to that parent or inside it.
    """
    folders: set[tuple[str, ...]] = set()
    with ProgressBar(f"{os.path.basename(path)}: members", total=None) as progress:
        for count, entry in enumerate(archives.entries(path, descend=False), start=1):
            progress.update(count)
            if _names_a_class(path, entry):
                folders.add(_folders_in_name(entry.name)[:2])
    folders.discard(())
    tops = {folder[0] for folder in folders}
    below = {folder[1] for folder in folders if len(folder) == 2}
    if len(tops) == 1 and (len(below) > 1 or len(below) == len(folders)):
        return f"{tops.pop()}/", tuple(sorted(below))
    return "", tuple(sorted(tops))


def _names_a_class(path: str, entry: archives.Entry) -> bool:
    """Whether a member is a photo or a tar, complete or cut off."""
    if entry.problem and not entry.problem.startswith(archives.CUT_OFF):
        return False
    if _is_hidden(entry.name):
        return False
    return _is_tar(entry.name) or bool(entry.problem) or _looks_like_photo(path, entry)


def _folders_in_name(name: str) -> tuple[str, ...]:
    """Returns the folders in a member's name; a tar counts as a folder."""
    if _is_tar(name):
        return tuple(name[: -len(".tar")].split("/"))
    return tuple(name.split("/")[:-1])


def _looks_like_photo(path: str, entry: archives.Entry) -> bool:
    """Applies `photo_listing.looks_like_photo` to a member of the archive `path`."""
    if image_formats.has_photo_extension(entry.name):
        return True
    size = min(image_formats.HEAD_BYTES, entry.size)
    head = archives.read(path, entry.offset, size)
    return image_formats.begins_like_photo(head)


def _is_tar(name: str) -> bool:
    return name.lower().endswith(".tar")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
