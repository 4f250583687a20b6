"""Markdown tables, as all benchmarks print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Table:
    """Prints a table to the terminal, each row as soon as it is known."""

    def __init__(self, *columns: str) -> None:
        """Prints the header."""
        print(_line(columns), _line(["---"] * len(columns)), sep="\n", flush=True)

    def add(self, *cells: str) -> None:
        """Prints a row."""
        print(_line(cells), flush=True)


def to_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a whole table as text."""
    return "\n".join(map(_line, [columns, ["---"] * len(columns), *rows]))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
