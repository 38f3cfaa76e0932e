"""What the columns of an import take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from job_queue.imports.fields import BadRow, Field, checked, parse_fields


def test_fields_are_named_with_their_kind() -> None:
    assert parse_fields(" amount : number, opened:date! ,") == (
        Field("amount", "number", False),
        Field("opened", "date", True),
    )


def taken(kind: str, value: Any) -> Any:
    return checked({"id": "1", "x": value}, "id", parse_fields(f"x:{kind}"))[1]["x"]


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("integer", " 12 ", 12),
        ("integer", 12.0, 12),
        ("number", "1.5e3", 1500.0),
        ("number", 7, 7),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("date", "2026-01-31", "2026-01-31"),
        ("date", datetime(2026, 1, 31, tzinfo=None), "2026-01-31"),  # noqa: DTZ001 - as spreadsheets give them
        ("moment", "2026-01-31 12:00:00+02:00", "2026-01-31T10:00:00+00:00"),
        ("moment", datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
        ("text", 7, "7"),
        ("number", "", None),
        ("number", None, None),
    ],
)
def test_values_are_taken_in_the_kind_of_their_field(kind: str, value: Any, wanted: Any) -> None:
    assert taken(kind, value) == wanted


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "1.5"),
        ("integer", "9" * 19),
        ("integer", True),
        ("number", "1,5"),
        ("number", "١٢"),
        ("number", "1e999"),
        ("number", float("inf")),
        ("boolean", "perhaps"),
        ("date", "31.01.2026"),
        ("date", "2026-02-30"),
        ("date", "2026-01-31T10:00:00"),
        ("moment", "noon"),
        ("text", ["a"]),
        ("text", "a\0b"),
        ("text", "a\ud800"),
    ],
)
def test_other_values_are_told_with_their_column(kind: str, value: Any) -> None:
    with pytest.raises(BadRow, match=r"^x: "):
        taken(kind, value)


def test_a_required_field_must_not_be_empty() -> None:
    with pytest.raises(BadRow, match="x is empty"):
        checked({"id": "1", "x": ""}, "id", parse_fields("x:text!"))


@pytest.mark.parametrize(("key", "wanted"), [("a", "a"), (" a ", "a"), (12, "12"), (12.0, "12")])
def test_keys_are_texts_or_whole_numbers(key: Any, wanted: str) -> None:
    assert checked({"id": key}, "id", ())[0] == wanted


@pytest.mark.parametrize("key", [None, "", "  ", 1.5, True, ["a"], {}])
def test_other_keys_are_none(key: Any) -> None:
    with pytest.raises(BadRow, match=r"^id"):
        checked({"id": key}, "id", ())
