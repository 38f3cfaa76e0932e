"""Which lines are the same line although they differ: what a page says of the moment is no change of it."""

from __future__ import annotations

import re

import pytest

from source_monitor.volatile import key, keys


@pytest.mark.parametrize(
    "line",
    [
        "Last updated: 24 November 2026",
        "Last updated on November 24th, 2026 at 5:59 pm",
        "Page last modified 2026-11-24 17:59:03 UTC",
        "Updated 3 minutes ago",
        "Stand: 24.11.2026",
        "Zuletzt aktualisiert am 24. November 2026 um 17:59 Uhr",
        "Mis à jour le 24 novembre 2026",
        "Monday, 24 November 2026",
        "24/11/2026",
        "Current time: 17:59",
        "Page generated in 0.123 seconds",
        "Page 3 of 10",
        "1,234 views",
        "12 comments",
        "Visitors: 99 120",
        "4 min read",
        "Request ID: 7f3a-99",
        "Served by web-03",
        "Advertisement",
        "Sponsored",
    ],
)
def test_a_line_that_says_only_when_or_how_often_does_not_count(line: str) -> None:
    assert key(line) == ""


@pytest.mark.parametrize(
    "line",
    [
        "Effective from 1 May 2026",
        "Applications must arrive by 31 December 2026.",
        "This policy was last updated on 1 May 2026 to include marketplace sellers.",
        "In 30 days",
        "2026",
        "12:30",
        "9:00–17:00",
        "Friday",
        "Price: 49",
        "Version 3 of 10 May",
        "Views expressed here are personal.",
        "Comments: none",
        "The advertisement of tobacco is prohibited.",
    ],
)
def test_a_line_that_says_something_counts(line: str) -> None:
    assert key(line) == line.lower()


@pytest.mark.parametrize(
    ("label", "counts"),
    [
        ("Effective date:", True),
        ("Deadline", True),
        ("# Valid until", True),
        ("Last updated:", False),
        ("# Terms of service", False),
        (
            "The rules of this shop hold from the day of your purchase until the day on which you give it back to us.",
            False,
        ),
    ],
)
def test_a_date_by_itself_counts_where_the_label_above_it_makes_it_binding(label: str, counts: bool) -> None:
    assert bool(key("1 May 2026", label)) is counts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is Mon, 24 Nov 2026 17:59:12 GMT. Welcome!", "It is Tue, 25 Nov 2026 08:01:00 GMT. Welcome!"),
        ("Build 2026-11-24T17:59:12Z of the handbook", "Build 2026-11-25T08:00:00+01:00 of the handbook"),
        ("Ann wrote this 3 minutes ago", "Ann wrote this 2 days ago"),
        ("© 2024 Example Ltd. All rights reserved.", "© 2026 Example Ltd. All rights reserved."),
        ("Copyright 2019-2024 Example", "Copyright 2019–2026 Example"),
        ("Ticket 0b6f0f4c-8b0a-4d53-9a10-0d8d8d1f1a11 is open", "Ticket 9c1a2b3d-0000-4d53-9a10-0d8d8d1f1aff is open"),
        ("Token 5f4dcc3b5aa765d61d8327deb882cf99 here", "Token 0cc175b9c0f1b6a831c399e269772661 here"),
        ("REFUNDS  within 14 days", "Refunds within 14 days"),
    ],
)
def test_what_is_of_the_moment_inside_a_line_is_left_out_of_its_key(one: str, other: str) -> None:
    assert key(one) == key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Refunds within 14 days", "Refunds within 30 days"),
        ("Orders until 31 December 2026 17:00 count", "Orders until 31 December 2027 17:00 count"),
        ("Founded in 2019", "Founded in 2020"),
        ("Call 0800 123 4567", "Call 0800 123 4568"),
    ],
)
def test_what_a_reader_would_act_on_stays_in_the_key(one: str, other: str) -> None:
    assert key(one) != key(other)


def test_a_source_may_add_what_is_not_compared() -> None:
    assert keys(["Queue length: 4", "Rules"], [re.compile("^Queue")]) == ["", "rules"]


def test_a_line_of_a_megabyte_is_looked_at_in_no_time() -> None:
    assert key("12:12 on 2026 at " * 60_000)
