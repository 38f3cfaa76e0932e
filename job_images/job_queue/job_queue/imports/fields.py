"""What the columns of an import must hold: ``amount:number, opened:date!``. Pure rules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from job_queue.database import storable


class BadRow(Exception):  # noqa: N818 - it is what is said of a row
    """The row can't be taken; the message says why, with the column and the value."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column and its kind; `required`: it must not be empty."""

    name: str
    kind: str
    required: bool


def parse_fields(text: str) -> tuple[Field, ...]:
    """Fields from ``name:kind`` or ``name:kind!``, separated by commas. Raises ValueError."""
    fields: dict[str, Field] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(.+?)\s*:\s*([a-z]+)\s*(!?)", part)
        if not found or found[2] not in _KINDS:
            raise ValueError(f"{part!r} is not NAME:KIND or NAME:KIND!, KIND one of {', '.join(_KINDS)}")
        if found[1] in fields:
            raise ValueError(f"the column {found[1]!r} is named twice")
        fields[found[1]] = Field(found[1], found[2], bool(found[3]))
    return tuple(fields.values())


def checked(values: Mapping[str, Any], key: str, fields: tuple[Field, ...]) -> tuple[str, dict[str, Any]]:
    """The row's key, and its values as JSON data, each in the kind of its field. Raises :class:`BadRow`."""
    data = {name: _plain(name, value) for name, value in values.items()}
    for field in fields:
        value = data.get(field.name)
        if value is None or value == "":
            if field.required:
                raise BadRow(f"{field.name} is empty")
            data[field.name] = None
            continue
        try:
            data[field.name] = _KINDS[field.kind](value)
        except (ValueError, TypeError, OverflowError):
            raise BadRow(f"{field.name}: {_shown(value)} is not {_WANTED[field.kind]}") from None
    entity = data.get(key)
    if isinstance(entity, float) and entity.is_integer():
        entity = int(entity)  # as spreadsheets hold whole numbers
    if isinstance(entity, bool) or not isinstance(entity, str | int) or not str(entity).strip():
        raise BadRow(f"{key}: {_shown(entity)} is no key" if entity not in (None, "") else f"{key} is empty")
    return str(entity).strip(), data


def _plain(name: str, value: Any) -> Any:
    """The value as JSON data that every database can hold."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is not None and not isinstance(value, str | int | float | bool | dict | list):
        return str(value)
    if storable(value) != value or storable(name) != name:
        raise BadRow(f"{storable(name)}: holds bytes that are not UTF-8, or NUL")
    if not _finite(value):
        raise BadRow(f"{name}: holds a number that is none")
    return value


def _finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_finite, value.values()))
        case list():
            return all(map(_finite, value))
        case _:
            return True


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise TypeError
    return str(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    whole = int(value if isinstance(value, int | float) else _matching(value, r"[+-]?\d{1,19}"))
    if not -(2**63) <= whole < 2**63:
        raise ValueError
    return whole


def _number(value: Any) -> int | float:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, int | float):
        return value
    number = float(_matching(value, r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"))
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).strip().lower() not in known:
        raise ValueError
    return known[str(value).strip().lower()]


def _date(value: Any) -> str:
    # A spreadsheet's date is a moment at midnight.
    return date.fromisoformat(_matching(value, r"\d{4}-\d\d-\d\d(T00:00:00)?")[:10]).isoformat()


def _moment(value: Any) -> str:
    moment = datetime.fromisoformat(_matching(value, r"\d{4}-\d\d-\d\d([T ].*)?"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _matching(value: Any, pattern: str) -> str:
    found = re.fullmatch(pattern, str(value).strip(), re.ASCII)
    if not found:
        raise ValueError
    return found[0]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…'"


_KINDS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "moment": _moment,
}
_WANTED = {
    "text": "a text",
    "integer": "a whole number",
    "number": "a number such as 12.5",
    "boolean": "true or false",
    "date": "a date such as 2026-01-31",
    "moment": "a time such as 2026-01-31T12:00:00Z",
}
