"""Lists of image ids in a VOC devkit, the files of `ImageSets/Main`."""

from __future__ import annotations

import codecs


def parse_image_ids(data: bytes) -> tuple[str, ...]:
    """Reads the image ids of a list file: its lines in order, each id once.

    Lists for a class have -1, 0 or 1 after each id, which is dropped. UTF-8 with or
    without a byte order mark and UTF-16 with one, which Windows programs write, are
    accepted. Bytes that are not UTF-8 become surrogates, as in Python's file names.

    Args:
      data: content of the file.

    Raises:
      ValueError: the content is not text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16")
    else:
        text = data.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise ValueError("it is not text: it contains zero bytes")
    ids = (_image_id(line) for line in text.splitlines())
    return tuple(dict.fromkeys(image for image in ids if image))


def _image_id(line: str) -> str:
    words = line.split()
    return words[0] if words[1:] in (["-1"], ["0"], ["1"]) else line.strip()
