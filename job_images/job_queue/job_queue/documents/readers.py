"""The text of one file: PDF, DOCX, HTML, Markdown or plain text.

Whatever a reader meets in a file that can't be used, it says in :class:`Unreadable`, in words for the person who has
to mend the file. Libraries are imported by the reader that needs them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from job_queue.documents.cleaning import clean

VERSION = 1
"""Goes up when a reader reads the same file differently, so that files are read anew."""

_UNPACKED_LIMIT = 200_000_000
"""Bytes that a DOCX may unpack to."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How the old binary files of Office begin, and the encrypted new ones."""

_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_TITLE_LINE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)
_BLOCKS = (
    "address", "article", "blockquote", "caption", "dd", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tr", "ul",
)  # fmt: skip
_LINES = ("dd", "dt", "li", "tr")
_NOT_TEXT = ("script", "style", "noscript", "template", "svg", "nav", "footer", "form", "iframe", "object")


class Unreadable(Exception):  # noqa: N818 - it is what is said of a file
    """The file can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a file says."""

    title: str | None
    text: str


def kind_of(path: str) -> str | None:
    """The kind of the file, by its name: ``pdf``, ``docx``, ``html``, ``markdown`` or ``text``; None for others."""
    return _KINDS.get(Path(path).suffix.lower())


def read(path: Path) -> Text:
    """The clean text of a file. Raises :class:`Unreadable`, OSError, and whatever a library raises on broken files."""
    kind = kind_of(path.name)
    if kind is None:
        raise Unreadable(f"unsupported kind {path.suffix or 'without a suffix'}; supported: {', '.join(_KINDS)}")
    found = _READERS[kind](path)
    title = clean(found.title or "").replace("\n", " ") or None
    text = clean(found.text, hyphenated=kind == "pdf")
    if not text:
        raise Unreadable("holds no text" + ("; scanned pages need OCR first" if kind == "pdf" else ""))
    return Text(title, text)


def _pdf(path: Path) -> Text:
    import pypdf
    from pypdf.errors import PyPdfError

    try:
        reader = pypdf.PdfReader(path)
        # Many files are encrypted with an owner's password only: everybody may read them.
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted; save it without a password")
        pages = [page.extract_text() for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    except PyPdfError as error:
        raise Unreadable(f"broken PDF: {error}") from error
    return Text(title, "\n\n".join(pages))


def _docx(path: Path) -> Text:
    with path.open("rb") as file:
        if file.read(len(_OLE)) == _OLE:
            raise Unreadable("encrypted, or an old .doc under a new name; save it as .docx without a password")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise Unreadable(f"broken DOCX: {error}") from error
    if unpacked > _UNPACKED_LIMIT:
        raise Unreadable(f"unpacks to {unpacked} bytes; the limit is {_UNPACKED_LIMIT}")
    import docx
    from docx.table import Table

    document = docx.Document(str(path))
    parts: list[str] = []
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            parts.append("\n".join("\t".join(cell.text.replace("\n", " ") for cell in row.cells) for row in block.rows))
        else:
            parts.append(block.text)
    return Text(document.core_properties.title, "\n\n".join(parts))


def _html(path: Path) -> Text:
    return _text_of_html(path.read_bytes())


def _markdown(path: Path) -> Text:
    from markdown_it import MarkdownIt

    source = _decoded(path.read_bytes())
    front = _FRONT_MATTER.match(source)
    named = _TITLE_LINE.search(front[0]) if front else None
    page = _text_of_html(MarkdownIt("commonmark").enable("table").render(source[front.end() if front else 0 :]))
    return Text(named[1] if named else page.title, page.text)


def _plain(path: Path) -> Text:
    data = path.read_bytes()
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("not a text: it holds NUL bytes")
    return Text(None, _decoded(data))


def _text_of_html(source: str | bytes) -> Text:
    from bs4 import BeautifulSoup
    from bs4.element import NavigableString

    soup = BeautifulSoup(source, "lxml")
    heading = soup.title or soup.h1
    title = heading.get_text(" ") if heading else None
    for tag in soup.find_all(_NOT_TEXT):
        tag.decompose()
    body = soup.find("main") or soup.body or soup
    for string in body.find_all(string=True):
        if string.find_parent("pre") is None and type(string) is NavigableString:
            string.replace_with(re.sub(r"\s+", " ", string))
    for tag in body.find_all("br"):
        tag.replace_with("\n")
    for tag in body.find_all(("td", "th")):
        tag.insert_before("\t")
    for tag in body.find_all(_BLOCKS):
        if tag.name in _LINES:
            tag.insert_after("\n")
        else:
            tag.insert_before("\n\n")
            tag.insert_after("\n\n")
    return Text(title, body.get_text())


def _decoded(data: bytes) -> str:
    """Text in UTF-16 with its mark, UTF-8, or else Windows' Latin, which every byte means something in."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").replace("\r\n", "\n")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return text.replace("\r\n", "\n")


_READERS: dict[str, Callable[[Path], Text]] = {
    "pdf": _pdf,
    "docx": _docx,
    "html": _html,
    "markdown": _markdown,
    "text": _plain,
}
_KINDS = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".log": "text",
}
