"""Renders a document as Markdown, with its pictures as files beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from launch.reports import html, wording
from launch.reports.document import (
    Block,
    Cell,
    Code,
    Details,
    Document,
    Figure,
    Heading,
    Items,
    Remark,
    Table,
    Text,
)
from selfsup.common import files

FILE_NAME = "report.md"
_PICTURES = "pictures"
# What Markdown or HTML inside it would read as markup.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")


def render(document: Document) -> str:
    """Returns the document as Markdown.

    Pictures are links to the files that `write` creates in the folder `pictures`.
    """
    parts = [f"# {_escape(document.title)}", _escape(document.summary)]
    for section in document.sections:
        parts.append(f"## {_escape(section.title)}")
        parts.extend(_blocks(section.blocks))
    return "\n\n".join(parts) + "\n"


def write(document: Document, folder: str, name: str = FILE_NAME) -> str:
    """Writes Markdown and pictures into a folder, which is created.

    Args:
      document: the document.
      folder: where `name` and the folder `pictures` are written.
      name: file name of the Markdown.

    Returns:
      path of the Markdown.

    Raises:
      OSError: a file cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    for figure in figures(document):
        path = os.path.join(folder, _picture(figure))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        files.write_atomically(path, _content(figure))
    path = os.path.join(folder, name)
    files.write_atomically(path, render(document))
    return path


def figures(document: Document) -> list[Figure]:
    """Returns all figures of a document, those in details included, in order."""

    def within(blocks: Iterable[Block]) -> Iterable[Figure]:
        for block in blocks:
            if isinstance(block, Figure):
                yield block
            elif isinstance(block, Details):
                yield from within(block.blocks)

    return [
        figure for section in document.sections for figure in within(section.blocks)
    ]


def _picture(figure: Figure) -> str:
    return f"{_PICTURES}/{figure.name}.{'svg' if figure.is_svg else 'png'}"


def _content(figure: Figure) -> bytes:
    """An SVG file has no page around it, so it gets the page's colours."""
    if not figure.is_svg:
        return figure.content
    colours = html.style("colours.css") + "svg { background: var(--paper); }\n"
    svg = re.sub(
        r"(<svg\b[^>]*>)",
        lambda match: f"{match[1]}<style>{colours}</style>",
        wording.svg_element(figure.content),
        count=1,
    )
    return svg.encode()


def _blocks(blocks: Iterable[Block]) -> list[str]:
    return [_block(block) for block in blocks]


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"### {_escape(block.text)}"
    if isinstance(block, Remark):
        return f"**{_escape(block.label)}.** {_escape(block.text)}"
    if isinstance(block, Text):
        return _escape(block.text)
    if isinstance(block, Items):
        return "\n".join(f"- {_escape(item)}" for item in block.items)
    if isinstance(block, Code):
        return _code(block.text)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        link = f"![{_escape(block.alternative)}]({_picture(block)})"
        return f"{link}\n\n{_escape(block.caption)}"
    inner = "\n\n".join(_blocks(block.blocks))
    summary = _escape(block.summary)
    return f"<details>\n<summary>{summary}</summary>\n\n{inner}\n\n</details>"


def _code(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _table(table: Table) -> str:
    rulers = ["---:" if number else "---" for number in wording.numeric_columns(table)]
    lines = [
        [_escape(heading) for heading in table.columns],
        ["---", *rulers],
        *([_escape(name), *map(_cell, cells)] for name, cells in table.rows),
    ]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_escape(table.caption)}\n\n{rows}"


def _cell(cell: Cell) -> str:
    text = f"**{_escape(cell.text)}**" if cell.best else _escape(cell.text)
    return "<br>".join([text, *map(_escape, cell.detail.splitlines())])


def _escape(text: str) -> str:
    """One line, so that no part of it begins a list or a heading."""
    line = " ".join(text.split())
    return re.sub(r"^([-+]|\d+\.)(?=\s)", r"\\\1", _SPECIAL.sub(r"\\\1", line))
