"""Which sources are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from source_monitor.frequency import not_due, parsed

NOW = datetime(2026, 11, 24, 2, 0, 5, tzinfo=UTC)  # a Tuesday


@pytest.mark.parametrize(
    ("frequency", "last", "due"),
    [
        ("daily", None, True),
        ("daily", datetime(2026, 11, 23, 2, 14, tzinfo=UTC), True),  # less than 24 hours ago, but yesterday
        ("daily", datetime(2026, 11, 23, 23, 59, tzinfo=UTC), True),
        ("daily", datetime(2026, 11, 24, 0, 1, tzinfo=UTC), False),
        ("weekly", datetime(2026, 11, 18, 2, 0, tzinfo=UTC), False),
        ("weekly", datetime(2026, 11, 17, 23, 0, tzinfo=UTC), True),
        ("0 9 * * 1", datetime(2026, 11, 23, 2, 0, tzinfo=UTC), True),  # Monday at nine lies between
        ("0 9 * * 1", datetime(2026, 11, 23, 10, 0, tzinfo=UTC), False),
        ("0 9 * * 3", datetime(2026, 11, 20, 2, 0, tzinfo=UTC), False),
        ("0 2 * * *", datetime(2026, 11, 23, 2, 0, 5, tzinfo=UTC), True),
        ("0 0 29 2 *", datetime(2026, 11, 23, 2, 0, tzinfo=UTC), False),
    ],
)
def test_due(frequency: str, last: datetime | None, due: bool) -> None:
    assert (not_due(frequency, last, NOW) is None) is due


def test_days_are_those_of_utc_wherever_the_times_come_from() -> None:
    eastern = timezone(timedelta(hours=9))
    assert not_due("daily", datetime(2026, 11, 24, 8, 0, tzinfo=eastern), NOW) is None


def test_the_reason_says_how_often_and_when_it_was_read() -> None:
    assert not_due("daily", NOW, NOW) == "not due: daily, last read 2026-11-24 02:00 UTC"


@pytest.mark.parametrize("text", ["Daily", " weekly ", "0 6  * * 1", "*/15 * * * *", "0 0 L * *"])
def test_a_frequency_has_one_spelling(text: str) -> None:
    assert parsed(text) == parsed(parsed(text))


@pytest.mark.parametrize("text", ["", "hourly", "* * * *", "0 0 0 * * *", "61 * * * *", "0 0 31 2 *", "0 0 30 2 1-"])
def test_what_is_no_frequency_is_named_with_the_mend(text: str) -> None:
    with pytest.raises(ValueError, match="is not a frequency"):
        parsed(text)
