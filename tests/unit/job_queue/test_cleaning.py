"""What is left of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_queue.documents.cleaning import clean


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("  a \t\u00a0 b  \n  c  ", "a b\nc"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("e\u0301", "é"),
        ("so\u00adft zero\u200bwidth \ufeffmark \x00 nul \ud800 half", "soft zerowidth mark nul half"),
    ],
)
def test_only_what_people_read_stays(text: str, wanted: str) -> None:
    assert clean(text) == wanted


def test_words_divided_at_the_end_of_a_line_are_joined_where_asked() -> None:
    text = "an exam-\nple of the UTF-\n8 kind"
    assert clean(text, hyphenated=True) == "an example of the UTF-\n8 kind"
    assert clean(text) == text


@given(st.text(max_size=80))
def test_what_is_clean_stays_as_it_is_and_can_be_stored(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert "\0" not in once
    once.encode()
