"""The sources that are watched: entered one by one or from a file, listed, removed."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduledtask_sdk.failures import InvalidInput, NotFound
from source_monitor import frequency
from source_monitor.models import Source
from source_monitor.reading import KINDS
from source_monitor.rules import AlertRules, Reading
from source_monitor.urls import address

FIELDS = ("url", "kind", "name", "check_frequency", "active", "reading", "alerts")
_LARGEST_FILE = 16 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A source as somebody enters it. What is None stays as it is, or has the default for a new source."""

    url: str
    kind: str | None = None
    name: str | None = None
    check_frequency: str | None = None
    active: bool | None = None
    reading: Reading | None = None
    alerts: AlertRules | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Entry:
        """An entry from a row of a file. Raises ValueError that names the field, the value and the mend."""
        unknown = [name for name in fields if name not in FIELDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no field of a source; those are {', '.join(FIELDS)}")
        kind, every = fields.get("kind"), fields.get("check_frequency")
        return cls(
            url=address(_text(fields.get("url"), "url")),
            kind=None if kind is None else _kind(_text(kind, "kind")),
            name=None if fields.get("name") is None else _name(_text(fields["name"], "name")),
            check_frequency=None if every is None else frequency.parsed(_text(every, "check_frequency")),
            active=None if fields.get("active") is None else _truth(fields["active"]),
            reading=None if fields.get("reading") is None else _rules(Reading, fields["reading"], "reading"),
            alerts=None if fields.get("alerts") is None else _rules(AlertRules, fields["alerts"], "alerts"),
        )


def store(engine: Engine, entries: Sequence[Entry]) -> dict[str, int]:
    """Add those of new addresses and update the others, all or none; how many of each, and how many stay as they are.
    Raises InvalidInput for a new source without a kind or a name."""
    counts = {"added": 0, "updated": 0, "unchanged": 0}
    with Session(engine) as session, session.begin():
        for entry in entries:
            source = session.scalar(select(Source).where(Source.url == entry.url).with_for_update())
            if source is None:
                session.add(_new(entry))
                session.flush()
                counts["added"] += 1
            else:
                counts["updated" if _update(source, entry) else "unchanged"] += 1
    return counts


def _new(entry: Entry) -> Source:
    if entry.kind is None:
        raise InvalidInput(f"kind is missing for {entry.url}; give one of {', '.join(KINDS)}", url=entry.url)
    return Source(
        url=entry.url,
        kind=entry.kind,
        name=entry.name or f"{urlsplit(entry.url).netloc}{urlsplit(entry.url).path}"[:200].rstrip("/"),
        check_frequency=entry.check_frequency or frequency.DAILY,
        active=entry.active is not False,
        reading=entry.reading.document() if entry.reading else {},
        alerts=entry.alerts.document() if entry.alerts else {},
        created_at=datetime.now(UTC),
    )


def _update(source: Source, entry: Entry) -> bool:
    wanted = {
        "kind": entry.kind,
        "name": entry.name,
        "check_frequency": entry.check_frequency,
        "active": entry.active,
        "reading": None if entry.reading is None else entry.reading.document(),
        "alerts": None if entry.alerts is None else entry.alerts.document(),
    }
    changed = {name: value for name, value in wanted.items() if value is not None and value != getattr(source, name)}
    for name, value in changed.items():
        setattr(source, name, value)
    return bool(changed)


def remove(engine: Engine, source_id: int) -> str:
    """Remove the source with its versions, changes and alerts; its name. Raises NotFound."""
    with Session(engine) as session, session.begin():
        source = session.get(Source, source_id)
        if source is None:
            raise NotFound(f"there is no source {source_id}; `sources list` shows all", source=source_id)
        name = source.name
        session.delete(source)
        return name


def read_file(path: Path) -> list[Entry]:
    """The entries of a JSON list, JSON Lines, or CSV with a header. Raises InvalidInput that names every wrong row (at
    most twenty); FileNotFoundError is a missing input."""
    if path.stat().st_size > _LARGEST_FILE:
        raise InvalidInput(f"{path} is larger than {_LARGEST_FILE >> 20} MiB", path=str(path))
    try:
        text = path.read_bytes().decode("utf-8-sig")
        rows = list(_rows(path, text))
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise InvalidInput(f"{path} is no list of sources: {error}", path=str(path)) from error
    entries, wrong = [], []
    for place, row in rows:
        try:
            if not isinstance(row, dict):
                raise ValueError("not an object with the fields of a source")
            entries.append(Entry.of(row))
        except ValueError as error:
            wrong.append(f"{place}: {error}")
    if wrong:
        more = f"; and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise InvalidInput(f"{path}: {'; '.join(wrong[:20])}{more}", path=str(path), wrong=len(wrong))
    return entries


def _rows(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(text.splitlines(keepends=True))
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield f"line {number}", json.loads(line)
    else:
        document = json.loads(text)
        listed = document.get("sources") if isinstance(document, dict) else document
        if not isinstance(listed, list):
            raise InvalidInput(f"{path} holds no list of sources", path=str(path))
        yield from ((f"source {number}", row) for number, row in enumerate(listed, start=1))


def _csv_rows(lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
    reader = csv.DictReader(lines, strict=True)
    for row in reader:
        if None in row:
            yield f"line {reader.line_num}", None
        else:
            # An empty cell says nothing.
            yield f"line {reader.line_num}", {name.strip(): cell for name, cell in row.items() if cell and cell.strip()}


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field}: {value!r} is not a text" if value is not None else f"{field} is missing")
    return value.strip()


def _kind(text: str) -> str:
    if text.lower() not in KINDS:
        raise ValueError(f"kind: {text!r} is none of {', '.join(KINDS)}")
    return text.lower()


def _name(text: str) -> str:
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name.isprintable() or len(name) > 200:
        raise ValueError(f"name: {name[:50]!r} has more than 200 characters, or some that can't be shown")
    return name


def _truth(value: object) -> bool:
    match value:
        case bool():
            return value
        case str() if value.strip().lower() in ("true", "yes", "1", "on"):
            return True
        case str() if value.strip().lower() in ("false", "no", "0", "off"):
            return False
    raise ValueError(f"active: {value!r} is neither true nor false")


def _rules(kind: type[Reading] | type[AlertRules], value: object, field: str) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"{field}: {value!r} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{field}: {value!r} is not a JSON object")
    try:
        return kind.of(value)
    except ValueError as error:
        raise ValueError(f"{field}.{error}") from None
