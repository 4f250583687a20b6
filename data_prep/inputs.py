"""Finding input files in a folder tree: sorted, once each, safe from odd trees."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Found:
    """Input files of a folder tree.

    Attributes:
      keys: their paths relative to the folder, sorted.
      hidden: how many files were passed over as hidden, in hidden folders too.
      others: how many were passed over as something else.
      unreadable: folders that could not be listed.
    """

    keys: tuple
    hidden: int
    others: int
    unreadable: tuple


def find(root, wanted, exclude=()):
    """Finds the files below `root` for which `wanted(path)` is true.

    Links to files and folders are followed, each folder once, so loops end. Hidden
    files and folders (a leading dot) are passed over, and so is all that is no
    regular file, such as a pipe.

    Args:
      root: the folder.
      wanted: callable, path -> bool.
      exclude: folders to pass over, as a rule the output.

    Returns:
      `Found`.
    """
    seen = {_identity(folder) for folder in exclude if os.path.isdir(folder)}
    keys, unreadable = [], []
    hidden = others = 0
    for folder, subfolders, names in os.walk(
        root, followlinks=True, onerror=lambda error: unreadable.append(error.filename)
    ):
        identity = _identity(folder)
        if identity in seen:
            subfolders.clear()
            continue
        seen.add(identity)
        hidden += sum(_count_files(folder, name) for name in subfolders if _dot(name))
        subfolders[:] = sorted(name for name in subfolders if not _dot(name))
        for name in names:
            path = os.path.join(folder, name)
            if _dot(name):
                hidden += 1
            elif os.path.isfile(path) and wanted(path):
                keys.append(os.path.relpath(path, root))
            else:
                others += 1
    return Found(tuple(sorted(keys)), hidden, others, tuple(sorted(unreadable)))


def _dot(name):
    return name.startswith(".")


def _count_files(folder, name):
    return sum(len(names) for _, _, names in os.walk(os.path.join(folder, name)))


def _identity(folder):
    status = os.stat(folder)
    return status.st_dev, status.st_ino
