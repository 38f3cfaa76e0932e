"""What a pause and its end change in a spec."""

from datetime import UTC, datetime
from typing import Any

import pytest

from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.pause import paused

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "fields"),
    [
        ("2h30m", {"suspend": None, "pauseUntil": "2026-11-22T14:30:00Z"}),
        ("48h", {"suspend": None, "pauseUntil": "2026-11-24T12:00:00Z"}),
        ("2026-12-01T00:00:00Z", {"suspend": None, "pauseUntil": "2026-12-01T00:00:00Z"}),
        ("2026-12-01T00:00:00+01:00", {"suspend": None, "pauseUntil": "2026-11-30T23:00:00Z"}),
        (None, {"suspend": True, "pauseUntil": None}),
    ],
)
def test_a_pause_has_an_end_or_is_a_suspension(until: str | None, fields: dict[str, Any]) -> None:
    assert paused(until, "because", NOW) == {**fields, "pauseReason": "because"}


def test_an_earlier_reason_does_not_outlive_its_pause() -> None:
    assert paused("1h", None, NOW)["pauseReason"] is None


@pytest.mark.parametrize(
    ("until", "mend"),
    [
        ("2026-11-22T12:00:00Z", "name a time to come"),
        ("0s", "name a time to come"),
        ("2026-12-01T00:00:00", "End it with Z or an offset"),
        ("2026-12-01", "End it with Z or an offset"),
        ("tomorrow", "write RFC 3339"),
        ("2d", "or a duration such as 90m"),
        ("1.5h", "write hours, minutes and seconds"),
        ("999999h999999h", "write hours, minutes and seconds"),
        ("", "write RFC 3339"),
    ],
)
def test_an_end_that_is_none_is_refused_with_its_mend(until: str, mend: str) -> None:
    with pytest.raises(CommandError) as raised:
        paused(until, None, NOW)
    assert "--until" in str(raised.value)
    assert mend in str(raised.value)
