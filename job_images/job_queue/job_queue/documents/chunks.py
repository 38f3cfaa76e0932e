"""Cutting a text into overlapping chunks, where possible between paragraphs, else between sentences, else words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

VERSION = 1
"""Goes up when the same text is cut differently, so that what was cut before is cut anew."""

_BOUNDARIES = (re.compile(r"\n\n"), re.compile(r"[.!?…。][\"')\]»”]*\s"), re.compile(r"\s"))
"""The best first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk: where it starts in the whole text, and what it says."""

    start: int
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def cut(text: str, size: int, overlap: int) -> Iterator[Piece]:
    """Chunks of at most `size` characters; each repeats at most `overlap` characters from the end of the one before,
    from the start of a word on. Together they hold every character that is no space."""
    start = 0
    while start < len(text):
        end = _end(text, start, size)
        piece = text[start:end]
        said = piece.strip()
        if said:
            yield Piece(start + len(piece) - len(piece.lstrip()), said)
        if end == len(text):
            return
        start = _word_start(text, max(end - overlap, start + 1), end)


def _end(text: str, start: int, size: int) -> int:
    """Behind the last boundary of the best kind that there is in the second half of the room."""
    limit = start + size
    if limit >= len(text):
        return len(text)
    for boundary in _BOUNDARIES:
        ends = [found.end() for found in boundary.finditer(text, start + (size + 1) // 2, limit)]
        if ends:
            return ends[-1]
    return limit


def _word_start(text: str, wanted: int, end: int) -> int:
    """The first start of a word from `wanted` on; `end` where there is none before it."""
    if wanted >= end or text[wanted - 1].isspace():
        return wanted
    space = re.compile(r"\s").search(text, wanted, end)
    return space.end() if space else end
