"""The content of a report, without its form: `html` and `markdown` render it."""

from __future__ import annotations

import dataclasses
from typing import Literal, Union

from launch.studies.results import Provenance

# What a remark says about its subject: it is well, it is not, or nothing is known.
Tone = Literal["good", "bad", "open"]


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading inside a section.

    Attributes:
      text: the heading.
    """

    text: str


@dataclasses.dataclass(frozen=True)
class Remark:
    """A conclusion that a reader should notice, such as a verdict.

    Attributes:
      label: the conclusion in a few words.
      text: the sentences that explain it.
      tone: chooses a colour and a sign; the label must say the same in words.
    """

    label: str
    text: str
    tone: Tone = "open"


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Items:
    """A list of sentences.

    Attributes:
      items: sentences of plain text.
    """

    items: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Code:
    """Commands or configuration, shown with a fixed width."""

    text: str


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
      text: what the cell shows.
      detail: smaller lines, such as a spread or the paper's number.
      missing: whether a number is missing here.
      best: whether to emphasise the number.
      sources: where the number comes from, such as one for each seed.
    """

    text: str
    detail: str = ""
    missing: bool = False
    best: bool = False
    sources: tuple[Provenance, ...] = ()


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with a heading for each column and for each row.

    Attributes:
      caption: what the table shows, a sentence.
      columns: headings, the first over the headings of the rows.
      rows: for each row its heading and its cells.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
      caption: what the picture shows, a sentence.
      alternative: the same content in words, for a screen reader.
      name: file name without extension, unique in the document.
      content: an SVG document (which may use the page's CSS variables) or a PNG file.
      is_svg: whether `content` is SVG.
    """

    caption: str
    alternative: str
    name: str
    content: bytes
    is_svg: bool


@dataclasses.dataclass(frozen=True)
class Details:
    """Blocks that are closed until the reader opens them.

    Attributes:
      summary: what the reader sees before.
      blocks: the hidden content.
    """

    summary: str
    blocks: tuple[Block, ...]


Block = Union[Heading, Remark, Text, Items, Code, Table, Figure, Details]


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of a document.

    Attributes:
      title: its heading.
      blocks: its content.
    """

    title: str
    blocks: tuple[Block, ...]


@dataclasses.dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
      title: title of the page.
      summary: the answer in one or two sentences, under the title.
      sections: its sections, in order.
    """

    title: str
    summary: str
    sections: tuple[Section, ...]
