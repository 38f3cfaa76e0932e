"""When a task is due, and what next run times its status shows."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduledtask.domain.timetable import InvalidSpecError, next_runs, timetable
from scheduledtask.domain.values import CronJob, Job
from tests.unit.builders import NOON, a_cron_job, a_job, a_task, at

CRON_JOB = a_cron_job()


def shown(
    now: datetime,
    *,
    known: tuple[datetime, ...] = (),
    jobs: tuple[Job, ...] = (),
    cron_job: CronJob | None = CRON_JOB,
    **spec: Any,
) -> list[str]:
    """The next runs of a task as hours and minutes of the day."""
    slots = next_runs(timetable(a_task(**spec), now), cron_job, jobs, known, now)
    return [f"{slot:%H:%M}" for slot in slots]


class TestNextRuns:
    def test_three_slots_are_shown(self) -> None:
        assert shown(at("11:30")) == ["12:00", "13:00", "14:00"]

    def test_the_slot_of_this_moment_is_past(self) -> None:
        assert shown(NOON) == ["13:00", "14:00", "15:00"]

    def test_times_are_utc_whatever_the_zone(self) -> None:
        assert shown(NOON, schedule="30 14 * * *", timeZone="Europe/Berlin")[0] == "13:30"

    def test_every_counts_from_the_last_run_or_the_making_of_the_cron_job(self) -> None:
        fresh = a_cron_job(creation_time=at("11:10"))
        ran = replace(fresh, last_schedule_time=at("11:55"))
        assert shown(NOON, schedule="@every 90m", cron_job=fresh)[0] == "12:40"
        assert shown(NOON, schedule="@every 90m", cron_job=ran)[0] == "13:25"

    @pytest.mark.parametrize("fields", [{"suspend": True}, {"schedule": None}, {"schedule": "0 0 30 2 *"}])
    def test_a_task_that_is_never_due_shows_none(self, fields: dict[str, Any]) -> None:
        assert shown(NOON, **fields) == []

    def test_after_a_pause_the_schedule_goes_on_with_the_slot_at_its_end(self) -> None:
        assert shown(NOON, pauseUntil="2026-11-22T15:00:00Z") == ["15:00", "16:00", "17:00"]
        assert shown(NOON, pauseUntil="2026-11-22T15:00:01Z")[0] == "16:00"

    @pytest.mark.parametrize("schedule", ["0 * * * *", "@every 2562047h", "0 0 29 2 *", "0 0 30 2 *"])
    def test_a_pause_may_last_for_thousands_of_years(self, schedule: str) -> None:
        assert len(shown(NOON, schedule=schedule, pauseUntil="9000-12-31T23:59:59Z")) <= 3


class TestTheSlotThatIsDue:
    """One write of the status for the start of a run and the next times, not two."""

    KNOWN = (NOON, at("13:00"), at("14:00"))
    NEXT = ("13:00", "14:00", "15:00")

    def test_it_stands_until_its_job_is_seen(self) -> None:
        assert shown(at("12:00:29"), known=self.KNOWN) == ["12:00", "13:00", "14:00"]

    def test_its_job_moves_it_on(self) -> None:
        assert shown(at("12:00:05"), known=self.KNOWN, jobs=(a_job(),)) == list(self.NEXT)

    def test_an_older_job_does_not(self) -> None:
        before = a_job(creation_time=at("11:00"))
        assert shown(at("12:00:05"), known=self.KNOWN, jobs=(before,))[0] == "12:00"

    def test_a_manual_job_does_not(self) -> None:
        assert shown(at("12:00:05"), known=self.KNOWN, jobs=(a_job(scheduled_time=None),))[0] == "12:00"

    def test_half_a_minute_moves_it_on(self) -> None:
        assert shown(at("12:00:30"), known=self.KNOWN) == list(self.NEXT)


class TestThePause:
    @pytest.mark.parametrize(
        ("end", "resume_at"),
        [
            ("2026-11-22T15:00:00Z", at("15:00")),
            ("2026-11-22T15:00:00+02:00", at("13:00")),
            ("2026-11-22T12:00:00.9Z", None),
            ("2026-11-22T12:00:01.9Z", at("12:00:01")),
            ("2026-11-22T12:00:00Z", None),
            ("2026-11-22T11:00:00Z", None),
        ],
    )
    def test_it_ends_at_a_whole_second_in_utc(self, end: str, resume_at: datetime | None) -> None:
        table = timetable(a_task(pauseUntil=end), NOON)
        assert table.resume_at == resume_at
        assert table.passes_slots_over == (resume_at is not None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"schedule": "61 * * * *"}, ["spec.schedule", '"61"']),
        ({"schedule": "* * * * * *"}, ["spec.schedule", "five fields"]),
        ({"schedule": ""}, ["spec.schedule"]),
        ({"schedule": "@every 30s"}, ["spec.schedule", "@every 1m"]),
        ({"schedule": "@every 2h", "startingDeadline": "1h"}, ["spec.schedule", "spec.startingDeadline"]),
        ({"schedule": "TZ=UTC 0 * * * *"}, ["spec.schedule", "spec.timeZone"]),
        ({"timeZone": "Europe/Berln"}, ["spec.timeZone", '"Europe/Berln"', "Europe/Berlin"]),
        ({"timeZone": "Local", "schedule": None}, ["spec.timeZone", '"Local"']),
        ({"pauseUntil": "9999-12-31T23:59:59Z"}, ["spec.pauseUntil", "9999", "spec.suspend"]),
    ],
)
def test_what_cannot_be_a_schedule_is_named_with_its_field(fields: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidSpecError) as told:
        timetable(a_task(**fields), NOON)
    for words in named:
        assert words in str(told.value)


def test_a_spec_that_cannot_be_read_says_why() -> None:
    with pytest.raises(InvalidSpecError, match="it is no spec"):
        timetable(replace(a_task(), spec=None, invalid="spec: it is no spec"), NOON)


def test_h_stays_the_same_for_a_task() -> None:
    tables = {timetable(a_task(schedule="H H * * *"), NOON + timedelta(days=day)).resolved for day in range(5)}
    assert len(tables) == 1
