"""When a task is due: its schedule with H resolved, its time zone, and whether it is suspended or paused."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask.domain import schedule
from scheduledtask.domain.cron import Schedule, ScheduleError
from scheduledtask.domain.values import CronJob, Job, Task

NEXT_RUNS_SHOWN = 3
LAST_YEAR = 9000
"""Of a pause. Python's calendar ends with 9999, and slots after the pause are to be told."""
SLOT_GRACE = timedelta(seconds=30)
"""How long after a slot its Job is awaited before the next run times move on without it: the status that is written
for the start of the run carries them too, and one write is better than two."""

Answer = TypeVar("Answer")


class InvalidSpecError(ValueError):
    """The spec can't be carried out; the message names the field, the value and the mend."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """What the schedule of a spec comes to at one moment. `schedule` is None for a task on demand."""

    spec: ScheduledTaskSpec
    resolved: str | None
    schedule: Schedule | None
    zone: ZoneInfo
    suspended: bool
    resume_at: datetime | None
    """When a pause ends, a UTC time in whole seconds; None where there is none."""

    @property
    def passes_slots_over(self) -> bool:
        return self.suspended or self.resume_at is not None


def timetable(task: Task, now: datetime) -> Timetable:
    """Read the schedule of a task. Raises InvalidSpecError."""
    spec = task.spec
    if spec is None:
        raise InvalidSpecError(task.invalid or "The spec can't be read.")
    zone = _of_field("spec.timeZone", lambda: schedule.zone(spec.time_zone))
    if spec.pause_until and spec.pause_until.year > LAST_YEAR:
        raise InvalidSpecError(
            f"spec.pauseUntil: {spec.pause_until.isoformat()} is too far away; to stop for good, set spec.suspend: true"
        )
    pause_end = spec.pause_until.astimezone(UTC).replace(microsecond=0) if spec.pause_until else now
    resume_at = pause_end if now < pause_end else None
    text = spec.schedule
    if text is None:
        return Timetable(spec, None, None, zone, spec.suspend, resume_at)
    resolved = _of_field("spec.schedule", lambda: schedule.resolve(text, task.key.namespace, task.key.name))
    parsed = _of_field("spec.schedule", lambda: schedule.validate(resolved, spec.starting_deadline))
    return Timetable(spec, resolved, parsed, zone, spec.suspend, resume_at)


def next_runs(
    table: Timetable, cron_job: CronJob | None, jobs: tuple[Job, ...], known: tuple[datetime, ...], now: datetime
) -> tuple[datetime, ...]:
    """The next slots. `known` are those written before: they stand for a while after the first of them is due, until
    its Job is seen."""
    if table.schedule is None or table.suspended:
        return ()
    if table.resume_at:
        just_before = table.resume_at - timedelta(seconds=1)
        return schedule.upcoming(table.schedule, table.zone, just_before, NEXT_RUNS_SHOWN, anchor=table.resume_at)
    anchor = (cron_job.last_schedule_time or cron_job.creation_time) if cron_job else now
    after = now
    if known and known[0] <= now < known[0] + SLOT_GRACE and not any(_is_of_slot(job, known[0]) for job in jobs):
        after = known[0] - timedelta(seconds=1)
    return schedule.upcoming(table.schedule, table.zone, after, NEXT_RUNS_SHOWN, anchor=anchor)


def next_slot_after(table: Timetable | None, moment: datetime) -> datetime | None:
    """The first slot after a moment at which a run will start; None while slots are passed over."""
    if table is None or table.schedule is None or table.passes_slots_over:
        return None
    return next(iter(schedule.upcoming(table.schedule, table.zone, moment, 1)), None)


def _is_of_slot(job: Job, slot: datetime) -> bool:
    return job.scheduled_time is not None and job.scheduled_time >= slot


def _of_field(field: str, read: Callable[[], Answer]) -> Answer:
    try:
        return read()
    except ScheduleError as error:
        raise InvalidSpecError(f"{field}: {error}") from error
