"""What tasks may say about when they run, and the slots that follow from it."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scheduledtask.domain.cron import ScheduleError, parse
from scheduledtask.domain.schedule import (
    latest_slot,
    resolve,
    slot_name_minutes,
    slots_after,
    upcoming,
    validate,
    zone,
)

UTC_ZONE = ZoneInfo("UTC")
ALL_ZONES = sorted(available_timezones())
NAMES = [f"task-{number}" for number in range(500)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestH:
    def test_one_task_keeps_its_place(self) -> None:
        assert resolve("H H * * *", "match-history", "refresh-history-index") == "54 1 * * *"

    def test_two_tasks_spread(self) -> None:
        minutes = Counter(resolve("H * * * *", "match-history", name) for name in NAMES)
        assert len(minutes) == 60
        assert max(minutes.values()) < 25, "500 tasks over 60 minutes: 8 to a minute, give or take"

    def test_the_namespace_counts_as_well_as_the_name(self) -> None:
        resolved = {resolve("H H * * *", namespace, "report") for namespace in ("a", "b", "c", "d", "e")}
        assert len(resolved) > 1

    def test_the_fields_of_a_task_are_independent(self) -> None:
        minutes_at_midnight = {resolve("H * * * *", "ns", name).split()[0] for name in NAMES if hour_of(name) == "0"}
        assert len(minutes_at_midnight) > 5, "tasks that share an hour do not share the minute"

    @pytest.mark.parametrize(
        ("expression", "values"),
        [
            ("H * * * *", set(range(60))),
            ("H(10-14) * * * *", set(range(10, 15))),
            ("H(5-5) * * * *", {5}),
        ],
    )
    def test_h_is_one_value_of_its_range(self, expression: str, values: set[int]) -> None:
        assert {int(resolve(expression, "ns", name).split()[0]) for name in NAMES} == values

    @pytest.mark.parametrize(
        ("expression", "offsets", "end"),
        [("H/15 * * * *", range(15), "59/15"), ("H(30-49)/10 * * * *", range(30, 40), "49/10")],
    )
    def test_h_with_a_step_begins_within_the_first_step(self, expression: str, offsets: range, end: str) -> None:
        expected = {f"{offset}-{end} * * * *" for offset in offsets}
        assert {resolve(expression, "ns", name) for name in NAMES} == expected

    def test_h_for_a_day_of_the_month_is_a_day_that_every_month_has(self) -> None:
        assert {int(resolve("0 0 H * *", "ns", name).split()[2]) for name in NAMES} == set(range(1, 29))
        assert {resolve("0 0 H/14 * *", "ns", name) for name in NAMES} == {f"0 0 {d}-28/14 * *" for d in range(1, 15)}

    def test_h_stands_in_any_field_and_in_lists(self) -> None:
        minute, hour, day, month, weekday = resolve("0,H(30-59) H H H H", "ns", "name").split()
        assert minute.startswith("0,")
        assert int(hour) < 24
        assert 1 <= int(day) <= 28
        assert 1 <= int(month) <= 12
        assert int(weekday) < 7

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("H(0-70) * * * *", 'minute "H(0-70)": the range of H lies within 0-59, lower end first'),
            ("* H(9-5) * * *", 'hour "H(9-5)": the range of H lies within 0-23'),
            ("0 0 H(1-31) * *", 'day of month "H(1-31)": the range of H lies within 1-28'),
            ("H/0 * * * *", 'minute "H/0": the step of 0-59 is 1 to 60'),
            ("H(0-9)/11 * * * *", 'minute "H(0-9)/11": the step of 0-9 is 1 to 10'),
            ("H-5 * * * *", 'minute "H-5": write H, H/15, H(0-29) or H(0-29)/10'),
            ("0 0 * * HAPPY", 'day of week "HAPPY": write H'),
        ],
    )
    def test_a_wrong_h_is_refused_with_the_mend(self, expression: str, message: str) -> None:
        with pytest.raises(ScheduleError) as refusal:
            resolve(expression, "ns", "name")
        assert message in str(refusal.value)

    @pytest.mark.parametrize(
        ("expression", "resolved"),
        [
            ("0 0 * MAR THU", "0 0 * MAR THU"),
            ("  */5\t*   * * *\n", "*/5 * * * *"),
            ("@hourly\n", "@hourly"),
            ("@every  90m", "@every 90m"),
            ("0 0 12 * * *", "0 0 12 * * *"),
            ("", ""),
        ],
    )
    def test_without_an_h_only_white_space_changes(self, expression: str, resolved: str) -> None:
        assert resolve(expression, "ns", "name") == resolved

    @given(
        st.tuples(*[st.sampled_from(["H", "H/2", "H(2-5)", "H(1-6)/3", "*", "2,H"])] * 5).map(" ".join),
        st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1),
    )
    def test_every_resolved_expression_is_a_schedule(self, expression: str, name: str) -> None:
        resolved = resolve(expression, "ns", name)
        assert "H" not in resolved
        assert resolve(expression, "ns", name) == resolved
        assert validate(resolved).next_after(at("2026-01-01"), UTC_ZONE) is not None


def hour_of(name: str) -> str:
    return resolve("* H * * *", "ns", name).split()[1]


class TestRules:
    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("TZ=Europe/Berlin 0 5 * * *", "TZ and CRON_TZ are not allowed here; use spec.timeZone"),
            ("CRON_TZ=Europe/Berlin 0 5 * * *", "use spec.timeZone"),
            ("*-TZ * * * *", "use spec.timeZone"),
            ("@every 59s", 'schedule "@every 59s": slots are a minute apart at least; write @every 1m or more'),
            ("@every 59.999s", "write @every 1m or more"),
            ("@every -5m", "write @every 1m or more"),
            ("@reboot", "the words that Kubernetes knows are"),
        ],
    )
    def test_what_kubernetes_refuses_is_refused(self, expression: str, message: str) -> None:
        with pytest.raises(ScheduleError, match="schedule") as refusal:
            validate(expression)
        assert message in str(refusal.value)

    @pytest.mark.parametrize("expression", ["@every 1m", "@every 90s", "@every 100h", "0 0 30 2 *", "@daily"])
    def test_what_kubernetes_runs_is_taken(self, expression: str) -> None:
        assert validate(expression) == parse(expression)

    def test_every_needs_a_starting_deadline_that_is_no_shorter(self) -> None:
        validate("@every 90m", timedelta(minutes=90))
        validate("0 * * * *", timedelta(seconds=10))
        with pytest.raises(ScheduleError, match="never starts it with a starting deadline below 5400 seconds"):
            validate("@every 90m", timedelta(minutes=5))


class TestZones:
    def test_a_zone_is_known_by_its_name(self) -> None:
        assert zone("America/Argentina/Buenos_Aires").key == "America/Argentina/Buenos_Aires"
        assert zone("Etc/GMT+2").key == "Etc/GMT+2"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("Europe/Zürich", 'time zone "Europe/Zürich": not in the time zone database; did you mean Europe/Zurich?'),
            ("europe/berlin", "did you mean Europe/Berlin?"),
            ("Berlin", "did you mean Europe/Berlin?"),
            ("America/New York", "did you mean America/New_York?"),
            ("Europe/Berlin ", "did you mean Europe/Berlin?"),
            ("Asia/Calcuta", "Asia/Calcutta"),
            ("Europe", "not in the time zone database"),
            ("Mars/Phobos", "name one like Etc/UTC or Europe/Berlin"),
            ("Europe//Berlin", "not in the time zone database"),
            ("../UTC", "not in the time zone database"),
            ("/etc/localtime", "not in the time zone database"),
            ("Local", "name a zone of the time zone database"),
            ("local", "name a zone of the time zone database"),
            ("", "name a zone of the time zone database"),
        ],
    )
    def test_an_unknown_zone_is_refused_with_the_closest_names(self, name: str, message: str) -> None:
        with pytest.raises(ScheduleError) as refusal:
            zone(name)
        assert message in str(refusal.value)


class TestSlots:
    def test_upcoming_slots_follow_one_another(self) -> None:
        slots = upcoming(parse("0 9 * * 1-5"), zone("Europe/Berlin"), at("2026-03-27T12:00"), 2)
        assert slots == (at("2026-03-30T07:00"), at("2026-03-31T07:00"))

    def test_a_schedule_that_never_comes_has_none(self) -> None:
        assert upcoming(parse("0 0 30 2 *"), UTC_ZONE, at("2026-01-01"), 3) == ()
        assert latest_slot(parse("0 0 30 2 *"), UTC_ZONE, at("2020-01-01"), at("2026-01-01")) is None

    def test_every_counts_from_its_anchor(self) -> None:
        created = at("2026-01-01T10:00:37")
        slots = upcoming(parse("@every 90s"), UTC_ZONE, at("2026-01-01T10:03:37"), 2, anchor=created)
        assert slots == (at("2026-01-01T10:05:07"), at("2026-01-01T10:06:37"))
        assert latest_slot(parse("@every 90s"), UTC_ZONE, created, at("2026-01-01T10:03:36"), anchor=created) == at(
            "2026-01-01T10:02:07"
        )

    def test_the_anchor_itself_is_no_slot(self) -> None:
        created = at("2026-01-01T10:00:00")
        early = created - timedelta(hours=1)
        assert upcoming(parse("@every 1h"), UTC_ZONE, early, 1, anchor=created) == (created + timedelta(hours=1),)
        assert latest_slot(parse("@every 1h"), UTC_ZONE, early, created, anchor=created) is None

    @pytest.mark.parametrize(
        ("expression", "after", "until", "latest"),
        [
            pytest.param("*/5 * * * *", "2026-01-01T10:00", "2026-01-01T10:04", None, id="none yet"),
            pytest.param(
                "*/5 * * * *", "2026-01-01T10:00", "2026-01-01T10:05", "2026-01-01T10:05", id="the end counts"
            ),
            # Where Kubernetes' estimate overshoots and finds none:
            pytest.param("0 9-17 * * 1-5", "2026-01-02T15:00", "2026-01-04T12:00", "2026-01-02T17:00", id="a weekend"),
            pytest.param("*/5 9-16 * * *", "2026-01-01T16:40", "2026-01-01T23:02", "2026-01-01T16:55", id="a night"),
        ],
    )
    def test_the_latest_slot_is_exact(self, expression: str, after: str, until: str, latest: str | None) -> None:
        found = latest_slot(parse(expression), UTC_ZONE, at(after), at(until))
        assert found == (at(latest) if latest else None)

    @pytest.mark.parametrize("expression", ["* * * * *", "*/2 0-22 * * 1-5", "@every 1m"])
    def test_the_latest_slot_of_twenty_years_is_found_at_once(self, expression: str) -> None:
        began = time.process_time()
        found = latest_slot(parse(expression), zone("Pacific/Auckland"), at("2006-01-01"), at("2026-01-07T05:00:30"))
        assert found == at("2026-01-07T05:00")
        assert time.process_time() - began < 5, "walking ten million slots takes a minute"

    @given(
        st.sampled_from(
            ["*/7 * * * *", "30 */2 * * *", "0 2 * * *", "15 0,1,23 * * 0", "*/30 1-3 1,15,28-31 * *", "0 0 * * 1-5"]
        ),
        st.sampled_from(ALL_ZONES),
        st.datetimes(datetime(1996, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        st.timedeltas(timedelta(0), timedelta(days=15)),
    )
    @example("0 2 * * *", "Australia/Lord_Howe", at("2025-04-04T00:00"), timedelta(days=3))
    @example("0 0 5 * *", "Australia/Lord_Howe", at("2026-04-01T00:00"), timedelta(days=70))
    @example("*/7 * * * *", "America/Sao_Paulo", at("2018-11-03T00:00"), timedelta(days=2))
    @example("0 0 * * 1-5", "Asia/Beirut", at("2024-03-29T00:00"), timedelta(days=5))
    def test_the_latest_slot_is_the_last_of_a_walk(
        self, expression: str, name: str, after: datetime, span: timedelta
    ) -> None:
        schedule, until = parse(expression), after + span
        last = None
        for slot in slots_after(schedule, ZoneInfo(name), after):
            if slot > until:
                break
            last = slot
        assert latest_slot(schedule, ZoneInfo(name), after, until) == last

    @given(
        st.integers(60, 10_000),
        st.datetimes(datetime(2020, 1, 1), datetime(2021, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        st.timedeltas(timedelta(days=-1), timedelta(days=1)),
        st.timedeltas(timedelta(0), timedelta(days=1)),
    )
    def test_so_it_is_with_every(self, delay: int, anchor: datetime, begin: timedelta, span: timedelta) -> None:
        schedule, after = validate(f"@every {delay}s"), anchor + begin
        walk = [anchor.replace(microsecond=0) + timedelta(seconds=delay * k) for k in range(1, 3000)]
        due = [slot for slot in walk if after < slot <= after + span]
        assert latest_slot(schedule, UTC_ZONE, after, after + span, anchor) == (due[-1] if due else None)
        assert list(upcoming(schedule, UTC_ZONE, after, len(due), anchor)) == due
        assert len({slot_name_minutes(slot) for slot in due}) == len(due), "each slot has a name of its own"

    def test_a_slot_is_named_by_its_unix_minute(self) -> None:
        assert slot_name_minutes(at("1970-01-01T01:00:59")) == 60
        assert slot_name_minutes(at("2026-11-22T12:00")) == 29_922_480
