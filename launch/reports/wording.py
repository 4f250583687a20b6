"""What the HTML and the Markdown form of a document share: names, facts, alignment."""

from __future__ import annotations

import re
from collections.abc import Sequence

from launch.reports.document import Table
from launch.studies.results import Provenance
from selfsup.common import durations

MISSING = "–"
_NUMBER = re.compile(r"[+−-]?\d")


def facts(source: Provenance) -> dict[str, str]:
    """Returns what is known of a number's source, by name, without the command."""
    known = {
        **source.facts,
        "folder": source.folder,
        "commit": source.commit or "unknown",
        **{f"data {folder}": checksum for folder, checksum in source.data.items()},
        "started": source.started,
        "ran for": durations.text(source.seconds),
        "versions": ", ".join(
            f"{package} {version}" for package, version in source.versions.items()
        ),
    }
    return {name: value for name, value in known.items() if value}


def anchors(titles: Sequence[str]) -> list[str]:
    """Returns an id for each title; ids are unique and safe in HTML and links.

    >>> anchors(["Table 1", "Table 1", "(ii)"])
    ['table-1', 'table-1-2', 'ii']
    """
    taken: list[str] = []
    for title in titles:
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        name, number = plain, 1
        # `content` is the page's own.
        while name in (*taken, "content"):
            number += 1
            name = f"{plain}-{number}"
        taken.append(name)
    return taken


def numeric_columns(table: Table) -> list[bool]:
    """Returns for each column after the first whether its cells are numbers or missing."""
    columns = zip(*(cells for _, cells in table.rows))
    return [
        all(cell.missing or bool(_NUMBER.match(cell.text)) for cell in cells)
        for cells in columns
    ] or [False] * (len(table.columns) - 1)


def svg_element(content: bytes) -> str:
    """Returns the svg element of an SVG document, without what stands before it."""
    text = content.decode("utf-8")
    return text[text.index("<svg") :].strip()


def signed(number: float, digits: int) -> str:
    """Returns a number with its sign.

    >>> signed(-0.5, 2)
    '−0.50'
    """
    return f"{number:+.{digits}f}".replace("-", "−")


def counted(number: int, name: str) -> str:
    """Returns a number with a noun, in the plural unless it is 1.

    >>> counted(3, "seed")
    '3 seeds'
    """
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
