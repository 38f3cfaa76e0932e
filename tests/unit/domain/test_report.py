"""What a program may say at its end, and that nothing it says does any harm."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.api.status import HistoryEntry, Outcome, ScheduledTaskStatus, Trigger
from scheduledtask.domain.report import Report, read_report, tail
from tests.unit.world import stored

TRACEBACK = 'Traceback (most recent call last):\n  File "run.py", line 1\nValueError: no matches\n'
DEEP = "[" * 2000


@pytest.mark.parametrize(
    ("text", "report"),
    [
        pytest.param("", (None, ""), id="nothing"),
        pytest.param("  all done \n", (None, "all done"), id="text"),
        pytest.param(TRACEBACK, (None, TRACEBACK.strip()), id="the tail of a log"),
        pytest.param('{"result": {"matches": 7}}', ({"matches": 7}, ""), id="a result"),
        pytest.param('{"result": {"n": 7}, "message": "7 new"}', ({"n": 7}, "7 new"), id="a result and words"),
        pytest.param('{"result": 7}', ({"value": 7}, ""), id="a result that is no object"),
        pytest.param('{"result": {"n": 7}, "message": null}', ({"n": 7}, ""), id="null words are none"),
        pytest.param('{"matches": 7}', ({"matches": 7}, ""), id="an object without our names is the result"),
        pytest.param(
            '{"error": {"class": "NoMatches", "message": "data/ is empty"}}',
            (None, "NoMatches: data/ is empty"),
            id="an error with its class",
        ),
        pytest.param('{"error": "data/ is empty"}', (None, "data/ is empty"), id="an error that is only words"),
        pytest.param('{"error": {"message": "data/ is empty"}}', (None, "data/ is empty"), id="an error"),
        pytest.param("[1, 2]", (None, "[1, 2]"), id="JSON that is no object is text"),
        pytest.param("42", (None, "42"), id="a number is text"),
        pytest.param('{"result": {"n": 7}', (None, '{"result": {"n": 7}'), id="JSON that was cut off is text"),
        pytest.param('{"a": 1}\n{"a": 2}', (None, '{"a": 1}\n{"a": 2}'), id="two lines of JSON are a log"),
    ],
)
def test_a_report_is_read_as(text: str, report: tuple[dict[str, Any] | None, str]) -> None:
    read = read_report(text)
    assert (read.result, read.message) == report
    assert read.text == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(DEEP, id="nested beyond any reader"),
        pytest.param('{"result": ' + "[" * 300 + "]" * 300 + "}", id="nested beyond what a writer takes"),
        pytest.param('{"result": ' + "[" * 220 + "]" * 220 + "}", id="nested beyond what can be read back"),
        pytest.param('{"result": {"n": ' + "9" * 4000 + "}}", id="a number of 4000 digits"),
        pytest.param('{"result": {"n": NaN, "m": 1e999}}', id="numbers that JSON does not have"),
        pytest.param('{"result": {"\\ud800": "\\udfff"}, "message": "\\ud83d"}', id="halves of characters"),
        pytest.param('{"error": {"message": "\\ud83d"}}', id="half a character in an error"),
        pytest.param('{"error": {"class": null, "message": null}}', id="an error of nulls"),
        pytest.param('{"error": {"class": {"a": 1}, "message": ["b"]}}', id="an error of objects"),
        pytest.param("\x00\x1b[31m\x7f", id="control characters"),
        pytest.param("ü" * 10_000_000, id="ten megabytes"),
    ],
)
def test_whatever_is_said_can_be_stored(text: str) -> None:
    assert_can_be_stored(read_report(text))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["result", "error", "message", "class"]), inner),
    max_leaves=8,
)


@given(ANY_JSON)
def test_any_json_can_be_stored(body: Any) -> None:
    assert_can_be_stored(read_report(json.dumps(body)))


@given(st.text(alphabet=st.characters(codec=None)), st.integers(2, 50))
def test_a_tail_is_the_end_of_the_text_and_never_longer_than_asked(text: str, limit: int) -> None:
    end = tail(text, limit)
    assert len(end) <= limit
    assert end == text or (end.startswith("…") and text.endswith(end[1:]))


def assert_can_be_stored(report: Report) -> None:
    """It fits into a status, which comes back from JSON as it went, and is no burden there."""
    entry = HistoryEntry(
        run="run",
        trigger=Trigger.MANUAL,
        end_time=datetime(2026, 11, 22, tzinfo=UTC),
        outcome=Outcome.SUCCEEDED,
        reason="Completed",
        message=tail(report.message, 1024),
        result=report.result,
    )
    status = ScheduledTaskStatus(history=(entry,))
    again = stored(status)
    assert stored(again) == again
    body = json.dumps(again.model_dump(mode="json"))
    assert len(body) < 20_000, "the kubelet lets a few KiB through; a hundred of these fit into one object"
    for number in _integers(report.result):
        assert -(2**63) <= number < 2**64, "the API server reads no longer integers"


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _integers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in _integers(inner)]
    return [value] if isinstance(value, int) else []
