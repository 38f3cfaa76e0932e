"""Which CronJob a task has to have, and whether the live one is it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from scheduledtask.api.status import AppliedCronJob
from scheduledtask.domain.conditions import READY, find
from scheduledtask.domain.cron_schedule import EverySchedule
from scheduledtask.domain.readiness import PAUSED
from scheduledtask.domain.schedule import latest_slot
from scheduledtask.domain.shape import cron_job_body, digest_of
from scheduledtask.domain.timetable import InvalidSpecError, Timetable
from scheduledtask.domain.values import CronJob, Snapshot


@dataclass(frozen=True, slots=True)
class ApplyCronJob:
    """Apply this CronJob. `fence`: before that, tell the CronJob controller that slots up to then are dealt with."""

    body: dict[str, Any]
    digest: str
    fence: datetime | None


def cron_job_to_apply(snapshot: Snapshot, table: Timetable, now: datetime) -> ApplyCronJob | None:
    """The CronJob to apply, unless the live one is as it was last applied and that is what the spec asks for."""
    task, live = snapshot.task, snapshot.cron_job
    try:
        body = cron_job_body(task, table.spec, table.resolved, table.passes_slots_over)
    except (AttributeError, TypeError) as error:
        raise InvalidSpecError(f"spec.template: it is no PodTemplateSpec ({error})") from error
    digest = digest_of(body)
    if live is None:
        return ApplyCronJob(body, digest, None)
    right = AppliedCronJob(uid=live.uid, generation=live.generation, digest=digest)
    if snapshot.applied == right and live.owner_uid == task.uid and live.task_label == task.key.name:
        return None
    return ApplyCronJob(body, digest, _fence(snapshot, live, table, body, now))


def _fence(snapshot: Snapshot, live: CronJob, table: Timetable, body: dict[str, Any], now: datetime) -> datetime | None:
    """Up to when slots are to be passed over, lest the CronJob controller starts one of the past.

    It starts the latest slot since its last one, by the schedule it finds, also one that lies before the edit of the
    schedule or before the end of a suspension. A pause ends when the spec says, however late that is noticed.
    """
    spec = body["spec"]
    asked = (spec["schedule"], spec["timeZone"])
    account = snapshot.task.status.slots
    rescheduled = (live.schedule, live.time_zone) != asked or (
        account is not None and (account.schedule, account.time_zone) != asked
    )
    if spec["suspend"] or not (live.suspended or rescheduled):
        return None
    before = find(snapshot.task.status.conditions, READY)
    pause_end = snapshot.task.spec.pause_until if snapshot.task.spec else None
    if pause_end and before and before.reason == PAUSED and not rescheduled:
        fence = min(now, pause_end.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=1))
    else:
        fence = now
    if isinstance(table.schedule, EverySchedule) and not rescheduled:
        # It counts from here on: the slots stay where they were.
        last = live.last_schedule_time or live.creation_time
        fence = latest_slot(table.schedule, table.zone, last, fence, last) or last
    # Never back: a slot that has run would be due again.
    return max(fence, live.last_schedule_time or fence)
