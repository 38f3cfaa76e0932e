"""What a source may ask for, and which changes are told."""

from __future__ import annotations

from typing import Any

import pytest

from source_monitor.difference import Difference, compare
from source_monitor.rules import AlertRules, Reading


def change(old: str, new: str) -> Difference:
    difference = compare([old], [new])
    assert difference is not None
    return difference


EDIT = change("Refunds are granted within 14 days.", "Refunds are granted within 30 days.")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({}, None),
        ({"minimum_words": 2}, None),
        ({"minimum_words": 3}, "2 words changed, told from 3 on"),
        ({"any_of": ["refunds"]}, None),
        ({"any_of": ["price", "within 30 days"]}, None),
        ({"any_of": ["refund"]}, "none of the words to tell of"),  # whole words
        ({"none_of": ["GRANTED"]}, "it says 'GRANTED'"),
        ({"none_of": ["grant"]}, None),
    ],
)
def test_a_change_is_told_by_its_size_and_its_words(rules: dict[str, Any], reason: str | None) -> None:
    assert AlertRules.of(rules).reason_against(EDIT) == reason


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"minimum_words": 0}, "minimum_words: "),
        ({"words": ["a"]}, "words: Extra inputs"),
        ({"email_to": ["a@example.com", "b@example.com, c@example.com"]}, "email_to.1: .*is not an e-mail address"),
        ({"email_to": ["a@example.com\nBcc: x@example.com"]}, "email_to.0: "),
    ],
)
def test_wrong_rules_are_named(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AlertRules.of(rules)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"ignore": ["("]}, "ignore.0: .*regular expression"),
        ({"drop": ["//p["]}, "drop.0: .*XPath"),
        ({"select": "["}, "select: .*XPath"),
    ],
)
def test_wrong_patterns_are_found_when_they_are_entered(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reading.of(rules)


def test_only_rules_by_which_the_text_is_another_one_change_its_mark() -> None:
    plain = Reading().mark("html")
    assert Reading(ignore=("x",)).mark("html") == plain
    assert Reading(select="//p").mark("html") != plain
    assert Reading(drop=("//p",)).mark("html") != plain
    assert Reading().mark("pdf") != plain
