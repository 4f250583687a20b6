"""The inputs of a build, and a search for input files that copes with odd folder trees."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from selfsup.common.errors import UserError


class Input(NamedTuple):
    """One input of a build.

    Attributes:
      key: the input's name, unique in the build and stored in its records; usually a
        path relative to the input folder.
      split: "train", "validation" or "test"; "" in all inputs of a build lets the
        build draw the validation split.
      detail: what else the builder needs to find or to label the input.
    """

    key: str
    split: str = ""
    detail: str = ""


@dataclasses.dataclass
class FileFinder:
    """Finds the files below a folder for which `is_wanted(path)` is true.

    Iterating over it yields their paths relative to the folder, as they are met and in
    no particular order, so its memory does not grow with their number. It follows links
    to files and folders, but enters each folder once, so loops end. It passes over
    hidden files and folders (a leading dot) and all that is no regular file, such as
    pipes.

    Attributes:
      root: the folder.
      is_wanted: whether to take the file of a path.
      exclude: folders to pass over, usually the output.
      num_files: number of files yielded so far.
      num_hidden: number of hidden files passed over, including those in hidden folders.
      num_others: number of other files passed over.
      unreadable_folders: folders that could not be listed.
    """

    root: str
    is_wanted: Callable[[str], bool]
    exclude: tuple[str, ...] = ()
    num_files: int = 0
    num_hidden: int = 0
    num_others: int = 0
    unreadable_folders: list[str] = dataclasses.field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        seen = {folder_identity(path) for path in self.exclude if os.path.isdir(path)}
        # No recursion: trees may be deeper than Python's stack.
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            if folder != self.root and _is_hidden(os.path.basename(folder)):
                self.num_hidden += _count_files(folder)
                continue
            subfolders: list[str] = []
            yield from self._list(folder, seen, subfolders)
            waiting.extend(sorted(subfolders, reverse=True))

    def _list(
        self, folder: str, seen: set[tuple[int, int]], subfolders: list[str]
    ) -> Iterator[str]:
        """Yields the files of a folder; adds its folders to `subfolders`."""
        try:
            identity = folder_identity(folder)
            if identity in seen:
                return
            seen.add(identity)
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

    def _takes(self, entry: os.DirEntry[str]) -> bool:
        if _is_hidden(entry.name):
            self.num_hidden += 1
        elif os.path.isfile(entry.path) and self.is_wanted(entry.path):
            return True
        else:
            self.num_others += 1
        return False


def file_state(path: str) -> str:
    """Describes the size and time of change of a file, for `Input.detail`.

    A build is not resumed after a file has been replaced whose state is in a detail.
    The build itself watches the files that keys name, if the builder gives it their
    folder.

    Returns:
      text that changes when the file is replaced; "" if there is no file.
    """
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def find_files(
    directory: str,
    output: str,
    is_wanted: Callable[[str], bool],
    unit: str,
    quiet: bool = False,
) -> Iterator[str]:
    """Finds the input files of a builder; reports at the end what else was there.

    Args:
      directory: the input folder.
      output: the builder's output folder, which is passed over.
      is_wanted: whether to take the file of a path.
      unit: plural noun for the files.
      quiet: reports nothing.

    Returns:
      iterator over their paths relative to `directory`.

    Raises:
      UserError: the input folder does not exist; at the end of the iteration, it holds
        no such file.
    """
    if not os.path.isdir(directory):
        raise UserError(f"{directory}: is not a folder")
    return _report(FileFinder(directory, is_wanted, (output,)), unit, quiet)


def _report(finder: FileFinder, unit: str, quiet: bool) -> Iterator[str]:
    yield from finder
    if not quiet:
        print(
            f"{finder.root}: {finder.num_files} {unit}; ignored {finder.num_hidden} "
            f"hidden and {finder.num_others} other files",
            file=sys.stderr,
        )
        for folder in finder.unreadable_folders:
            print(f"{folder}: cannot be listed", file=sys.stderr)
    if not finder.num_files:
        raise UserError(f"{finder.root}: has no {unit} in it or below it")


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether a directory entry is a folder or a link to a folder."""
    try:
        return entry.is_dir()
    except OSError:  # For example, a link to itself.
        return False


def folder_identity(folder: str) -> tuple[int, int]:
    """What identifies a folder, whichever path leads to it."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _count_files(folder: str) -> int:
    """Number of files in a folder and below it; links are not followed."""
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
