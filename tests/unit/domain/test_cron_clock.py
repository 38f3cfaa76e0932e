"""Local clocks as Go reads and sets them."""

import struct
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.domain.cron_clock import Clock

DAY = 86_400
ZONE_FILES = Path(str(files("tzdata"))) / "zoneinfo"


@given(st.sampled_from(sorted(available_timezones())), st.integers(0, 2**32))
def test_local_time_is_that_of_zoneinfo(zone: str, unix: int) -> None:
    clock = Clock(ZoneInfo(zone))
    assert clock.local(unix) == datetime.fromtimestamp(unix, ZoneInfo(zone)).replace(tzinfo=None)
    assert clock.start <= unix < clock.end
    ends = (clock.start, clock.end - 1)
    assert {datetime.fromtimestamp(end, ZoneInfo(zone)).utcoffset() for end in ends} == {
        timedelta(seconds=clock.offset(unix))
    }


@given(st.sampled_from(sorted(available_timezones())), st.integers(0, 2**32))
def test_a_local_time_that_exists_once_is_set_as_read(zone: str, unix: int) -> None:
    clock = Clock(ZoneInfo(zone))
    local = clock.local(unix)
    twice = (
        local.replace(fold=0, tzinfo=ZoneInfo(zone)).utcoffset()
        != local.replace(fold=1, tzinfo=ZoneInfo(zone)).utcoffset()
    )
    assert twice or clock.instant(local) == unix


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        pytest.param("America/New_York", "2026-03-08T02:30", "2026-03-08T06:30", id="skipped, west: 01:30"),
        pytest.param("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:30", id="skipped, east: 03:30"),
        pytest.param("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30", id="repeated, west: the first"),
        pytest.param("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T01:30", id="repeated, east: the second"),
        pytest.param("Pacific/Apia", "2011-12-30T00:00", "2011-12-29T10:00", id="a day left out: 29 December"),
    ],
)
def test_a_local_time_that_was_skipped_or_repeated_is_set_as_go_does(zone: str, local: str, instant: str) -> None:
    expected = datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp()
    assert Clock(ZoneInfo(zone)).instant(datetime.fromisoformat(local)) == expected


def test_no_zone_changes_its_offset_twice_within_six_days() -> None:
    """The distance of the samples by which changes of offset are found rests on this."""
    closest = {
        path.relative_to(ZONE_FILES): min(later - change for change, later in pairwise(changes))
        for path in ZONE_FILES.rglob("*")
        if path.is_file() and path.read_bytes()[:4] == b"TZif" and len(changes := changes_of_offset(path)) > 1
    }
    assert len(closest) > 400
    assert min(closest.values()) > 6 * DAY


def changes_of_offset(path: Path) -> list[int]:
    """The unix seconds at which a zone file (RFC 8536) changes its offset. (Rules in its footer are months apart.)"""
    data = path.read_bytes()
    _, _, leaps, times, types, letters = struct.unpack_from(">6l", data, 20)
    header = 44 + times * 5 + types * 6 + letters + leaps * 8 + sum(struct.unpack_from(">2l", data, 20))
    *_, times, types, _ = struct.unpack_from(">6l", data, header + 20)
    body = header + 44
    moments = struct.unpack_from(f">{times}q", data, body)
    kinds = data[body + 8 * times : body + 9 * times]
    offsets = [struct.unpack_from(">l", data, body + 9 * times + 6 * kind)[0] for kind in range(types)]
    return [
        moment
        for moment, before, after in zip(moments, [0, *kinds], kinds, strict=False)
        if offsets[before] != offsets[after]
    ]
