"""Gates: runs that wait for their turn, because of a group of tasks or of the policy Queue.

Behind one gate one run at a time is at work. Only the Jobs themselves tell who that is: one that is not suspended and
has not ended is at work, one that is suspended waits. So to resume a Job is to admit its run, and a crash between
admitting and noting it can't admit another: there is nothing else to note.

Who waits goes by priority and by age: each minute of waiting counts as much as 1 of priority. The order of two runs
never changes while they wait, and a run can be overtaken only by such as came within (difference of priority) minutes
after it: so nobody waits for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduledtask.api.spec import ConcurrencyPolicy, ScheduledTaskSpec
from scheduledtask.domain.ledger import own_jobs
from scheduledtask.domain.retry import JobPatch, Verdict
from scheduledtask.domain.values import Job, Key, Snapshot

WORTH_OF_PRIORITY = timedelta(minutes=1)
"""How much longer a run has to wait to make up for 1 less of priority."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that could go on now. `since`: when it was made, or its next attempt was due."""

    task: Key
    priority: int
    since: datetime
    patch: JobPatch
    """What lets it go on."""

    @property
    def rank(self) -> tuple[datetime, datetime, Key, str]:
        """Who goes first has the lowest."""
        job = self.patch.job
        return self.since - self.priority * WORTH_OF_PRIORITY, job.creation_time, self.task, job.name


def admit(jobs: Iterable[Job], waiting: Iterable[Waiting]) -> Waiting | None:
    """Whose turn it is, if it is anybody's. `jobs` are all those behind the gate."""
    if any(job.at_work for job in jobs):
        return None
    return min(waiting, key=lambda run: run.rank, default=None)


def scope_of(snapshot: Snapshot) -> Key | None:
    """Which gate the runs of a task wait at; None where they don't wait.

    That of its group has a name that no task can have: `group/` and the group's. That of a queue is named like its
    task. What still waits when a task leaves its group or gives up the queue also makes up a queue, where its policy
    does not let runs overlap.
    """
    spec, key = snapshot.task.spec, snapshot.task.key
    if spec is None:
        return None
    if spec.concurrency.group:
        return Key(key.namespace, f"group/{spec.concurrency.group}")
    if spec.concurrency.gated:
        return key
    waits = any(job.never_started and not job.end for job in own_jobs(snapshot))
    return key if waits and spec.concurrency.policy is not ConcurrencyPolicy.ALLOW else None


def waiting_for(snapshot: Snapshot, verdicts: dict[str, Verdict]) -> dict[str, str]:
    """What the runs wait for that could go on but for the gate, by the UIDs of their Jobs.

    It does not say which run is at work: else each turn were a reason to write the status of all who wait.
    """
    scope, spec = scope_of(snapshot), snapshot.task.spec
    if scope is None or spec is None:
        return {}
    group = spec.concurrency.group
    what = f'its turn in group "{group}"' if group else "its turn after the runs before it"
    return {uid: what for uid, verdict in verdicts.items() if verdict.patch and verdict.patch.resumes}


def too_late_at(job: Job, spec: ScheduledTaskSpec) -> datetime | None:
    """When a run that has not had its first turn will not start any more, because its slot is too long ago."""
    if not job.never_started or job.scheduled_time is None or spec.starting_deadline is None:
        return None
    # Whole seconds, and the deadline itself is still in time.
    return job.scheduled_time + spec.starting_deadline + timedelta(seconds=1)


def withdrawal(job: Job, spec: ScheduledTaskSpec, now: datetime) -> JobPatch | None:
    """The end of a run that is too late to start."""
    late_at = too_late_at(job, spec)
    if late_at is None or now < late_at:
        return None
    given_up = ("DeadlineExceeded", "Its turn did not come within startingDeadline.")
    return JobPatch(job, suspend=True, given_up=given_up, withdrawn_at=now)
