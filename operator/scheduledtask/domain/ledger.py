"""The account of a task's runs: counters, history, active runs.

Each Job is counted exactly once. A Job that is counted stands, by its UID, in `history`, or in `countedJobs` when it
still exists but is too old for the history. Both are written together with the counters they belong to, under
optimistic locking; so a crash between reading and writing neither loses nor repeats a count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from scheduledtask.api.duration import format_duration
from scheduledtask.api.spec import History
from scheduledtask.api.status import ActiveRun, HistoryEntry, Outcome, ScheduledTaskStatus
from scheduledtask.domain.outcome import EndedRun, active_run, ended_run, vanished_run
from scheduledtask.domain.values import Job, Pod, Snapshot

COUNTED_A_PASS = 500
"""Ended runs that one pass counts, at most; more after a very long absence are the work of the passes that follow."""
NAME_HELD = timedelta(minutes=2)
"""How long a slot's Job is kept at least. Its name is the lock of the slot: a request of the CronJob controller to make
the Job, sent before it knew that there is one, may still be under way."""
ACTIVE_LISTED = 1000
"""Active runs that the status lists, at most; `activeRuns` counts them all."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The status with all runs accounted for, and what is new in it."""

    status: ScheduledTaskStatus
    started: tuple[ActiveRun, ...] = field(default=())
    ended: tuple[EndedRun, ...] = field(default=())


def counted_uids(status: ScheduledTaskStatus) -> frozenset[str]:
    """The UIDs of the Jobs that stand in the counters already."""
    return frozenset(status.counted_jobs) | {entry.uid for entry in status.history if entry.uid}


def own_jobs(snapshot: Snapshot) -> tuple[Job, ...]:
    """The Jobs that are runs of this task. One older than the task belongs to a deleted task of the same name."""
    return tuple(job for job in snapshot.jobs if job.creation_time >= snapshot.task.creation_time)


def jobs_to_read(snapshot: Snapshot) -> tuple[Job, ...]:
    """Jobs that have ended and are not counted, but whose last pod is not known: its last words are to be read.

    After a long absence there may be hundreds; the newest are enough to fill the history.
    """
    counted = counted_uids(snapshot.task.status)
    failures: dict[str, int] = {}
    for pod in snapshot.pods:
        failures[pod.job_uid] = max(pod.failures_before + 1, failures.get(pod.job_uid, 0))
    unread = [
        (job.end.time, job.name, job)
        for job in own_jobs(snapshot)
        if job.end
        and job.uid not in counted
        and not job.never_started
        and (job.end.succeeded or failures.get(job.uid, 0) < _pods_awaited(job))
    ]
    spec = snapshot.task.spec
    limit = (spec.history if spec else History()).runs
    return tuple(job for _, _, job in sorted(unread, key=lambda row: row[:2])[-limit:])


def _pods_awaited(job: Job) -> int:
    """How many failed pods a failed Job must have had. One whose attempts did not start says so itself."""
    return job.failed if job.stuck else max(job.failed, 1)


def missing_runs(snapshot: Snapshot) -> tuple[ActiveRun, ...]:
    """Runs that the written status has as active, but whose Jobs are not among the known ones: they are gone, or not
    seen yet. `keep_ledger` takes them as gone."""
    status = snapshot.task.status
    known = {job.uid for job in own_jobs(snapshot)} | counted_uids(status)
    return tuple(run for run in status.active if run.uid not in known)


def keep_ledger(
    snapshot: Snapshot,
    now: datetime,
    history_limit: int,
    next_attempts: Mapping[str, datetime | None] = MappingProxyType({}),
    unstarted: tuple[HistoryEntry, ...] = (),
    waiting: Mapping[str, str] = MappingProxyType({}),
) -> Ledger:
    """Account for every run: count those that ended since the status was written, list those that are active.

    next_attempts: when the next attempt of an active run is due, by the UID of its Job.
    unstarted: what became of that which has no Job.
    waiting: what an active run waits for before it may go on, by the UID of its Job.
    """
    status = snapshot.task.status
    counted = counted_uids(status)
    jobs = sorted(own_jobs(snapshot), key=lambda job: (job.creation_time, job.name))
    pods: dict[str, list[Pod]] = {}
    for pod in snapshot.pods:
        pods.setdefault(pod.job_uid, []).append(pod)
    existing = {job.uid for job in jobs}

    uncounted = [(job.end.time, job.name, job, job.end) for job in jobs if job.end and job.uid not in counted]
    uncounted.sort(key=lambda row: row[:2])
    ended = [ended_run(job, end, tuple(pods.get(job.uid, ()))) for _, _, job, end in uncounted[:COUNTED_A_PASS]]
    later = {job.uid for _, _, job, _ in uncounted[COUNTED_A_PASS:]}
    ended += [vanished_run(run, now) for run in missing_runs(snapshot)]
    ended += [EndedRun(entry, None) for entry in unstarted]
    # What has no Job comes last, and so first into the history, the only place that remembers it.
    ended.sort(key=lambda run: (run.entry.end_time, run.entry.uid is None, run.entry.run or ""))
    written = {run.uid: run for run in status.active}
    active = tuple(
        active_run(
            job, tuple(pods.get(job.uid, ())), next_attempts.get(job.uid), waiting.get(job.uid), written.get(job.uid)
        )
        for job in jobs
        if not job.end and job.uid not in counted
    )
    known = written.keys() | counted
    started = tuple(run for run in active if run.uid not in known)

    status = _count(status, ended)
    history = sorted(
        (*(run.entry for run in reversed(ended)), *status.history), key=lambda entry: entry.end_time, reverse=True
    )
    kept = tuple(history[:history_limit])
    in_history = {entry.uid for entry in kept}
    older = sorted((counted | {run.entry.uid for run in ended if run.entry.uid}) & existing - in_history)
    starts = [run.start_time for run in active if run.start_time]
    starts += [run.entry.start_time for run in ended if run.entry.start_time]
    run_slots = [run.slot for run in active if run.slot]
    run_slots += [run.entry.slot for run in ended if run.entry.slot and run.entry.run]
    status = status.model_copy(
        update={
            # Ended runs that are left for the next pass stay listed: else they are lost if their Jobs are deleted.
            "active": (*(run for run in status.active if run.uid in later), *active)[:ACTIVE_LISTED],
            "active_runs": len(active),
            "history": kept,
            "counted_jobs": tuple(older),
            "last_run_time": _latest(status.last_run_time, starts),
            "last_schedule_time": _latest(status.last_schedule_time, run_slots),
        }
    )
    return Ledger(status, started, tuple(ended))


@dataclass(frozen=True, slots=True)
class Pruning:
    """Jobs to delete now, and when to look again for others."""

    jobs: tuple[Job, ...] = ()
    look_again_at: datetime | None = None


def jobs_to_prune(snapshot: Snapshot, succeeded_limit: int, failed_limit: int, now: datetime) -> Pruning:
    """Ended Jobs beyond the limits, the oldest first; only such as the written status counts already.

    Those that never started go at once: to Kubernetes they have not ended, and are active runs of the CronJob.
    """
    counted = counted_uids(snapshot.task.status)
    never_started = [
        job for job in own_jobs(snapshot) if job.end and job.never_started and not job.deleting and job.uid in counted
    ]
    surplus: list[Job] = []
    for succeeded, limit in ((True, succeeded_limit), (False, failed_limit)):
        alike = [
            (job.end.time, job.name, job)
            for job in own_jobs(snapshot)
            if job.end and job.end.succeeded is succeeded and not (job.deleting or job.never_started)
        ]
        alike.sort(key=lambda row: row[:2])
        surplus += [job for _, _, job in alike[: max(0, len(alike) - limit)] if job.uid in counted]
    held = [job.creation_time + NAME_HELD for job in surplus if _holds_name(job, now)]
    return Pruning((*never_started, *(job for job in surplus if not _holds_name(job, now))), min(held, default=None))


def _holds_name(job: Job, now: datetime) -> bool:
    return job.scheduled_time is not None and now < job.creation_time + NAME_HELD


def _count(status: ScheduledTaskStatus, ended: list[EndedRun]) -> ScheduledTaskStatus:
    for run in ended:
        status = status.model_copy(update=_counted(status, run))
    return status


def _counted(status: ScheduledTaskStatus, run: EndedRun) -> dict[str, object]:
    entry = run.entry
    if entry.outcome is Outcome.SKIPPED:
        return {"skipped_count": status.skipped_count + entry.slots}
    if entry.outcome is Outcome.MISSED:
        return {
            "missed_count": status.missed_count + entry.slots,
            "consecutive_missed": status.consecutive_missed + entry.slots,
        }
    update: dict[str, object] = {
        "retry_count": status.retry_count + max(0, entry.attempts - 1),
        "last_outcome": entry.outcome,
        "last_duration": _duration(entry),
    }
    if entry.slot:
        update["consecutive_missed"] = 0
    match entry.outcome:
        case Outcome.SUCCEEDED:
            update |= {
                "success_count": status.success_count + 1,
                "consecutive_failures": 0,
                "last_success_time": _latest(status.last_success_time, [entry.end_time]),
                "last_result": entry.result,
            }
        case Outcome.FAILED:
            update |= {
                "failure_count": status.failure_count + 1,
                "consecutive_failures": status.consecutive_failures + 1,
                "last_failure_time": _latest(status.last_failure_time, [entry.end_time]),
                "last_error": run.error,
            }
        case _:
            update["cancelled_count"] = status.cancelled_count + 1
    return update


def _duration(entry: HistoryEntry) -> str | None:
    if entry.start_time is None:
        return None
    return format_duration(max(entry.end_time - entry.start_time, timedelta(0)))


def _latest(known: datetime | None, others: list[datetime]) -> datetime | None:
    return max([*others, known] if known else others, default=None)
