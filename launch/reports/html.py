"""Renders a document as one HTML file that needs no network.

The page works without JavaScript: a number is a button that opens its sources as a
popover, which HTML defines. The style follows the system's light or dark mode.
"""

from __future__ import annotations

import base64
import importlib.resources
import itertools
import os
import re
from collections.abc import Callable
from html import escape
from typing import Any

from launch.reports import wording
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
    Section,
    Table,
    Text,
)
from launch.studies.results import Provenance
from selfsup.common import files

FILE_NAME = "report.html"


def render(document: Document) -> str:
    """Returns the document as a self-contained HTML page."""
    return _Page(document).text


def write(document: Document, folder: str) -> str:
    """Writes the page into a folder, which is created, and returns its path.

    Raises:
      OSError: the file cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, FILE_NAME)
    files.write_atomically(path, render(document))
    return path


def style(name: str) -> str:
    """Returns the style sheet `name` of `launch/reports/style`."""
    folder = importlib.resources.files("launch.reports") / "style"
    return (folder / name).read_text(encoding="utf-8")


class _Page:
    """Collects the parts of a page.

    Attributes:
      text: the page.
    """

    def __init__(self, document: Document) -> None:
        # {rendered sources: id of their popover}: equal sources are written once.
        self._popovers: dict[str, str] = {}
        self._captions = itertools.count(1)
        self._renderers: dict[type, Callable[[Any], str]] = {
            Heading: lambda block: f"<h3>{escape(block.text)}</h3>",
            Remark: _remark,
            Text: lambda block: f"<p>{escape(block.text)}</p>",
            Items: _items,
            Code: _code,
            Table: self._table,
            Figure: _figure,
            Details: self._details,
        }
        anchors = wording.anchors([section.title for section in document.sections])
        body = "".join(
            self._section(section, anchor)
            for section, anchor in zip(document.sections, anchors)
        )
        contents = "".join(
            f'<li><a href="#{anchor}">{escape(section.title)}</a></li>'
            for section, anchor in zip(document.sections, anchors)
        )
        self.text = _PAGE.format(
            title=escape(document.title),
            style=style("colours.css") + style("page.css"),
            summary=escape(document.summary),
            contents=contents,
            body=body,
            sources=self._sources(),
        )

    def _section(self, section: Section, anchor: str) -> str:
        return (
            f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
            f'<h2 id="{anchor}-title">{escape(section.title)}</h2>'
            f"{self._blocks(section.blocks)}</section>\n"
        )

    def _blocks(self, blocks: tuple[Block, ...]) -> str:
        """Figures that follow each other stand side by side where there is room."""
        parts = []
        for is_figure, group in itertools.groupby(
            blocks, lambda block: isinstance(block, Figure)
        ):
            inner = "\n".join(self._renderers[type(block)](block) for block in group)
            parts.append(f'<div class="panels">{inner}</div>' if is_figure else inner)
        return "\n".join(parts)

    def _details(self, block: Details) -> str:
        return (
            f"<details><summary>{escape(block.summary)}</summary>"
            f"{self._blocks(block.blocks)}</details>"
        )

    def _table(self, table: Table) -> str:
        caption = f"caption-{next(self._captions)}"
        numeric = wording.numeric_columns(table)
        classes = [' class="number"' if is_number else "" for is_number in numeric]
        first, *others = table.columns
        head = f'<th scope="col">{escape(first)}</th>' + "".join(
            f'<th scope="col"{cls}>{escape(heading)}</th>'
            for heading, cls in zip(others, classes)
        )
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(
                self._cell(cell, is_number, subject)
                for cell, is_number, subject in zip(
                    cells, numeric, _subjects(name, cells, others)
                )
            )
            + "</tr>\n"
            for name, cells in table.rows
        )
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{caption}">'
            f'<table><caption class="caption"><span id="{caption}">'
            f"{escape(table.caption)}</span></caption>"
            f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
        )

    def _cell(self, cell: Cell, is_number: bool, subject: str) -> str:
        flags = {"number": is_number, "missing": cell.missing, "best": cell.best}
        classes = " ".join(name for name, holds in flags.items() if holds)
        text = escape(cell.text)
        if cell.sources:
            popover = self._popover(cell.sources, subject)
            text = (
                f'<button type="button" class="value" popovertarget="{popover}">{text}'
                '<span class="hidden">, show sources</span></button>'
            )
        details = "".join(
            f'<span class="detail">{escape(line)}</span>'
            for line in cell.detail.splitlines()
        )
        attribute = f' class="{classes}"' if classes else ""
        return f"<td{attribute}>{text}{details}</td>"

    def _popover(self, sources: tuple[Provenance, ...], subject: str) -> str:
        content = f"{escape(subject)}</h3>" + "".join(map(_source, sources))
        return self._popovers.setdefault(content, f"source-{len(self._popovers) + 1}")

    def _sources(self) -> str:
        if not self._popovers:
            return ""
        popovers = "".join(
            f'<div popover id="{name}" role="dialog" aria-labelledby="{name}-title" '
            f'tabindex="-1" autofocus><button type="button" class="close" '
            f'popovertarget="{name}" popovertargetaction="hide">Close</button>'
            f'<h3 id="{name}-title">{content}</div>\n'
            for content, name in self._popovers.items()
        )
        return f'<section class="sources"><h2>Sources</h2>{popovers}</section>'


def _subjects(name: str, cells: tuple[Cell, ...], headings: list[str]) -> list[str]:
    """What the sources of each cell are about; equal sources are about the row."""
    if all(cell.sources == cells[0].sources for cell in cells):
        return [name] * len(cells)
    return [f"{name}, {heading}" for heading in headings]


def _remark(block: Remark) -> str:
    return (
        f'<div class="remark {block.tone}"><p><span class="label">'
        f"{escape(block.label)}.</span> {escape(block.text)}</p></div>"
    )


def _items(block: Items) -> str:
    items = "".join(f"<li>{escape(item)}</li>" for item in block.items)
    return f"<ul>{items}</ul>"


def _code(block: Code) -> str:
    return f'<pre tabindex="0"><code>{escape(block.text)}</code></pre>'


def _figure(block: Figure) -> str:
    alternative = escape(block.alternative)
    if block.is_svg:
        svg = re.sub(
            r"<svg\b",
            '<svg aria-hidden="true" focusable="false"',
            wording.svg_element(block.content),
            count=1,
        )
        picture = f'<div role="img" aria-label="{alternative}">{svg}</div>'
    else:
        data = base64.b64encode(block.content).decode()
        picture = f'<img alt="{alternative}" src="data:image/png;base64,{data}">'
    return f"<figure>{picture}<figcaption>{escape(block.caption)}</figcaption></figure>"


def _source(source: Provenance) -> str:
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in wording.facts(source).items()
    )
    return (
        f"<section><dl>{facts}</dl>"
        f'<pre tabindex="0"><code>{escape(source.command)}</code></pre></section>'
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div class="page">
<header>
<h1>{title}</h1>
<p class="summary">{summary}</p>
</header>
<nav aria-label="Contents">
<p>Contents</p>
<ol>{contents}</ol>
</nav>
<main id="content" tabindex="-1">
{body}</main>
</div>
{sources}
</body>
</html>
"""
