"""The termination message: always JSON, always within the limit, always readable by the operator, never a secret."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from scheduledtask.domain.report import read_report
from scheduledtask_sdk.termination import MESSAGE_LIMIT, fitted

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(), inner, max_size=30),
    max_leaves=40,
)
mappings = st.dictionaries(st.text(), values, max_size=30)


@given(st.dictionaries(st.sampled_from(["message", "result", "error"]), values), st.integers(0, 6))
def test_it_is_json_within_the_limit(document: dict[str, object], size: int) -> None:
    written = fitted(document | {"long": ["ö" * 10**size, *range(min(10**size, 5000))]})
    assert len(written) <= MESSAGE_LIMIT
    assert set(json.loads(written)) >= set(document)


@given(st.text(max_size=3000), mappings, st.integers(0, 5))
@example("\0" * 3000, {"\0" * 200 + str(n): "\0" * 200 for n in range(50)}, 5)
def test_the_operator_reads_the_message_and_a_result_of_every_success(
    message: str, result: dict[str, object], size: int
) -> None:
    report = read_report(fitted({"message": message, "result": result | {"more": "x" * 10**size}}).decode())
    assert report.result is not None
    shown = message.encode(errors="replace").decode()
    assert report.message[:250] == shown[:250] if len(shown) > 300 else report.message == shown


@given(st.text(max_size=3000), mappings, st.integers(0, 5))
def test_the_operator_reads_class_and_words_of_every_failure(
    message: str, context: dict[str, object], size: int
) -> None:
    error = {"class": "RateLimited", "message": message, "context": context | {"x": "ö" * 10**size}, "retryable": True}
    report = read_report(fitted({"error": error}).decode())
    assert report.retryable is True
    assert report.message.startswith("RateLimited: " + message.encode(errors="replace").decode()[:250])


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**70,
        "\ud800",
        {"a": {1: {2.5: (3, {4})}}},
        object(),
        [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]],
    ],
)
def test_what_json_or_the_operator_can_not_hold_becomes_text(value: object) -> None:
    report = read_report(fitted({"message": "m", "result": {"value": value, "sound": 1}}).decode())
    assert report.result is not None
    assert report.result["sound"] == 1
    assert "value" in report.result


def test_what_is_short_stays_as_it_is() -> None:
    document = {"message": "3 models", "result": {"models": ["a", "b", "ü"], "written": True, "share": 0.5, "no": None}}
    assert json.loads(fitted(document)) == document


def test_a_long_list_is_cut_and_counted() -> None:
    written = json.loads(fitted({"message": "m", "result": {"skipped": [f"file {n:04}" for n in range(5000)]}}))
    *shown, last = written["result"]["skipped"]
    assert shown[:2] == ["file 0000", "file 0001"]
    assert last == f"… {5000 - len(shown)} more"
