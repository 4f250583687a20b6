"""Which class each validation image of ILSVRC2012 has, from any file that says so.

The validation images come in one folder, without labels. Their ground truth is one
`ILSVRC2012_ID` (1 to 1000) an image; which WordNet id (WNID) has which number stands in
the development kit's `meta.mat`. A file of one WNID an image, as TensorFlow's models
have it, and Kaggle's solution file say it without numbers.
"""

import csv
import dataclasses
import gzip
import io
import os
import re
import tempfile
import zlib

from data_prep.sources import imagenet_synsets
from selfsup.common.errors import UserError
from selfsup.formats import archives

# The development kit has 3 MB unpacked.
_MAX_BYTES = 64 << 20
_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_WNID = re.compile(r"n\d{8}\b")
_LAST_NUMBER = re.compile(r"(\d{1,18})(\.[^./]*)?$")
_ILSVRC_CLASSES = 1000
_EXPECTED = (
    f"expected {_GROUND_TRUTH}, one WNID an image, LOC_val_solution.csv or the "
    "devkit (ILSVRC2012_devkit_t12.tar.gz)"
)


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """The class of each validation image.

    Attributes:
      path: where it was read.
      by_number: class names by image number, from 1 on; empty when `by_name` has them.
      by_name: {file name without extension: class name}.
    """

    path: str
    by_number: tuple = ()
    by_name: dict = dataclasses.field(default_factory=dict)

    def __len__(self):
        return len(self.by_number or self.by_name)

    @property
    def classes(self):
        """The set of class names in it."""
        return set(self.by_number) | set(self.by_name.values())

    def class_of(self, name):
        """The class of an image, by the number that its name ends in or by its name.

        Raises:
          KeyError: it has none; the message says why.
        """
        name = name.rpartition("/")[2]
        if self.by_name:
            stem = os.path.splitext(name)[0]
            if stem not in self.by_name:
                raise KeyError(f"{stem} is not in {os.path.basename(self.path)}")
            return self.by_name[stem]
        number = _LAST_NUMBER.search(name)
        if not number:
            raise KeyError("no number at the end of its name: its label is unknown")
        index = int(number[1])
        if not 1 <= index <= len(self.by_number):
            lines = f"{os.path.basename(self.path)} has {len(self.by_number)} lines"
            raise KeyError(f"image number {index}, but {lines}")
        return self.by_number[index - 1]


def read_ground_truth(path, synsets=""):
    """Reads the labels of the validation images.

    Args:
      path: the ground-truth file, a file of one class name a line, Kaggle's
        LOC_val_solution.csv, or the development kit as .tar.gz or .tar.
      synsets: for ground truth in numbers: the devkit's meta.mat, or a text file whose
        line k begins with the WNID of `ILSVRC2012_ID` k. The devkit brings its own.

    Returns:
      `GroundTruth`.

    Raises:
      UserError: a file is missing, is something else or does not fit the other.
    """
    data = _read(path, "--validation_labels")
    if data[:2] == b"\x1f\x8b" or data[257:262] == b"ustar":
        data, meta = _read_devkit(path, data)
        names = imagenet_synsets.read(path, meta)
    else:
        names = {}
    if synsets:
        names = _read_synsets(synsets)
    lines = _lines(data, path, _EXPECTED)
    if lines[0].lower().startswith("imageid"):
        return GroundTruth(path, by_name=_from_solution(lines, path))
    if not lines[0].isdigit():
        return GroundTruth(path, by_number=tuple(_class_name(line) for line in lines))
    if not names:
        raise UserError(
            f"--validation_labels={path}: holds ILSVRC2012_IDs, whose WNIDs stand "
            "elsewhere: give --synsets=meta.mat (in the devkit's data folder), or the "
            "devkit itself as --validation_labels"
        )
    return GroundTruth(path, by_number=tuple(_translate(lines, names, path)))


def _read(path, flag):
    """A small file's bytes."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{flag}={path}: cannot be read: {error}") from error
    if len(data) > _MAX_BYTES:
        raise UserError(
            f"{flag}={path}: over {_MAX_BYTES >> 20} MiB: no list of labels"
        )
    if not data:
        raise UserError(f"{flag}={path}: is empty")
    return data


def _read_devkit(path, data):
    """(ground truth, meta.mat), bytes of both, from the devkit's archive."""
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UserError(f"{path}: over {_MAX_BYTES >> 20} MiB unpacked: no devkit")
        # Archives are read where they lie, so this one has to lie somewhere.
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            found = _members(path, file.name)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: is broken, or no archive: {error}") from error
    lacking = {_GROUND_TRUTH, _META} - set(found)
    if lacking:
        raise UserError(f"{path}: holds no {' and no '.join(sorted(lacking))}")
    return found[_GROUND_TRUTH], found[_META]


def _members(path, archive):
    """{name: bytes} of the files that count in the devkit's archive."""
    found, problem = {}, ""
    try:
        for entry in archives.entries(archive, descend=False):
            name = entry.name.rpartition("/")[2]
            if entry.problem:
                what = name if name in (_GROUND_TRUTH, _META) else "it"
                problem = problem or f"{what} {entry.problem}"
            elif name in (_GROUND_TRUTH, _META):
                found[name] = archives.read(archive, entry.offset, entry.size)
    except UserError as error:
        problem = str(error).replace(f"{archive}: ", "")
    if problem and len(found) < 2:
        raise UserError(f"{path}: is broken, or no archive: {problem}")
    return found


def _read_synsets(path):
    """{ILSVRC2012_ID: WNID} of a meta.mat or of a text file."""
    data = _read(path, "--synsets")
    if data.startswith(imagenet_synsets.MAGIC):
        return imagenet_synsets.read(path, data)
    lines = _lines(data, path, "expected the devkit's meta.mat or one WNID a line")
    names = [_class_name(line) for line in lines]
    if len(names) == _ILSVRC_CLASSES and names == sorted(names):
        raise UserError(
            f"--synsets={path}: is sorted by WNID, and the order of ILSVRC2012_IDs is "
            "another (1 is n02119789): the labels would be wrong; give meta.mat"
        )
    return dict(enumerate(names, start=1))


def _lines(data, path, expected):
    """Lines of text without blank ones at the end."""
    # Names of classes are those of folders, which may hold other bytes than UTF-8.
    text = data.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise UserError(f"{path}: is no text file; {expected}")
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise UserError(f"{path}: holds no lines of text; {expected}")
    for number, line in enumerate(lines, start=1):
        if not line:
            raise UserError(f"{path}: line {number} is blank; {expected}")
    return lines


def _class_name(line):
    """The WNID that a line begins with, as a rule followed by words; or all of it."""
    wnid = _WNID.match(line)
    return wnid[0] if wnid else line


def _from_solution(lines, path):
    """{image: WNID} of lines such as "ILSVRC2012_val_00000001,n01751748 111 108 ..."."""
    try:
        rows = list(csv.reader(lines[1:]))
    except csv.Error as error:
        raise UserError(f"{path}: is no CSV file: {error}") from error
    found = {}
    for number, row in enumerate(rows, start=2):
        wnid = _WNID.match(row[1]) if len(row) > 1 else None
        if not wnid:
            raise UserError(f"{path}: line {number}: expected image,WNID and a box")
        found[row[0]] = wnid[0]
    if not found:
        raise UserError(f"{path}: no image after the first line")
    return found


def _translate(lines, names, path):
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
