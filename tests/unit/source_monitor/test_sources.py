"""What may be entered as a source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduledtask_sdk.failures import InvalidInput
from source_monitor.sources import Entry, read_file
from source_monitor.urls import address, redirected

GOOD = {"url": "https://example.com/terms", "kind": "html", "name": "Terms"}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com", "https://example.com/"),
        (" HTTPS://Example.COM/Terms?a=1#part ", "https://example.com/Terms?a=1"),
        ("http://bücher.example/preise", "http://xn--bcher-kva.example/preise"),
        ("https://example.com/straße", "https://example.com/stra%C3%9Fe"),
        ("http://[2606:4700::1111]:8080/x", "http://[2606:4700::1111]:8080/x"),
    ],
)
def test_an_address_has_one_spelling(text: str, url: str) -> None:
    assert address(text) == url == address(url)


@pytest.mark.parametrize(
    "text",
    ["", "example.com/terms", "ftp://example.com/", "https:///x", "http://h:99999/", "file:///etc/passwd",
     "http://a b/", "https://user:secret@example.com/", "https://example.com/" + "x" * 2000, "https://example.com/\x00"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="url: ") as refused:
        address(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b c?d=1", "https://example.com/b%20c?d=1"),
        ("next", "https://example.com/a/next"),
        ("//other.example/x#y", "https://other.example/x"),
        ("/stra\u00c3\u009fe", "https://example.com/stra%C3%9Fe"),  # UTF-8, as a header's bytes are shown
        ("/stra\u00dfe", "https://example.com/stra%C3%9Fe"),
    ],
)
def test_a_redirect_leads_where_its_server_means(location: str, url: str) -> None:
    assert redirected("https://example.com/a/page", location) == url


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": None}, "url is missing"),
        ({"kind": "doc"}, "kind: 'doc' is none of html, feed, pdf"),
        ({"check_frequency": "hourly"}, "'hourly' is not a frequency"),
        ({"active": "perhaps"}, "active: 'perhaps' is neither true nor false"),
        ({"name": "a\x07"}, "name: "),
        ({"reading": "{"}, "reading: '{' is not JSON"),
        ({"reading": '{"ignore": ["("]}'}, "reading.ignore.0: "),
        ({"alerts": [1]}, "alerts: .* is not a JSON object"),
        ({"frequency": "daily"}, "'frequency' is no field of a source"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Entry.of(GOOD | fields)


def test_a_file_may_be_json_json_lines_or_csv(tmp_path: Path) -> None:
    other = {"url": "https://example.com/news.xml", "kind": "feed", "check_frequency": "0 6 * * 1", "active": False}
    files = {
        "a.json": json.dumps([GOOD, other]),
        "b.json": json.dumps({"sources": [GOOD, other]}),
        "c.jsonl": json.dumps(GOOD) + "\n\n" + json.dumps(other) + "\n",
        "d.csv": "\ufeffurl,kind,name,check_frequency,active\nhttps://example.com/terms,html,Terms,,\n"
        "https://example.com/news.xml,feed,,0 6 * * 1,no\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.write_text(text)
        first, second = read_file(path)
        assert (first.name, first.active, first.check_frequency) == ("Terms", None, None)
        assert (second.kind, second.active, second.check_frequency) == ("feed", False, "0 6 * * 1")


def test_every_wrong_row_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sources.csv"
    path.write_text("url,kind\nhttps://example.com/a,html\nexample.com,html\nhttps://example.com/b,doc\nx,y,z\n")
    with pytest.raises(InvalidInput) as refused:
        read_file(path)
    assert all(f"line {number}: " in refused.value.message for number in (3, 4, 5))
    assert "line 2" not in refused.value.message


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "{"), ("a.json", "{}"), ("a.jsonl", "[1"), ("a.csv", 'url\n"x\n')]
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"list of sources|is no list"):
        read_file(path)
