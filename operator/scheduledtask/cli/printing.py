"""How answers are shown: aligned columns for people, JSON for programs."""

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

_WIDE = 1_000
"""Columns of an output that is no terminal: nobody wants a table in a file folded to 80."""


def console() -> Console:
    """Standard output, in which text is text: no markup, no colours of its own."""
    width = None if sys.stdout.isatty() else _WIDE
    return Console(width=width, highlight=False, markup=False, emoji=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as kubectl prints them; cells that are too wide are folded, nothing is cut off."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    console().print(table)


def print_json(value: Any) -> None:
    """Structs, dictionaries and lists as indented JSON; times are RFC 3339."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
