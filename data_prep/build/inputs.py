"""The inputs of a build, and finding them in a folder tree, safe from odd trees."""

import dataclasses
import os
import sys
import typing

from selfsup.common.errors import UserError


class Input(typing.NamedTuple):
    """One input of a build.

    Attributes:
      key: its name, unique in the build and stored in its records; a path relative to
        the input folder as a rule.
      split: "train", "validation" or "test"; "" in all inputs of a build leaves it to
        the writer.
      detail: what else it takes to find or to label it.
    """

    key: str
    split: str = ""
    detail: str = ""


@dataclasses.dataclass
class FileFinder:
    """Finds the files below a folder for which `wanted(path)` is true.

    Iterating over it yields their paths relative to the folder, as they are found and
    in no order worth mentioning, so that it takes no memory in their number. Links to
    files and folders are followed, each folder once, so loops end. Hidden files and
    folders (a leading dot) are passed over, and so is all that is no regular file, such
    as a pipe.

    Attributes:
      root: the folder.
      wanted: callable, path -> bool.
      exclude: folders to pass over, as a rule the output.
      num_files: number of files found so far.
      num_hidden: how many files were passed over as hidden, in hidden folders too.
      num_others: how many were passed over as something else.
      unreadable_folders: folders that could not be listed.
    """

    root: str
    wanted: typing.Callable
    exclude: tuple = ()
    num_files: int = 0
    num_hidden: int = 0
    num_others: int = 0
    unreadable_folders: list = dataclasses.field(default_factory=list)

    def __iter__(self):
        seen = {
            folder_identity(folder) for folder in self.exclude if os.path.isdir(folder)
        }
        # Not by recursion: trees may be deeper than Python's stack.
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            if folder != self.root and _is_hidden(os.path.basename(folder)):
                self.num_hidden += _count_files(folder)
                continue
            subfolders = []
            yield from self._list(folder, seen, subfolders)
            waiting.extend(sorted(subfolders, reverse=True))

    def _list(self, folder, seen, subfolders):
        """Yields a folder's files; adds its folders to `subfolders`."""
        try:
            which = folder_identity(folder)
            if which in seen:
                return
            seen.add(which)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_folder(entry):
                        subfolders.append(entry.path)
                    elif self._takes(entry):
                        self.num_files += 1
                        yield os.path.relpath(entry.path, self.root)
        except OSError:
            self.unreadable_folders.append(folder)
            subfolders.clear()

    def _takes(self, entry):
        if _is_hidden(entry.name):
            self.num_hidden += 1
        elif os.path.isfile(entry.path) and self.wanted(entry.path):
            return True
        else:
            self.num_others += 1
        return False


def file_state(path):
    """What changes when a file is replaced, for an `Input.detail`; "" without a file.

    No build goes on over a replaced file whose state is in a detail; that of the file
    which a key names is watched anyway, where the builder gives its folder.
    """
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def find_files(directory, output, wanted, unit, quiet=False):
    """A builder's input files; once through, it reports what else lay in the folder.

    Args:
      directory: the input folder.
      output: the builder's output folder, which is passed over.
      wanted: callable, path -> bool.
      unit: plural noun for the files.
      quiet: reports nothing.

    Returns:
      iterator over their paths relative to `directory`.

    Raises:
      UserError: there is no such folder; at the end, there are no such files in it.
    """
    if not os.path.isdir(directory):
        raise UserError(f"--input={directory}: is no folder")
    return _reported(FileFinder(directory, wanted, (output,)), unit, quiet)


def _reported(finder, unit, quiet):
    yield from finder
    if not quiet:
        print(
            f"{finder.root}: {finder.num_files} {unit}; ignored {finder.num_hidden} hidden and "
            f"{finder.num_others} other files",
            file=sys.stderr,
        )
        for folder in finder.unreadable_folders:
            print(f"{folder}: cannot be listed", file=sys.stderr)
    if not finder.num_files:
        raise UserError(f"--input={finder.root}: no {unit} there or below")


def is_folder(entry):
    """Whether an `os.DirEntry` is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # A link that leads to itself, for one.
        return False


def _is_hidden(name):
    return name.startswith(".")


def _count_files(folder):
    """Number of files at or below a folder, links not followed."""
    count, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        count += not is_folder(entry)
        except OSError:
            continue
    return count


def folder_identity(folder):
    """What a folder has in common with itself, by whatever path it is reached."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino
