"""bulk-import: rows of CSV, JSONL and XLSX files, on both databases."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from job_queue.cli import bulk_import
from scheduledtask_sdk.failures import InvalidInput, MissingInput
from tests.jobs.job_queue import material
from tests.jobs.job_queue.conftest import Queue

FIELDS = "amount:number!, opened:date"


def csv_file(queue: Queue, *lines: str, name: str = "customers.csv") -> str:
    (queue.imports / name).write_text("id,name,amount,opened\n" + "".join(line + "\n" for line in lines))
    return name


def records(queue: Queue, entity_type: str = "customer") -> dict[str, Any]:
    query = "SELECT entity_id, data FROM records WHERE entity_type = :kind"
    return {
        key: data if isinstance(data, dict) else json.loads(data) for key, data in queue.rows(query, kind=entity_type)
    }


def bring_in(queue: Queue, path: str, **values: Any) -> dict[str, Any]:
    return dict(queue.call(bulk_import, path=path, entity_type="customer", **values).result)


def test_rows_become_records_in_the_kinds_of_their_fields(queue: Queue) -> None:
    path = csv_file(queue, "a,Änne,12.5,2026-01-31", '"b","O""Neil, Ann",-3,')

    result = bring_in(queue, path, fields=FIELDS)

    assert (result["imported"], result["skipped"]) == (2, 0)
    assert records(queue) == {
        "a": {"id": "a", "name": "Änne", "amount": 12.5, "opened": "2026-01-31"},
        "b": {"id": "b", "name": 'O"Neil, Ann', "amount": -3, "opened": None},
    }


def test_a_later_file_replaces_records_of_the_same_key_and_no_others(queue: Queue) -> None:
    bring_in(queue, csv_file(queue, "a,Ann,1,", "b,Ben,2,"))
    bring_in(queue, csv_file(queue, "b,Benjamin,3,", "c,Cid,4,", name="later.csv"))

    assert {key: data["name"] for key, data in records(queue).items()} == {"a": "Ann", "b": "Benjamin", "c": "Cid"}


def test_one_bad_row_refuses_the_file_and_the_rows_are_named(queue: Queue) -> None:
    path = csv_file(queue, "a,Ann,1,", "b,Ben,many,", "c,Cid,4")

    with pytest.raises(InvalidInput) as refused:
        bring_in(queue, path, fields=FIELDS)

    assert "nothing is imported, for 2 bad rows; line 3: amount: 'many' is not a number" in refused.value.message
    assert refused.value.context["errors"] == [
        {"line": 3, "reason": "amount: 'many' is not a number such as 12.5"},
        {"line": 4, "reason": "3 cells where the header has 4"},
    ]
    assert records(queue) == {}
    assert queue.rows("SELECT * FROM import_rows") == []


def test_bad_rows_are_skipped_on_request(queue: Queue) -> None:
    path = csv_file(queue, "a,Ann,1,", "b,Ben,many,", ",Nobody,3,", "a,Again,2,", "d,Dot,4,2026-02-30", "e,Eve,5,")

    result = bring_in(queue, path, fields=FIELDS, on_error="skip")

    assert (result["imported"], result["skipped"]) == (2, 4)
    assert [error["line"] for error in result["errors"]] == [3, 4, 5, 6]
    assert result["errors"][2]["reason"] == "id: 'a' is in line 2 already"
    assert sorted(records(queue)) == ["a", "e"]
    assert queue.column("SELECT what FROM audit_events WHERE kind = 'import'") == ["finished"]


def test_too_many_bad_rows_refuse_the_file_also_where_they_are_skipped(light: Queue) -> None:
    path = csv_file(light, *(f"{number},x,bad," for number in range(50)), "good,x,1,")

    with pytest.raises(InvalidInput, match="and reading was ended there"):
        bring_in(light, path, fields=FIELDS, on_error="skip", most_errors=9, batch_size=10)

    assert light.column("SELECT bad FROM imports") == [10]
    assert records(light) == {}


def test_a_duplicate_is_found_across_batches(queue: Queue) -> None:
    path = csv_file(queue, *(f"{number},x,1," for number in range(10)), "3,again,1,")

    with pytest.raises(InvalidInput, match="line 12: id: '3' is in line 5 already"):
        bring_in(queue, path, batch_size=4)


def test_the_same_file_is_not_imported_twice_unless_asked_to(light: Queue) -> None:
    path = csv_file(light, "a,Ann,1,")
    bring_in(light, path)
    bring_in(light, csv_file(light, "a,Later,1,", name="later.csv"))

    assert bring_in(light, path)["imported"] == 1
    assert records(light)["a"]["name"] == "Later"
    bring_in(light, path, again=True)
    assert records(light)["a"]["name"] == "Ann"


def test_a_refused_file_is_refused_again_without_being_read(light: Queue) -> None:
    path = csv_file(light, "a,Ann,bad,")
    for _ in range(2):
        with pytest.raises(InvalidInput, match="line 2: amount"):
            bring_in(light, path, fields=FIELDS)
    assert light.column("SELECT COUNT(*) FROM audit_events") == [1]


def test_objects_of_a_jsonl_file_are_taken_as_they_are(queue: Queue) -> None:
    lines = [
        '{"id": 7, "tags": ["x"], "deep": {"n": null}}',
        "",
        "[1]",
        '{"id": "8"',
        '{"id": "9\\u0000"}',
        '{"id": NaN}',
    ]
    (queue.imports / "things.jsonl").write_text("\n".join(lines))

    result = bring_in(queue, "things.jsonl", on_error="skip")

    assert records(queue) == {"7": {"id": 7, "tags": ["x"], "deep": {"n": None}}}
    assert [(error["line"], error["reason"].split(":")[0]) for error in result["errors"]] == [
        (3, "not a JSON object but list"),
        (4, "not JSON"),
        (5, "id"),
        (6, "id"),
    ]


def test_a_sheet_of_a_workbook_is_read_with_its_types(queue: Queue) -> None:
    book = openpyxl.Workbook()
    book.active.append(["nothing", "here"])
    sheet = book.create_sheet("Customers")
    sheet.append(["id", "name", "amount", "opened", "seen"])
    half_past_twelve = datetime.combine(date(2026, 1, 31), time(12, 30))
    sheet.append([12, "Ann", 1.5, date(2026, 1, 31), half_past_twelve])
    sheet.append([])
    sheet.append([13, "Ben", "much"])
    book.save(queue.imports / "book.xlsx")

    result = bring_in(queue, "book.xlsx", fields=FIELDS, sheet="Customers", on_error="skip")

    assert records(queue) == {
        "12": {"id": 12, "name": "Ann", "amount": 1.5, "opened": "2026-01-31", "seen": "2026-01-31T12:30:00"}
    }
    assert result["errors"] == [{"line": 4, "reason": "amount: 'much' is not a number such as 12.5"}]


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.csv", None, "is not there"),
        ("letter.docx", b"x", "unsupported kind"),
        ("empty.csv", b"", "is empty; the first line names the columns"),
        ("nokey.csv", b"name,amount\nx,1\n", "has no column 'id'; it has name, amount"),
        ("twice.csv", b"id,id\n1,2\n", "more than one column is named 'id'"),
        ("long.csv", b"id\n" + b"x" * 1_000_100, "line 2 is longer than 1000000 characters"),
        ("broken.xlsx", b"PK\x03\x04 and no more", "broken XLSX"),
        ("secret.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "is encrypted"),
        ("texts.xlsx", material.zipped("xl/sharedStrings.xml", 31), "31000000 bytes of text; the limit is 30000000"),
        ("../outside.csv", b"id\n1\n", "leads out of"),
    ],
)
def test_files_that_cannot_be_used_are_refused_with_the_reason(
    light: Queue, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        write(light.imports / name, content)
    with pytest.raises(InvalidInput if content is not None else MissingInput, match=said):
        bring_in(light, name)


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"a,\xff\xfe\nb,1\n", 2, "name: holds bytes that are not UTF-8"),
        (b"a,x\0y\nb,1\n", 2, "name: holds bytes that are not UTF-8, or NUL"),
        (b'a,"never closed\nb,1\n', 2, "unexpected end of data; is a quote missing?"),
        (b'b,1\na,"closed" too early\n', 3, "is a quote missing?"),
        (b'b,"two\nlines"\na,1,2\n', 4, "3 cells where the header has 2"),
    ],
)
def test_rows_that_are_none_are_named_by_the_line_where_they_start(
    light: Queue, content: bytes, line: int, said: str
) -> None:
    write(light.imports / "rows.csv", b"id,name\n" + content)
    with pytest.raises(InvalidInput) as refused:
        bring_in(light, "rows.csv")
    errors = refused.value.context["errors"]
    assert isinstance(errors, list)
    assert errors[0]["line"] == line
    assert said in errors[0]["reason"]


def test_wide_text_marks_and_other_delimiters_are_understood(light: Queue) -> None:
    write(light.imports / "bom.csv", b"\xef\xbb\xbfid;name\r\n1;x\r\n")
    write(light.imports / "wide.tsv", "id\tname\r\n2\tÄ\r\n".encode("utf-16"))
    bring_in(light, "bom.csv", delimiter=";")
    bring_in(light, "wide.tsv")
    assert records(light) == {"1": {"id": "1", "name": "x"}, "2": {"id": "2", "name": "Ä"}}


@pytest.mark.parametrize("fields", ["amount", "amount:money", "a:text, a:text"])
def test_fields_that_make_no_sense_are_refused(light: Queue, fields: str) -> None:
    with pytest.raises(InvalidInput, match="fields: "):
        bring_in(light, csv_file(light, "a,Ann,1,"), fields=fields)
