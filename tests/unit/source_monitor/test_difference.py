"""How two readings are compared, and how the difference is told."""

from __future__ import annotations

from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from source_monitor.difference import LONGEST_ACCOUNT, compare

OLD = ["# Refunds", "Refunds are granted within 14 days of purchase.", "Opened goods are not taken back.", "# Shipping"]


def test_the_same_text_is_no_change() -> None:
    assert compare(OLD, OLD) is None


@pytest.mark.parametrize(
    "new",
    [
        ["Advertisement", *OLD, "Last updated: 5 May 2026", "1,204 views"],
        [OLD[3], OLD[2], OLD[0], OLD[1]],
        [line.upper() for line in OLD],
    ],
    ids=["surroundings", "moved", "letters"],
)
def test_what_only_moved_or_speaks_of_the_moment_is_no_change(new: list[str]) -> None:
    assert compare(OLD, new) is None


def test_an_edited_paragraph_is_told_word_by_word_below_the_line_above_it() -> None:
    new = [OLD[0], "Refunds are granted within 30 days of purchase.", *OLD[2:]]
    difference = compare(OLD, new)
    assert difference is not None
    assert difference.account == "  # Refunds\n~ Refunds are granted within [-14-]{+30+} days of purchase."
    assert (difference.words_removed, difference.words_added, difference.words) == (1, 1, 2)
    assert difference.removed == (OLD[1],)
    assert difference.added == (new[1],)


def test_gone_and_new_paragraphs_stand_where_they_stood() -> None:
    new = [*OLD[:2], "We charge a fee for returns abroad.", OLD[3], "Ships within a week."]
    difference = compare(OLD, new)
    assert difference is not None
    assert difference.account == (
        "  Refunds are granted within 14 days of purchase.\n"
        "- Opened goods are not taken back.\n"
        "+ We charge a fee for returns abroad.\n"
        "\n"
        "  # Shipping\n"
        "+ Ships within a week."
    )
    assert (difference.words_removed, difference.words_added) == (6, 11)


def test_a_moved_paragraph_is_not_told_beside_a_real_change() -> None:
    difference = compare(OLD, [OLD[2], OLD[0], OLD[1], OLD[3], "New."])
    assert difference is not None
    assert difference.account == "  # Shipping\n+ New."


def test_one_of_two_equal_lines_that_is_gone_is_a_change() -> None:
    difference = compare(["a b", "Read more.", "c d", "Read more."], ["a b", "Read more.", "c d"])
    assert difference is not None
    assert difference.removed == ("Read more.",)


def test_of_a_long_paragraph_only_the_surroundings_of_the_edit_are_shown() -> None:
    words = [f"word{number}x" for number in range(200)]
    new = [*words]
    new[100] = "another"
    difference = compare([" ".join(words)], [" ".join(new)])
    assert difference is not None
    assert "word99x [-word100x-]{+another+} word101x" in difference.account
    assert len(difference.account) < 300


def test_in_a_feed_entries_that_are_gone_are_no_change_by_themselves() -> None:
    assert compare(["a one", "b two"], ["b two"], additions_only=True) is None
    difference = compare(["a one", "b two"], ["c three", "b two"], additions_only=True)
    assert difference is not None
    assert (difference.added, difference.removed, difference.account) == (("c three",), (), "+ c three")
    edited = compare(["a one", "b two"], ["b two or three"], additions_only=True)
    assert edited is not None
    assert edited.account == "~ b two {+or three+}"


def test_an_account_has_a_largest_size_and_says_what_it_leaves_out() -> None:
    difference = compare([], [f"line {number} " + "x" * 400 for number in range(1000)])
    assert difference is not None
    assert len(difference.account) < LONGEST_ACCOUNT + 100
    assert difference.account.endswith("more lines")
    assert len(difference.added) == 1000


def test_pages_of_ten_thousand_lines_that_share_nothing_are_compared_in_linear_time() -> None:
    old, new = ([f"{kind} paragraph {number}" for number in range(10_000)] for kind in ("old", "new"))
    difference = compare(old, new)
    assert difference is not None
    assert difference.words == 60_000


texts = st.lists(st.sampled_from(["a", "b c", "d e f", "Advertisement", "1 view", "A", "g"]), max_size=12)


@given(texts, texts, st.randoms())
def test_a_difference_is_one_in_whatever_order_the_lines_come(old: list[str], new: list[str], chance: Random) -> None:
    shuffled = list(new)
    chance.shuffle(shuffled)
    one, other = compare(old, new), compare(old, shuffled)
    assert (one is None) == (other is None)
    if one and other:
        assert sorted(map(str.lower, one.added)) == sorted(map(str.lower, other.added))
        assert sorted(map(str.lower, one.removed)) == sorted(map(str.lower, other.removed))
    back = compare(new, old)
    assert (back is None) == (one is None)
