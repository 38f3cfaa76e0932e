"""How the active runs of a task go on: the next attempt, a wait, a turn, or the end."""

from datetime import datetime
from functools import partial

from scheduledtask.domain.gate import scope_of, too_late_at, withdrawal
from scheduledtask.domain.ledger import own_jobs
from scheduledtask.domain.retry import JobPatch, Rules, Verdict, after_failure
from scheduledtask.domain.timetable import Timetable, next_slot_after
from scheduledtask.domain.values import Snapshot


def verdicts_on(snapshot: Snapshot, table: Timetable | None, now: datetime) -> dict[str, Verdict]:
    """What follows the failed attempts of each active run, or its wait for its turn, by the UID of its Job.

    Without a spec that can be read, a run that waits goes on: the Job controller retries by itself. Not if it may have
    to wait for its turn.
    """
    active = [job for job in own_jobs(snapshot) if not job.end and not job.deleting]
    spec = snapshot.task.spec
    if spec is None:
        suspended = [job for job in active if job.suspended and not job.gated]
        return {job.uid: Verdict(None, JobPatch(job, suspend=False)) for job in suspended}
    rules = Rules(spec, partial(next_slot_after, table))
    due = {run.uid: run.next_attempt_time for run in snapshot.task.status.active}
    return {
        job.uid: Verdict(None, late)
        if (late := withdrawal(job, spec, now))
        else after_failure(
            job, tuple(pod for pod in snapshot.pods if pod.job_uid == job.uid), rules, due.get(job.uid), now
        )
        for job in active
    }


def deadlines(snapshot: Snapshot) -> list[datetime | None]:
    """When runs that wait for their first turn are too late for it."""
    spec = snapshot.task.spec
    return [too_late_at(job, spec) for job in own_jobs(snapshot) if spec and not job.end]


def job_patches(snapshot: Snapshot, stuck: tuple[JobPatch, ...], verdicts: dict[str, Verdict]) -> tuple[JobPatch, ...]:
    """What stuck attempts and verdicts ask for. At a gate only the gatekeeper lets runs go on."""
    gated = scope_of(snapshot) is not None
    patches = (*stuck, *(verdict.patch for verdict in verdicts.values() if verdict.patch))
    return tuple(patch for patch in patches if not (gated and patch.resumes))
