"""The heart: what to do about one task, decided from what is known of it and the time. No clock, no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduledtask.api.spec import History
from scheduledtask.api.status import ActiveRun, Condition, Outcome, ScheduledTaskStatus, State
from scheduledtask.domain.adoption import Adoption, adoption
from scheduledtask.domain.alerts import health, success_awaited_since
from scheduledtask.domain.answers import Answers, CreateRun, EndRun, answer_commands
from scheduledtask.domain.catch_up import CatchUp, StartSlot, start_late
from scheduledtask.domain.conditions import READY, find
from scheduledtask.domain.course import deadlines, job_patches, verdicts_on
from scheduledtask.domain.cronjob import ApplyCronJob, cron_job_to_apply
from scheduledtask.domain.events import PostEvent, failure_event
from scheduledtask.domain.gate import waiting_for
from scheduledtask.domain.late import without_late_slots
from scheduledtask.domain.ledger import Ledger, Pruning, jobs_to_prune, keep_ledger, own_jobs
from scheduledtask.domain.messages import Outbox, fill_outbox
from scheduledtask.domain.outcome import EndedRun
from scheduledtask.domain.readiness import REFUSAL_RETRY, REFUSED, find_obstacle, in_place, not_ready
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.slots import account_slots
from scheduledtask.domain.stuck import end_stuck
from scheduledtask.domain.timetable import (
    SLOT_GRACE,
    InvalidSpecError,
    Timetable,
    next_runs,
    timetable,
)
from scheduledtask.domain.values import Job, Snapshot

FAILURES_TOLD = 3
"""How many failed runs of one pass become Events, the newest: after a long absence hundreds may be found."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. With `apply` that alone, and then the task is planned again, knowing the answer."""

    apply: ApplyCronJob | None = None
    events: tuple[PostEvent, ...] = ()
    status: ScheduledTaskStatus | None = None
    """The status to write; None where the written one is right."""
    start_slot: StartSlot | None = None
    adoption: Adoption | None = None
    create: CreateRun | None = None
    endings: tuple[EndRun, ...] = ()
    answered: tuple[str, ...] = ()
    """Annotations to remove before the status is written: commands whose result the written one has, or an Event."""
    job_patches: tuple[JobPatch, ...] = ()
    prune: tuple[Job, ...] = ()
    requeue_at: datetime | None = None
    started: tuple[ActiveRun, ...] = ()
    ended: tuple[EndedRun, ...] = ()


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """Decide. `now` is an aware UTC time.

    Equal input gives an equal plan. A task whose CronJob and status are right gets a plan with nothing to do but to
    come back at `requeue_at`.
    """
    now = now.replace(microsecond=0)
    try:
        table = timetable(snapshot.task, now)
        apply = cron_job_to_apply(snapshot, table, now)
    except InvalidSpecError as error:
        return _account(snapshot, None, not_ready(snapshot, "InvalidSpec", str(error), now), now)
    obstacle = find_obstacle(snapshot, apply.digest if apply else None, now)
    if obstacle:
        return _account(snapshot, table, obstacle, now)
    if apply:
        return Plan(apply=apply)
    return _account(snapshot, table, in_place(snapshot, table, now), now)


def _account(snapshot: Snapshot, table: Timetable | None, ready: Condition, now: datetime) -> Plan:
    """The plan of a pass that has nothing to apply: account for the runs, write what changed, prune."""
    written = snapshot.task.status
    ended_stuck = end_stuck(without_late_slots(snapshot), now)
    snapshot = ended_stuck.snapshot
    task = snapshot.task
    spec = task.spec
    history = spec.history if spec else History()
    slots: tuple[datetime, ...] = ()
    if table and ready.status == "True":
        slots = next_runs(table, snapshot.cron_job, own_jobs(snapshot), _slots_known(snapshot, table), now)
    verdicts = verdicts_on(snapshot, table, now)
    next_attempts = {uid: verdict.next_attempt_time for uid, verdict in verdicts.items()}
    report = account_slots(snapshot, table, ready, now)
    adopted, adopt_at = adoption(snapshot, now, report.fence)
    catch_up = start_late(snapshot, report.start) if report.start else CatchUp()
    answers = answer_commands(snapshot, ready, now)
    endings = {ending.job.uid: ending for ending in (*catch_up.endings, *answers.endings)}
    unstarted = (*report.entries, *answers.unstarted)
    waiting = waiting_for(snapshot, verdicts)
    ledger = keep_ledger(snapshot, now, history.runs, next_attempts, unstarted, waiting)
    counted = ledger.status.model_copy(update={"success_awaited_since": success_awaited_since(task, now)})
    healthy = health(task, counted, now)
    outbox = fill_outbox(snapshot, counted, healthy.condition, ledger.ended, now)
    pruning = jobs_to_prune(snapshot, history.succeeded_jobs, history.failed_jobs, now) if spec else Pruning()
    others = (
        *(report.look_again_at, adopt_at, healthy.again_at, ended_stuck.look_at, pruning.look_again_at),
        *next_attempts.values(),
        *deadlines(snapshot),
    )
    status = counted.model_copy(
        update={
            "observed_generation": task.generation,
            "conditions": tuple(
                entry.model_copy(update={"observed_generation": task.generation})
                for entry in (ready, healthy.condition)
            ),
            "slots": report.ledger,
            "state": _state(table, ready, ledger),
            "resolved_schedule": table.resolved if table else None,
            "cron_job": snapshot.applied,
            "next_run_time": slots[0] if slots else None,
            "next_run_times": slots,
            "webhook_messages": outbox.waiting,
        }
    )
    return Plan(
        events=_events(snapshot, ledger, ready, answers, outbox),
        status=None if status == written else status,
        start_slot=catch_up.start,
        adoption=adopted,
        # One start a pass: the next is decided knowing of it, and so they don't overlap.
        create=None if report.start else answers.create,
        endings=tuple(endings.values()),
        answered=answers.answered,
        job_patches=tuple(
            patch for patch in job_patches(snapshot, ended_stuck.patches, verdicts) if patch.job.uid not in endings
        ),
        prune=pruning.jobs,
        requeue_at=_requeue_at(snapshot, table, ready, slots, others, now),
        started=ledger.started,
        ended=ledger.ended,
    )


def _slots_known(snapshot: Snapshot, table: Timetable | None) -> tuple[datetime, ...]:
    status = snapshot.task.status
    unchanged = table is not None and status.resolved_schedule == table.resolved
    return status.next_run_times if unchanged and status.observed_generation == snapshot.task.generation else ()


def _state(table: Timetable | None, ready: Condition, ledger: Ledger) -> State:
    active = ledger.status.active
    if active:
        at_work = [run for run in active if not run.waiting_for]
        if not at_work:
            return State.QUEUED
        return State.RETRYING if all(run.attempt > 1 for run in at_work) else State.RUNNING
    if table is None or ready.status == "False":
        return State.INVALID
    if table.suspended:
        return State.SUSPENDED
    return State.PAUSED if table.resume_at else State.IDLE


def _events(
    snapshot: Snapshot, ledger: Ledger, ready: Condition, answers: Answers, outbox: Outbox
) -> tuple[PostEvent, ...]:
    failed = [run for run in ledger.ended if run.entry.outcome is Outcome.FAILED]
    events = [*answers.events, *(failure_event(run) for run in failed[-FAILURES_TOLD:])]
    before = find(snapshot.task.status.conditions, READY)
    told = before is not None and (before.status, before.message) == ("False", ready.message)
    if ready.status == "False" and not told:
        events.append(PostEvent(ready.reason, ready.message, f"{snapshot.task.generation} {ready.message}"))
    if outbox.dropped:
        note = f"{len(outbox.dropped)} of the messages that wait for the webhook found no room and will not be sent."
        events.append(PostEvent("WebhookMessagesDropped", note, outbox.dropped[-1].id))
    return tuple(events)


def _requeue_at(
    snapshot: Snapshot,
    table: Timetable | None,
    ready: Condition,
    slots: tuple[datetime, ...],
    others: Iterable[datetime | None],
    now: datetime,
) -> datetime | None:
    """When to look again although nothing is heard: always later than `now`. `others` are times of other causes."""
    times = [time for time in others if time]
    if slots:
        times.append(slots[0] + SLOT_GRACE)
    if table and table.resume_at:
        times.append(table.resume_at)
    if ready.reason == REFUSED and snapshot.refusal and not snapshot.refusal.final:
        times.append(snapshot.refusal.time + REFUSAL_RETRY)
    soonest = min(times, default=None)
    return max(soonest, now + timedelta(seconds=1)) if soonest else None
