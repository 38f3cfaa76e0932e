"""A document read: its lines, by the kind of its source."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Sequence
from typing import Literal, get_args

from scheduledtask_sdk.failures import InvalidInput
from source_monitor.feed_text import NoFeedError, feed_lines
from source_monitor.fetch import Document
from source_monitor.html_text import PathError, html_lines
from source_monitor.pdf_text import UnreadableError, pdf_lines
from source_monitor.rules import Reading

Kind = Literal["html", "feed", "pdf"]
KINDS: Sequence[Kind] = get_args(Kind)

ACCEPT: dict[str, str] = {
    "html": "text/html, application/xhtml+xml, text/plain;q=0.8, */*;q=0.1",
    "feed": "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1",
    "pdf": "application/pdf, */*;q=0.1",
}
_PAGES = frozenset(("", "text/html", "application/xhtml+xml", "application/xml", "text/xml", "text/plain"))

# A tree takes ten times the memory of its document: one at a time, however many are being fetched.
_one_at_a_time = threading.Lock()


def lines_of(kind: str, document: Document, rules: Reading) -> list[str]:
    """The document's lines. Raises InvalidInput where it is of another kind, broken, or has no text; only a feed may be
    empty for a while."""
    assert document.body is not None
    try:
        with _one_at_a_time:
            lines = _read(kind, document, document.body, rules)
    except (NoFeedError, UnreadableError, PathError) as error:
        raise InvalidInput(str(error)) from error
    if not lines and kind != "feed":
        raise InvalidInput(_without_text(kind, rules))
    return lines


def _read(kind: str, document: Document, body: bytes, rules: Reading) -> list[str]:
    if kind == "pdf":
        return pdf_lines(body)
    if kind == "feed":
        return feed_lines(body, document.content_type)
    if body.startswith(b"%PDF-"):
        raise InvalidInput("it is a PDF file; set the source's kind to pdf")
    binary = b"\0" in body[:4096] and not body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if binary or document.content_type not in _PAGES:
        raise InvalidInput(f"it is no page but {document.content_type or 'binary data'}")
    if document.content_type == "text/plain":
        body = b"<pre>" + body.replace(b"&", b"&amp;").replace(b"<", b"&lt;") + b"</pre>"
    return html_lines(body, document.charset, rules.select, rules.drop)


def _without_text(kind: str, rules: Reading) -> str:
    if kind == "html" and (rules.select or rules.drop):
        return "nothing that its rules select and leave has any text; are the XPaths still right?"
    return {
        "html": "it has no text; a page that is made by its scripts can't be watched",
        "pdf": "it has no text; scanned pages are pictures",
    }[kind]
