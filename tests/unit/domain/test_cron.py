"""What an expression means and when it is due. The reference test in tests/contract compares far more cases."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.domain.cron import Schedule, ScheduleError, duration_nanoseconds, parse
from scheduledtask.domain.cron_schedule import EverySchedule

UTC_ZONE = ZoneInfo("UTC")
ALL_ZONES = sorted(available_timezones())
# In these zones clocks go forward and back by whole hours, and away from midnight.
PLAIN_ZONES = ["UTC", "Asia/Kathmandu", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Australia/Adelaide"]
MINUTE = timedelta(minutes=1)


def at(text: str, zone: str = "UTC") -> datetime:
    """The moment of a local time that exists once."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def walk(schedule: Schedule, zone: str, after: datetime, count: int) -> list[str]:
    """The next slots as local times with their offset from UTC."""
    slots: list[str] = []
    for _ in range(count):
        slot = schedule.next_after(after, ZoneInfo(zone))
        if slot is None:
            return [*slots, "never"]
        slots.append(slot.astimezone(ZoneInfo(zone)).strftime("%a %d %b %Y %H:%M %z"))
        after = slot
    return slots


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("61 * * * *", 'minute "61": 0–59 is allowed'),
        ("* 24 * * *", 'hour "24": 0–23 is allowed'),
        ("* * 0 * *", 'day of month "0": 1–31 is allowed'),
        ("* * * 13 *", 'month "13": 1–12 or JAN–DEC is allowed'),
        ("* * * * 7", 'day of week "7": 0–6 (Sunday is 0) or SUN–SAT is allowed'),
        ("0,15,75 * * * *", 'minute "75": 0–59 is allowed'),
        ("20-10 * * * *", 'minute "20-10": the range runs backwards; write 10-20, or two ranges with a comma between'),
        ("0 0 * * fri-mon", 'day of week "fri-mon": the range runs backwards'),
        ("*/0 * * * *", 'minute "*/0": the step after the slash is a whole number from 1, like */5'),
        ("1/2/3 * * * *", 'minute "1/2/3": one step at most'),
        ("1-2-3 * * * *", 'minute "1-2-3": a range is two values joined by one hyphen'),
        ("five * * * *", 'minute "five": 0–59 is allowed, and *, lists (a,b), ranges (a-b) and steps (*/n) of them'),
        ("0 0 * january *", 'month "january": 1–12 or JAN–DEC is allowed, and'),
        (
            "* * * *",
            'schedule "* * * *": five fields are needed (minute, hour, day of month, month, day of week), and 4',
        ),
        ("0 0 12 * * *", "and 6 were given"),
        ("", "and 0 were given"),
        ("@reboot", 'schedule "@reboot": the words that Kubernetes knows are @yearly, @annually, @monthly'),
        ("@every", "@every <duration>"),
        ("@every 90", 'duration "90": write numbers with units, like 90m, 1h30m or 1.5h'),
        ("@every 1d", 'duration "1d": write numbers with units'),
        ("TZ=Mars/Phobos * * * * *", 'time zone "Mars/Phobos": not in the time zone database'),
        ("TZ=UTC", 'schedule "TZ=UTC": the five fields are missing'),
    ],
)
def test_a_refusal_names_the_field_the_value_and_the_mend(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse(expression)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("expression", "same_as"),
    [
        ("@hourly", "0 * * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@annually", "0 0 1 1 *"),
        ("? ? ? ? ?", "* * * * *"),
        ("\t0\v0\f1 * *\n", "0 0 1 * *"),
        ("0 0 * JAN,feb MoN-FRI", "0 0 * 1,2 1-5"),
        ("10/20 * * * *", "10,30,50 * * * *"),
        ("10-35/20 * * * *", "10,30 * * * *"),
        ("1,,2 * * * *", "1,2 * * * *"),
        ("*/100 * * * *", "0 * * * *"),
        ("+5 * * * *", "05 * * * *"),
        ("@every 1h30m", "@every 1.5h"),
        ("@every -1h", "@every 100ms"),
        ("@every 90.999s", "@every 1m30s"),
    ],
)
def test_two_spellings_of_one_schedule_are_equal_values(expression: str, same_as: str) -> None:
    assert parse(expression) == parse(same_as)


def test_every_rounds_up_to_a_second_and_down_to_whole_seconds() -> None:
    assert parse("@every 100ms") == EverySchedule(delay=1)
    assert parse("@every 1m30.9s") == EverySchedule(delay=90)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("-0", 0), ("1h1m1s1ms1us1ns", 3_661_001_001_001), (".5µs", 500), ("-1.5h", -5_400_000_000_000)],
)
def test_durations_are_those_of_go(text: str, nanoseconds: int) -> None:
    assert duration_nanoseconds(text) == nanoseconds


@pytest.mark.parametrize(
    ("expression", "after", "slots"),
    [
        ("0 0 29 2 *", "2025-01-01T00:00", ["Tue 29 Feb 2028 00:00 +0000", "Sun 29 Feb 2032 00:00 +0000"]),
        ("0 0 30 2 *", "2025-01-01T00:00", ["never"]),
        ("0 0 29 2 *", "2097-01-01T00:00", ["never"]),  # 2100 is no leap year, and 2104 is more than five years off
        ("0 0 13 * 5", "2026-01-01T00:00", ["Fri 02 Jan 2026 00:00 +0000", "Fri 09 Jan 2026 00:00 +0000"]),
        ("0 0 13 * *", "2026-01-01T00:00", ["Tue 13 Jan 2026 00:00 +0000", "Fri 13 Feb 2026 00:00 +0000"]),
        ("0 0 13 * */1", "2026-01-01T00:00", ["Tue 13 Jan 2026 00:00 +0000", "Fri 13 Feb 2026 00:00 +0000"]),
        ("0 0 13 * */2", "2026-01-09T00:00", ["Sat 10 Jan 2026 00:00 +0000", "Sun 11 Jan 2026 00:00 +0000"]),
        ("0 0 */2 * 1", "2026-01-01T00:00", ["Sat 03 Jan 2026 00:00 +0000", "Mon 05 Jan 2026 00:00 +0000"]),
        (", * * * *", "2026-01-01T00:00", ["never"]),
        ("59 23 31 12 *", "2026-12-31T23:59", ["Fri 31 Dec 2027 23:59 +0000"]),
    ],
)
def test_months_days_and_weekdays(expression: str, after: str, slots: list[str]) -> None:
    assert walk(parse(expression), "UTC", at(after), len(slots)) == slots


@pytest.mark.parametrize(
    ("expression", "zone", "after", "slots"),
    [
        pytest.param(
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00",
            ["Mon 09 Mar 2026 02:30 -0400"],
            id="a skipped local time has no slot that day",
        ),
        pytest.param(
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00",
            ["Sun 01 Nov 2026 01:30 -0400", "Sun 01 Nov 2026 01:30 -0500", "Mon 02 Nov 2026 01:30 -0500"],
            id="a repeated local time has two",
        ),
        pytest.param(
            "15 5 * * *", "Asia/Kathmandu", "2026-01-01T00:00", ["Thu 01 Jan 2026 05:15 +0545"], id="an odd offset"
        ),
        pytest.param(
            "0 2 * * *",
            "Australia/Lord_Howe",
            "2025-04-05T12:00",
            ["Mon 07 Apr 2025 02:00 +1030"],
            id="half an hour back: the full hour right after it is missed",
        ),
        pytest.param(
            "0 6 * * 0",
            "Asia/Beirut",
            "2024-03-25T12:00",
            ["Sun 07 Apr 2024 06:00 +0300"],
            id="no midnight, east of Greenwich: the whole day is missed",
        ),
        pytest.param(
            "30 1 3 11 *",
            "America/Sao_Paulo",
            "2018-11-03T12:00",
            ["Sun 04 Nov 2018 01:30 -0200"],
            id="no midnight: the hours run on into a day that was not asked for",
        ),
        pytest.param(
            "0 12 * * *",
            "Pacific/Apia",
            "2011-12-29T00:00",
            ["Thu 29 Dec 2011 12:00 -1000", "Sat 31 Dec 2011 12:00 +1400"],
            id="a day left out",
        ),
    ],
)
def test_clock_changes_are_met_as_robfig_cron_meets_them(
    expression: str, zone: str, after: str, slots: list[str]
) -> None:
    assert walk(parse(expression), zone, at(after, zone), len(slots)) == slots


def test_where_robfig_cron_would_search_for_ever_there_is_no_slot() -> None:
    assert walk(parse("0 12 * * 1"), "Pacific/Apia", at("2011-12-28T00:00"), 1) == ["never"]


def test_where_robfig_cron_would_answer_with_the_same_slot_again_there_is_no_further_one() -> None:
    slots = walk(parse("30 0 * * *"), "America/St_Johns", at("2010-11-06T12:00"), 2)
    assert slots == ["Sat 06 Nov 2010 23:30 -0330", "never"]


def test_the_zone_of_a_prefix_goes_first() -> None:
    assert parse("TZ=Asia/Tokyo 0 9 * * *").next_after(at("2026-01-01T00:00"), ZoneInfo("Europe/Berlin")) == at(
        "2026-01-02T00:00"
    )


def test_fractions_of_a_second_never_bring_a_slot_twice() -> None:
    slot = at("2026-01-01T10:00")
    assert parse("0 * * * *").next_after(slot - timedelta(microseconds=1), UTC_ZONE) == slot
    assert parse("0 * * * *").next_after(slot + timedelta(microseconds=1), UTC_ZONE) == slot + timedelta(hours=1)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        parse("* * * * *").next_after(datetime(2026, 1, 1), UTC_ZONE)  # noqa: DTZ001


moments = st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def values(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.lists(st.integers(low, high), min_size=1, max_size=4).map(lambda some: ",".join(map(str, some)))
    return st.just("*") | numbers | st.integers(1, high).map(lambda step: f"*/{step}")


expressions = st.tuples(values(0, 59), values(0, 23), values(1, 31), values(1, 12), values(0, 6)).map(" ".join)


@given(expressions, st.sampled_from(ALL_ZONES), moments)
def test_the_next_slot_is_a_whole_minute_later_than_the_moment(expression: str, zone: str, moment: datetime) -> None:
    slot = parse(expression).next_after(moment, ZoneInfo(zone))
    assert slot is None or (slot > moment and slot.astimezone(ZoneInfo(zone)).second == 0)


@given(expressions, st.sampled_from(PLAIN_ZONES), moments)
def test_the_next_slot_matches_every_field_in_local_time(expression: str, zone: str, moment: datetime) -> None:
    slot = parse(expression).next_after(moment, ZoneInfo(zone))
    assert slot is None or matches(expression, slot.astimezone(ZoneInfo(zone)))


@given(
    st.tuples(values(0, 59), values(0, 23), st.just("*"), st.just("*"), st.just("*")).map(" ".join),
    st.sampled_from(PLAIN_ZONES),
    moments,
)
def test_no_matching_minute_is_passed_over(expression: str, zone: str, moment: datetime) -> None:
    slot = parse(expression).next_after(moment, ZoneInfo(zone))
    assert slot is not None
    minute = moment.replace(second=0, microsecond=0) + MINUTE
    while minute < min(slot, moment + timedelta(days=2)):
        assert not matches(expression, minute.astimezone(ZoneInfo(zone)))
        minute += MINUTE


@given(expressions, st.sampled_from(PLAIN_ZONES), moments, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_a_later_moment_has_no_earlier_slot(expression: str, zone: str, moment: datetime, later: timedelta) -> None:
    schedule = parse(expression)
    first = schedule.next_after(moment, ZoneInfo(zone))
    second = schedule.next_after(moment + later, ZoneInfo(zone))
    assert first is None or second is None or first <= second


def matches(expression: str, local: datetime) -> bool:
    """The rules of cron in their plainest form, for expressions of stars, lists and stepped stars."""
    fields = expression.split()
    minute, hour, day, month, weekday = (
        field == "*" or any(_covers(item, value, lowest) for item in field.split(","))
        for field, value, lowest in zip(
            fields,
            (local.minute, local.hour, local.day, local.month, local.isoweekday() % 7),
            (0, 0, 1, 1, 0),
            strict=True,
        )
    )
    either = not {"*", "*/1"} & {fields[2], fields[4]}
    return minute and hour and month and ((day or weekday) if either else (day and weekday))


def _covers(item: str, value: int, lowest: int) -> bool:
    return (value - lowest) % int(item[2:]) == 0 if item.startswith("*/") else value == int(item)
