"""Text as a list of lines: one paragraph, heading, list item, table row or feed entry each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_INVISIBLE = dict.fromkeys(
    code
    for code in (*range(0x20), *range(0x7F, 0xA0), 0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
                 *range(0x2060, 0x2065), 0xFEFF, *range(0xD800, 0xE000))
    if chr(code) not in "\t\n\r\x0b\x0c\x85"
)  # fmt: skip
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """One line: composed characters, single spaces, nothing that can't be seen or stored."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text.translate(_INVISIBLE))).strip()


def cleaned(texts: Iterable[str]) -> list[str]:
    """Those that have something to say, each as one line."""
    return [line for line in map(clean, texts) if any(character.isalnum() for character in line)]
