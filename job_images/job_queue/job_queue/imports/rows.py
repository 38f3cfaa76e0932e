"""Rows of CSV, JSONL and XLSX files, one by one: memory does not grow with the file."""

from __future__ import annotations

import csv
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scheduledtask_sdk.failures import InvalidInput

LINE_LIMIT = 1_000_000
"""Characters of a line: a longer one is no row, and would fill the memory."""

_FIELD_LIMIT = 131_072
_SHARED_TEXT_LIMIT = 30_000_000
"""Bytes of the texts that an XLSX keeps apart from its rows: they have to be in memory all at once, and take up to six
times the room there."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True, slots=True)
class Line:
    """A row and the line where it starts; `problem` says why it is none."""

    number: int
    values: dict[str, Any]
    problem: str | None = None
    size: int = 0
    """Characters, about."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is to be read: the column of the key, the CSV's delimiter, the XLSX's sheet (empty: the first)."""

    key: str
    delimiter: str = ","
    sheet: str = ""


def kind_of(path: str) -> str:
    """``csv``, ``jsonl`` or ``xlsx``. Raises InvalidInput for others."""
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise InvalidInput(f"path: {path!r} is of an unsupported kind; supported: {', '.join(_SUFFIXES)}")
    return _SUFFIXES[suffix]


def rows(path: Path, format: Format, after: int) -> Iterator[Line]:
    """The rows that start behind the line `after`. Raises InvalidInput where the file as a whole can't be used."""
    return _READERS[kind_of(path.name)](path, format, after)


def _csv(path: Path, format: Format, after: int) -> Iterator[Line]:
    delimiter = "\t" if format.delimiter == "tab" or path.suffix.lower() == ".tsv" else format.delimiter
    with _opened(path) as file:
        csv.field_size_limit(_FIELD_LIMIT)
        reader = csv.reader(_bounded(file, path), delimiter=delimiter, strict=True)
        header: list[str] | None = None
        while True:
            start = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                if header is None:
                    raise InvalidInput(f"{path.name}: the header can't be read: {error}") from error
                if start > after:
                    yield Line(start, {}, f"{error}; is a quote missing?")
                continue
            if not cells:
                continue
            if header is None:
                header = _header(path, cells, format)
            elif start > after:
                yield _line(start, header, cells)
    if header is None:
        raise InvalidInput(f"{path.name}: is empty; the first line names the columns")


def _jsonl(path: Path, _format: Format, after: int) -> Iterator[Line]:
    with _opened(path) as file:
        number = 0
        while text := file.readline(LINE_LIMIT + 1):
            number += 1
            size = len(text)
            if size > LINE_LIMIT:
                while text and not text.endswith("\n"):
                    text = file.readline(LINE_LIMIT)
                problem: str | None = f"longer than {LINE_LIMIT} characters"
            elif number <= after or not text.strip():
                continue
            else:
                problem = None
            if number > after:
                yield _parsed(number, text, size) if problem is None else Line(number, {}, problem)


def _parsed(number: int, text: str, size: int) -> Line:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Line(number, {}, f"not JSON: {error}")
    if not isinstance(values, dict):
        return Line(number, {}, f"not a JSON object but {type(values).__name__}")
    return Line(number, values, None, size)


def _xlsx(path: Path, format: Format, after: int) -> Iterator[Line]:
    with path.open("rb") as file:
        if file.read(len(_OLE)) == _OLE:
            raise InvalidInput(f"{path.name}: is encrypted, or an old .xls under a new name; save it as .xlsx")
    import openpyxl

    try:
        with zipfile.ZipFile(path) as archive:
            shared = sum(
                entry.file_size for entry in archive.infolist() if entry.filename.endswith("sharedStrings.xml")
            )
        if shared > _SHARED_TEXT_LIMIT:
            raise InvalidInput(
                f"{path.name}: {shared} bytes of text; the limit is {_SHARED_TEXT_LIMIT}: save it as CSV"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and the like
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                yield from _sheet_lines(path, book, format, after)
            finally:
                book.close()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, ValueError, SyntaxError, EOFError, OSError) as error:
        # SyntaxError: what XML parsers raise.
        raise InvalidInput(f"{path.name}: broken XLSX: {error}") from error


def _sheet_lines(path: Path, book: Any, format: Format, after: int) -> Iterator[Line]:
    if format.sheet and format.sheet not in book.sheetnames:
        raise InvalidInput(f"sheet: {path.name} has no sheet {format.sheet!r}; it has {', '.join(book.sheetnames)}")
    sheet = book[format.sheet] if format.sheet else book.worksheets[0]
    sheet.reset_dimensions()  # what the file says of its own size is often wrong
    header: list[str] | None = None
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        while cells and cells[-1] is None:
            cells = cells[:-1]
        if not cells:
            continue
        if header is None:
            header = _header(path, ["" if cell is None else str(cell) for cell in cells], format)
        elif number > after:
            yield _line(number, header, (*cells, *[None] * (len(header) - len(cells))))
    if header is None:
        raise InvalidInput(f"{path.name}: the sheet {sheet.title!r} is empty; the first row names the columns")


def _header(path: Path, cells: Sequence[str], format: Format) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InvalidInput(f"{path.name}: more than one column is named {', '.join(map(repr, sorted(twice)))}")
    if format.key not in names:
        raise InvalidInput(f"key: {path.name} has no column {format.key!r}; it has {', '.join(names)[:500]}")
    return names


def _line(number: int, header: list[str], cells: Sequence[Any]) -> Line:
    if len(cells) != len(header):
        return Line(number, {}, f"{len(cells)} cells where the header has {len(header)}")
    return Line(number, dict(zip(header, cells, strict=True)), None, sum(len(str(cell)) for cell in cells))


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as file:
        wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    # Bytes that are no UTF-8 are told row by row.
    return path.open(encoding="utf-16" if wide else "utf-8-sig", errors="surrogateescape", newline="")


def _bounded(file: IO[str], path: Path) -> Iterator[str]:
    number = 0
    while text := file.readline(LINE_LIMIT + 1):
        number += 1
        if len(text) > LINE_LIMIT:
            raise InvalidInput(f"{path.name}: line {number} is longer than {LINE_LIMIT} characters")
        yield text


_READERS: dict[str, Callable[[Path, Format, int], Iterator[Line]]] = {"csv": _csv, "jsonl": _jsonl, "xlsx": _xlsx}
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "xlsx"}
