"""The text of a PDF file, read by a process of its own.

A PDF can make its reader work without end or take all memory, by accident or on purpose. So it is read by a child
with limits that the kernel holds it to, one at a time; whatever becomes of the child is that source's failure alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterable

from source_monitor.lines import clean, cleaned

SECONDS = 60
"""That reading one file may take."""
MEBIBYTES = 320
"""Of address space that the child may take; a file of some hundred pages takes a third of it."""

UNREADABLE, OUT_OF_MEMORY = 65, 71
"""How the child ends: the file can't be read, for the reason on its standard error; or it would take too much."""

_one_at_a_time = threading.Lock()
_SENTENCE_END = re.compile(r"(?<=[^\W\d][.!?])\s+(?=[^\Wa-z\d_])|(?<=[.!?][\"”»)])\s+(?=[^\Wa-z\d_])")
_HYPHENATED = re.compile(r"(?<=[a-zäöüßà-ÿ])-\n(?=[a-zäöüßà-ÿ])")
_PAGE_NUMBER = re.compile(r"^\W*(?:page|seite)?\s*\d{1,4}\W*(?:(?:of|/|von|sur)\s*\d{1,4})?\W*$", re.IGNORECASE)


class UnreadableError(ValueError):
    """The file has no text that can be read; the message says why."""


def pdf_lines(body: bytes, seconds: float = SECONDS, mebibytes: int = MEBIBYTES) -> list[str]:
    """The file's sentences. Raises UnreadableError."""
    if b"%PDF-" not in body[:1024]:
        raise UnreadableError("not a PDF file")
    command = [sys.executable, "-m", "source_monitor.pdf_child", str(mebibytes), str(int(seconds) + 1)]
    with _one_at_a_time:
        try:
            ended = subprocess.run(command, input=body, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise UnreadableError(f"a PDF file that takes more than {seconds:g} s to read") from error
    if ended.returncode == OUT_OF_MEMORY:
        raise UnreadableError(f"a PDF file that takes more than {mebibytes} MiB of memory to read")
    if ended.returncode:
        said = clean(ended.stderr.decode(errors="replace"))[-200:]
        raise UnreadableError(said if ended.returncode == UNREADABLE else f"a PDF file that ends its reader: {said}")
    return sentences(ended.stdout.decode(errors="replace").split("\f"))


def sentences(pages: Iterable[str]) -> list[str]:
    """The text of pages by sentences: where a file breaks its lines and pages is no part of what it says."""
    paragraphs: list[str] = [""]
    for page in pages:
        for line in _HYPHENATED.sub("", page.strip("\n")).split("\n"):
            if _PAGE_NUMBER.match(line):
                continue
            if line.strip():
                paragraphs[-1] += line + " "
            elif paragraphs[-1]:
                paragraphs.append("")
    return cleaned(sentence for paragraph in paragraphs for sentence in _SENTENCE_END.split(paragraph))
