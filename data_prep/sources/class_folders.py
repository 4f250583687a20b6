"""Photos in class folders: in a folder tree, or in a tar file read in place."""

import dataclasses
import os
import typing

from data_prep.build import inputs
from data_prep.media import image_formats
from data_prep.sources import photo_builder
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar
from selfsup.formats import archives


class Photo(typing.NamedTuple):
    """One photo of a `FolderSource` or `TarSource`.

    Attributes:
      name: its path below the class folders' parent, with "/" between folders.
      place: what the source's `read` takes: a list that JSON can hold.
      problem: why it cannot be used, or "".
    """

    name: str
    place: list
    problem: str = ""


def open_source(path, flag, exclude=()):
    """The source at `path`: a `FolderSource` or a `TarSource`.

    Args:
      path: folder or tar file.
      flag: name of the flag that gave it, for messages.
      exclude: folders to pass over, as a rule the output.
    """
    if os.path.isdir(path):
        return FolderSource(path, _folder_classes(path, tuple(exclude)), tuple(exclude))
    if os.path.isfile(path):
        return TarSource(path, *_tar_layout(path))
    raise UserError(f"--{flag}={path}: is no folder and no tar file")


def _finder(folder, exclude):
    return inputs.FileFinder(folder, photo_builder.looks_like_photo, exclude)


def _folder_classes(path, exclude):
    """Names of the folders in `path` that hold a photo at any depth, sorted."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be listed: {error}") from error
    return tuple(
        name
        for name in names
        if not _is_hidden(name)
        and os.path.isdir(os.path.join(path, name))
        and any(True for _ in _finder(os.path.join(path, name), exclude))
    )


def _tar_layout(path):
    """(prefix of all names that is no class, class names) of a tar file.

    The folder of the class folders may be in the archive too ("train/n01440764/..."),
    and photos that belong to no class beside it or in it.
    """
    folders = set()
    with ProgressBar(f"{os.path.basename(path)}: members", total=None) as progress:
        for count, entry in enumerate(archives.entries(path, descend=False), start=1):
            progress.update(count)
            if _names_a_class(path, entry):
                folders.add(_folders_of(entry.name)[:2])
    folders.discard(())
    tops = {folder[0] for folder in folders}
    below = {folder[1] for folder in folders if len(folder) == 2}
    if len(tops) == 1 and (len(below) > 1 or len(below) == len(folders)):
        return f"{tops.pop()}/", tuple(sorted(below))
    return "", tuple(sorted(tops))


def _names_a_class(path, entry):
    """Whether a member is a tar, cut off or not, or a photo."""
    if entry.problem and not entry.problem.startswith(archives.CUT_OFF):
        return False
    if _is_hidden(entry.name):
        return False
    return _is_tar(entry.name) or bool(entry.problem) or _looks_like_photo(path, entry)


def _folders_of(name):
    """Folders that a member lies in, or opens when it is a tar."""
    if _is_tar(name):
        return tuple(name[: -len(".tar")].split("/"))
    return tuple(name.split("/")[:-1])


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Class folders in a folder.

    Attributes:
      path: the folder.
      classes: names of the class folders, sorted.
      exclude: folders to pass over.
    """

    path: str
    classes: tuple
    exclude: tuple = ()

    def photos(self, report):
        """Yields its `Photo`s.

        Args:
          report: callable that takes a line on what was passed over, at the end.
        """
        finder = _finder(self.path, self.exclude)
        for name in finder:
            yield Photo(
                name.replace(os.sep, "/"),
                [name, inputs.file_state(os.path.join(self.path, name))],
            )
        report(
            f"{self.path}: {finder.num_files} photos; ignored {finder.num_hidden} "
            f"hidden and {finder.num_others} other files"
        )
        for folder in finder.unreadable_folders:
            report(f"{folder}: cannot be listed")

    def read(self, name, state, limit):
        """The bytes of the photo at a `Photo.place`, no more than `limit` + 1."""
        del state
        with open(os.path.join(self.path, name), "rb") as file:
            return file.read(limit + 1)


@dataclasses.dataclass(frozen=True)
class TarSource:
    """Class folders in a tar file, or tars named for their classes in it.

    Attributes:
      path: the tar file.
      prefix: of the names of all photos, which `Photo.name` leaves out.
      classes: names of the class folders, sorted.
    """

    path: str
    prefix: str
    classes: tuple

    def photos(self, report):
        """Yields its `Photo`s; as `FolderSource.photos`."""
        found = hidden = others = 0
        for entry in archives.entries(self.path):
            name = entry.name
            if not entry.problem and _is_hidden(name):
                hidden += 1
            elif not entry.problem and not _looks_like_photo(self.path, entry):
                others += 1
            else:
                found += 1
                if name.startswith(self.prefix):
                    name = name[len(self.prefix) :]
                yield Photo(name, [entry.offset, entry.size], entry.problem)
        report(
            f"{self.path}: {found} photos; ignored {hidden} hidden and "
            f"{others} other files"
        )

    def read(self, offset, size, limit):
        """The bytes of the photo at a `Photo.place`, no more than `limit` + 1."""
        return archives.read(self.path, offset, min(size, limit + 1))


def _looks_like_photo(path, entry):
    """As `photo_builder.looks_like_photo`, of a member of the archive `path`."""
    if image_formats.has_photo_extension(entry.name):
        return True
    size = min(image_formats.HEAD_BYTES, entry.size)
    head = archives.read(path, entry.offset, size)
    return image_formats.begins_like_photo(head)


def _is_tar(name):
    return name.lower().endswith(".tar")


def _is_hidden(name):
    return any(part.startswith(".") for part in name.split("/"))
