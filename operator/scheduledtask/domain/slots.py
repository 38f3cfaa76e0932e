"""The slot keeper: every slot of a schedule gets one outcome, and one that nobody started is started or explained.

A slot whose Job exists is accounted for by its run. For one without a Job, some time after it was due, there is a
reason: the task was suspended or paused, another run was active under `Forbid`, its CronJob was not in place, or it
was missed. The latest missed slot is started late, under its own name, as `catchUp` and `startingDeadline` allow. That
also mends a hole of the CronJob controller, whose estimate of the latest missed slot overshoots for irregular
schedules, so that it starts nothing.

The CronJob controller skips a slot without a note: when the run in its way has ended, it starts the slot after all. So
what is told here is fenced before, by the CronJob's `lastScheduleTime`. A start that was under way is corrected: see
`late`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from scheduledtask.api.spec import CatchUp, ConcurrencyPolicy, ScheduledTaskSpec
from scheduledtask.api.status import Condition, HistoryEntry, Outcome, SlotLedger, Trigger
from scheduledtask.domain.conditions import READY, find
from scheduledtask.domain.cron import Schedule
from scheduledtask.domain.cron_schedule import EverySchedule
from scheduledtask.domain.ledger import own_jobs
from scheduledtask.domain.readiness import PAUSED, SUSPENDED
from scheduledtask.domain.schedule import latest_slot, slot_name_minutes, slots_after, validate, zone
from scheduledtask.domain.shape import GRACE_WITHOUT_CATCH_UP
from scheduledtask.domain.timetable import Timetable
from scheduledtask.domain.values import CronJob, Job, Snapshot

START_GRACE = timedelta(seconds=60)
"""How long the CronJob controller is given to start a slot, or to be seen starting it, before the operator does."""
SLOTS_A_PASS = 10_000
"""Slots that one pass accounts for, at most: a week of minutely ones takes it a tenth of a second."""


@dataclass(frozen=True, slots=True)
class SlotReport:
    """What became of slots. `ledger` says how far the account goes; `start` is a slot to start now."""

    ledger: SlotLedger | None
    entries: tuple[HistoryEntry, ...] = ()
    start: datetime | None = None
    look_again_at: datetime | None = None
    """When the next slot without a Job has to be dealt with."""
    fence: datetime | None = None
    """Up to when the CronJob controller has to pass slots over before `entries` are told."""


def slot_job_name(task: str, slot: datetime) -> str:
    """The name of a slot's Job: the lock that makes it at most one, whoever creates it (getJobName in Kubernetes)."""
    return f"{task}-{slot_name_minutes(slot)}"


def account_slots(snapshot: Snapshot, table: Timetable | None, ready: Condition, now: datetime) -> SlotReport:
    """Account for the slots since the last account, or since the task was created or its schedule edited.

    table: None where the spec can't be carried out.
    """
    known = snapshot.task.status.slots
    if table is None or (known and ready.status != "True"):
        return _account_accepted(snapshot, known, now)
    if table.schedule is None or table.resolved is None:
        return SlotReport(None)
    if known is None or (known.schedule, known.time_zone) != (table.resolved, table.spec.time_zone):
        since = _begin(snapshot, table, now)
        known = SlotLedger(schedule=table.resolved, time_zone=table.spec.time_zone, until=since)
    if table.passes_slots_over or ready.status != "True":
        # Told when it is over, in one entry: to write at every slot of a suspended task would never end.
        return SlotReport(known)
    return _account(snapshot, _Rules(table.spec, table.schedule, table.zone), known, now)


def _begin(snapshot: Snapshot, table: Timetable, now: datetime) -> datetime:
    """Where the account of a new schedule begins. Once the CronJob has the schedule, slots fire although the operator
    may be away: so that is, if it can be known, when it was given it. Never before what is told: clocks go back, too.
    """
    task, live = snapshot.task, snapshot.cron_job
    if task.status.observed_generation is None:
        return task.creation_time
    begin = now if table.passes_slots_over or live is None else live.last_schedule_time or live.creation_time
    return max(begin, task.status.slots.until) if task.status.slots else begin


@dataclass(frozen=True, slots=True)
class _Rules:
    """What slots are accounted for by. `startable`: whether one may be started late."""

    spec: ScheduledTaskSpec
    schedule: Schedule
    zone: ZoneInfo
    startable: bool = True


def _account_accepted(snapshot: Snapshot, known: SlotLedger | None, now: datetime) -> SlotReport:
    """While a spec is refused, the version accepted before goes on, and so does its account."""
    task, live = snapshot.task, snapshot.cron_job
    if known is None or live is None or live.owner_uid != task.uid or live.suspended or live.deleting:
        return SlotReport(known)
    if (live.schedule, live.time_zone) != (known.schedule, known.time_zone):
        return SlotReport(known)
    spec = task.spec or ScheduledTaskSpec(template={})
    rules = _Rules(spec, validate(known.schedule), zone(known.time_zone), startable=False)
    return _account(snapshot, rules, known, now)


def _account(snapshot: Snapshot, rules: _Rules, known: SlotLedger, now: datetime) -> SlotReport:
    live = snapshot.cron_job
    until, anchor = _count_from(rules.schedule, live, known.until)
    latest = latest_slot(rules.schedule, rules.zone, until, now, anchor)
    entries: list[HistoryEntry] = []
    start = look_again_at = None
    passed_over = _passed_over(snapshot)
    for number, slot in enumerate(slots_after(rules.schedule, rules.zone, until, anchor)):
        if slot > now:
            break
        if number == SLOTS_A_PASS:
            look_again_at = now
            break
        if not _has_job(snapshot, slot):
            if passed_over and live and live.last_schedule_time and slot <= live.last_schedule_time:
                verdict: Verdict | None = (Outcome.SKIPPED, passed_over, "Slots were passed over.")
            elif now < slot + START_GRACE:
                look_again_at = slot + START_GRACE
                break
            else:
                verdict = _verdict(snapshot, rules, slot, now, is_latest=slot == latest)
            if verdict is None:
                waits = _wait(snapshot, rules, slot, now)
                start, look_again_at = (None, waits) if waits else (slot, now + START_GRACE)
                break
            entries.append(_entry(slot, now, *verdict))
        until = slot
    ledger = known.model_copy(update={"until": until})
    return SlotReport(ledger, _coalesced(entries), start, look_again_at, _fence(live, entries))


def _count_from(schedule: Schedule, live: CronJob | None, until: datetime) -> tuple[datetime, datetime | None]:
    """Where the slots after `until` are counted from, and the anchor of the count: see `slots_after`. The slots of
    `@every` before the last one lie at the same distances."""
    if live is None:
        return until, None
    last = live.last_schedule_time or live.creation_time
    if not isinstance(schedule, EverySchedule) or last <= until:
        return until, last
    until = max(until, live.creation_time)
    delays = -((last - until) // -timedelta(seconds=schedule.delay))
    return until, last - delays * timedelta(seconds=schedule.delay)


def _fence(live: CronJob | None, entries: list[HistoryEntry]) -> datetime | None:
    """Up to when the CronJob controller is to pass slots over, where it doesn't do so anyway."""
    told = entries[-1].slot if entries else None
    if told is None or live is None or live.deleting:
        return None
    return told if told > (live.last_schedule_time or live.creation_time) else None


Verdict = tuple[Outcome, str, str]


def _verdict(snapshot: Snapshot, rules: _Rules, slot: datetime, now: datetime, is_latest: bool) -> Verdict | None:
    """Why a slot has no run; None where it is, or may be, started yet.

    is_latest: no later slot is due, and so it is the one that may be started late.
    """
    spec, live = rules.spec, snapshot.cron_job
    if spec.concurrency.policy is ConcurrencyPolicy.FORBID:
        other = next((job for job in own_jobs(snapshot) if _is_in_the_way(job, slot, is_latest)), None)
        if other:
            return Outcome.SKIPPED, "Overlap", f"Run {other.name} was active."
    if live is None or min(live.creation_time, live.last_schedule_time or live.creation_time) > slot:
        return Outcome.MISSED, "NotInPlace", "Its CronJob was not in place yet."
    if spec.starting_deadline is not None and now > slot + spec.starting_deadline:
        return Outcome.MISSED, "DeadlineExceeded", "Nothing started it within startingDeadline."
    if spec.catch_up is CatchUp.NONE and (not is_latest or now > slot + _patience(spec)):
        return Outcome.MISSED, "NotStarted", "Nothing started it in time, and catchUp is None."
    if not is_latest:
        return Outcome.MISSED, "Coalesced", "Nothing started it, and a later slot was due by then."
    if live.last_schedule_time and slot <= live.last_schedule_time:
        # Only after it made the Job does the CronJob controller write this: to start it would be to run it twice.
        return Outcome.MISSED, "PassedOver", "Its CronJob has it down as dealt with, but no run of it is there."
    return None


def _wait(snapshot: Snapshot, rules: _Rules, slot: datetime, now: datetime) -> datetime | None:
    """When to look again at a slot that only the CronJob controller may start; None where the operator is to."""
    if not rules.startable:
        return now + START_GRACE
    if rules.spec.catch_up is CatchUp.NONE:
        return slot + _patience(rules.spec) + timedelta(seconds=1)
    return None


def _patience(spec: ScheduledTaskSpec) -> timedelta:
    """How late the CronJob controller may start a slot where nobody else does."""
    return spec.starting_deadline or timedelta(seconds=GRACE_WITHOUT_CATCH_UP)


def _is_in_the_way(job: Job, slot: datetime, is_latest: bool) -> bool:
    """Whether a run was active when the slot was due; for one that could be started now, also whether one is."""
    if job.end is None and is_latest:
        return True
    return job.creation_time <= slot and (job.end is None or job.end.time >= slot)


def _has_job(snapshot: Snapshot, slot: datetime) -> bool:
    name = slot_job_name(snapshot.task.key.name, slot)
    status = snapshot.task.status
    return (
        any(job.name == name for job in own_jobs(snapshot))
        or any(run.run == name for run in status.active)
        or any(entry.run == name for entry in status.history)
    )


def _passed_over(snapshot: Snapshot) -> str | None:
    """Suspended or Paused where the status still says so: what lies behind is that time's."""
    before = find(snapshot.task.status.conditions, READY)
    return before.reason if before and before.reason in (SUSPENDED, PAUSED) else None


def _entry(slot: datetime, now: datetime, outcome: Outcome, reason: str, message: str) -> HistoryEntry:
    return HistoryEntry(
        trigger=Trigger.SCHEDULE, slot=slot, end_time=now, outcome=outcome, reason=reason, message=message
    )


def _coalesced(entries: Iterable[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Neighbours with the same outcome and reason become one entry, the slot of which is the latest."""
    merged: list[HistoryEntry] = []
    for entry in entries:
        last = merged[-1] if merged else None
        if last and (last.outcome, last.reason) == (entry.outcome, entry.reason):
            merged[-1] = entry.model_copy(update={"slots": last.slots + 1})
        else:
            merged.append(entry)
    return tuple(merged)
