"""Text as people read it: without what only layout or machines put there."""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_HYPHENATED = re.compile(r"(?<=[a-zà-öø-ÿ])-\n(?=[a-zà-öø-ÿ])")
_SPACES = re.compile(r"[^\S\n]+")
_LINE_EDGES = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")
_INVISIBLE = {
    code: None
    for code in (*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0xD800, 0xE000))
    if chr(code) not in "\t\n"
}


def clean(text: str, hyphenated: bool = False) -> str:
    """The text in Unicode's composed form, with plain spaces, at most one empty line in a row, and nothing that can't
    be seen. `hyphenated`: words that were divided at the end of a line are joined again."""
    text = _LINE_ENDS.sub("\n", text).translate(_INVISIBLE)
    text = unicodedata.normalize("NFC", text)
    text = _LINE_EDGES.sub("\n", _SPACES.sub(" ", text))
    if hyphenated:
        text = _HYPHENATED.sub("", text)
    return _EMPTY_LINES.sub("\n\n", text).strip()
