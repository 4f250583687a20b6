"""Reads the class of each ILSVRC2012 validation image, in any of the usual formats.

The validation images come in a single folder, without labels. The ground-truth file has
one `ILSVRC2012_ID` (1 to 1000) per image, and `meta.mat` of the development kit maps
these numbers to WordNet ids (WNIDs). Two other formats have WNIDs directly: a text file
with one WNID per image, as in TensorFlow's models repository, and Kaggle's solution file.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import os
import re
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence

from data_prep.sources import imagenet_synsets
from selfsup.common.errors import UserError, error_reason
from selfsup.formats import archives

# The development kit takes 3 MB unpacked.
_MAX_BYTES = 64 << 20
_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_GZIP_MAGIC = b"\x1f\x8b"
_WNID = re.compile(r"n\d{8}\b")
_LAST_NUMBER = re.compile(r"(\d{1,18})(\.[^./]*)?$")
_ILSVRC_CLASSES = 1000
_EXPECTED = (
    f"expected {_GROUND_TRUTH}, one WNID per image, LOC_val_solution.csv or the "
    "devkit (ILSVRC2012_devkit_t12.tar.gz)"
)


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """The class of each validation image.

    Attributes:
      path: the file that the classes come from.
      by_number: class names in the order of the image numbers, which start at 1; empty
        if `by_name` is used.
      by_name: {file name without extension: class name}.
    """

    path: str
    by_number: tuple[str, ...] = ()
    by_name: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.by_number or self.by_name)

    @property
    def classes(self) -> set[str]:
        """The distinct class names."""
        return set(self.by_number) | set(self.by_name.values())

    def class_of(self, name: str) -> str:
        """Returns the class of an image, by its name or the number that ends its name.

        Args:
          name: the image's file name, with or without folders.

        Raises:
          KeyError: the image has no class; the message is the reason.
        """
        name = name.rpartition("/")[2]
        if self.by_name:
            stem = os.path.splitext(name)[0]
            if stem not in self.by_name:
                raise KeyError(f"{stem} is not in {os.path.basename(self.path)}")
            return self.by_name[stem]
        number = _LAST_NUMBER.search(name)
        if not number:
            raise KeyError("its name does not end in a number, so its label is unknown")
        index = int(number[1])
        if not 1 <= index <= len(self.by_number):
            lines = f"{os.path.basename(self.path)} has {len(self.by_number)} lines"
            raise KeyError(f"image number {index}, but {lines}")
        return self.by_number[index - 1]


def read_ground_truth(path: str, synsets: str = "") -> GroundTruth:
    """Reads the labels of the validation images.

    Args:
      path: the ground-truth file, a file of one class name per line, Kaggle's
        LOC_val_solution.csv, or the development kit as .tar.gz or .tar.
      synsets: needed for a ground-truth file, which holds numbers: meta.mat of the devkit,
        or a text file whose line k begins with the WNID of `ILSVRC2012_ID` k. The devkit
        contains its own meta.mat.

    Raises:
      UserError: a file is missing, has an unknown format, or does not fit the other file.
    """
    data = _read(path)
    names: Mapping[int, str] = {}
    if data.startswith(_GZIP_MAGIC) or data[257:262] == b"ustar":
        data, meta = _read_devkit(path, data)
        names = imagenet_synsets.read(path, meta)
    if synsets:
        names = _read_synsets(synsets)
    lines = _lines(data, path, _EXPECTED)
    if lines[0].lower().startswith("imageid"):
        return GroundTruth(path, by_name=_parse_solution(lines, path))
    if not lines[0].isdigit():
        return GroundTruth(path, by_number=tuple(_class_name(line) for line in lines))
    if not names:
        raise UserError(
            f"{path}: holds ILSVRC2012_IDs, which need a list of their WNIDs: give "
            "meta.mat (in the devkit's data folder) as synsets, or the devkit itself as "
            "validation_labels"
        )
    return GroundTruth(path, by_number=tuple(_translate(lines, names, path)))


def _read(path: str) -> bytes:
    """Returns the content of a small, non-empty file."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error
    if len(data) > _MAX_BYTES:
        raise UserError(f"{path}: over {_MAX_BYTES >> 20} MiB: not a list of labels")
    if not data:
        raise UserError(f"{path}: is empty")
    return data


def _read_devkit(path: str, data: bytes) -> tuple[bytes, bytes]:
    """Returns the contents of (ground truth, meta.mat) in a devkit archive."""
    try:
        if data.startswith(_GZIP_MAGIC):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
                data = unpacked.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UserError(
                f"{path}: over {_MAX_BYTES >> 20} MiB unpacked: not a devkit"
            )
        # `archives` reads files only, not bytes.
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            members = _members(path, file.name)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: is broken, or not an archive: {error}") from error
    missing = {_GROUND_TRUTH, _META} - set(members)
    if missing:
        raise UserError(f"{path}: does not contain {' or '.join(sorted(missing))}")
    return members[_GROUND_TRUTH], members[_META]


def _members(path: str, archive: str) -> dict[str, bytes]:
    """Returns {name: content} of the needed files in a devkit's tar.

    Args:
      path: the original file, for messages.
      archive: the unpacked tar file.
    """
    members, problem = {}, ""
    try:
        for entry in archives.entries(archive, descend=False):
            name = entry.name.rpartition("/")[2]
            if entry.problem:
                what = name if name in (_GROUND_TRUTH, _META) else "it"
                problem = problem or f"{what} {entry.problem}"
            elif name in (_GROUND_TRUTH, _META):
                members[name] = archives.read(archive, entry.offset, entry.size)
    except UserError as error:
        problem = str(error).replace(f"{archive}: ", "")
    if problem and len(members) < 2:
        raise UserError(f"{path}: is broken, or not an archive: {problem}")
    return members


def _read_synsets(path: str) -> dict[int, str]:
    """Returns {ILSVRC2012_ID: WNID} from a meta.mat or a text file."""
    data = _read(path)
    if data.startswith(imagenet_synsets.MAGIC):
        return imagenet_synsets.read(path, data)
    lines = _lines(data, path, "expected the devkit's meta.mat or one WNID per line")
    names = [_class_name(line) for line in lines]
    if len(names) == _ILSVRC_CLASSES and names == sorted(names):
        raise UserError(
            f"{path}: is sorted by WNID, but ILSVRC2012_IDs have another order (1 is "
            "n02119789), so all labels would be wrong; give meta.mat instead"
        )
    return dict(enumerate(names, start=1))


def _lines(data: bytes, path: str, expected: str) -> list[str]:
    """Returns the lines of a text file, without blank lines at the end."""
    # Class names are folder names, which are not always valid UTF-8.
    text = data.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise UserError(f"{path}: is not a text file; {expected}")
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise UserError(f"{path}: holds no lines of text; {expected}")
    if "" in lines:
        raise UserError(f"{path}: line {lines.index('') + 1} is blank; {expected}")
    return lines


def _class_name(line: str) -> str:
    """Returns the WNID at the start of a line, or the whole line without a WNID."""
    wnid = _WNID.match(line)
    return wnid[0] if wnid else line


def _parse_solution(lines: Sequence[str], path: str) -> dict[str, str]:
    """Returns {image: WNID} from LOC_val_solution.csv.

    A line reads "ILSVRC2012_val_00000001,n01751748 111 108 ..."; the first is a header.
    """
    try:
        rows = list(csv.reader(lines[1:]))
    except csv.Error as error:
        raise UserError(f"{path}: is not a CSV file: {error}") from error
    names = {}
    for number, row in enumerate(rows, start=2):
        wnid = _WNID.match(row[1]) if len(row) > 1 else None
        if not wnid:
            raise UserError(f"{path}: line {number}: expected image,WNID and a box")
        names[row[0]] = wnid[0]
    if not names:
        raise UserError(f"{path}: has no image after the header line")
    return names


def _translate(
    lines: Sequence[str], names: Mapping[int, str], path: str
) -> Iterator[str]:
    """Yields the WNID of each line's ILSVRC2012_ID."""
    for number, line in enumerate(lines, start=1):
        if not line.isdecimal() or len(line) > 9:
            raise UserError(
                f"{path}: line {number}: {line[:40]!r}, expected an ILSVRC2012_ID"
            )
        if int(line) not in names:
            raise UserError(
                f"{path}: line {number}: ILSVRC2012_ID {int(line)}, but the synset list "
                f"has {len(names)}, {min(names)} to {max(names)}"
            )
        yield names[int(line)]
