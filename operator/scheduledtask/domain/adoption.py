"""Which Jobs the CronJob controller must be told of.

It knows the runs of a CronJob by `status.active`: its overlap rules and its history look there. A Job that somebody
else made (a manual run, a slot that the operator started) is not in it, nor is one that the controller made just before
it crashed. For a slot's Job it must also see the slot in `lastScheduleTime`: else it tries to create the Job again,
meets AlreadyExists, and by a bug of its own stalls. A slot that is told as skipped or missed stands there as well: else
the controller may start it later.

What it knows it may delete, under `Replace`. So it is told only of Jobs that the written status has as active: of one
that nothing remembers nobody would know that it has been, and its command would start it again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduledtask.api.status import Trigger
from scheduledtask.domain.ledger import own_jobs
from scheduledtask.domain.values import CronJob, Job, JobReference, Snapshot

CONTROLLER_GRACE = timedelta(seconds=10)
"""How long after it made a Job the CronJob controller may take to note it."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What the CronJob's status is to say, if nobody has written it since it was read."""

    cron_job: CronJob
    active: tuple[JobReference, ...]
    last_schedule_time: datetime | None
    is_fence: bool = False
    """Whether the status waits for it: what that tells of slots is true only afterwards."""


def adoption(
    snapshot: Snapshot, now: datetime, fence: datetime | None = None
) -> tuple[Adoption | None, datetime | None]:
    """The adoption that is due, and when to look again for one. `fence`: the latest slot that is told without a run."""
    live = snapshot.cron_job
    if live is None or live.owner_uid != snapshot.task.uid or live.deleting:
        return None, None
    remembered = {run.uid for run in snapshot.task.status.active}
    unknown = remembered - {reference.uid for reference in live.active}
    missing = [job for job in own_jobs(snapshot) if job.uid in unknown and not job.end and not job.deleting]
    ripe = [job for job in missing if job.trigger is not Trigger.SCHEDULE or now >= _noted_by(job)]
    later = min((_noted_by(job) for job in missing if job not in ripe), default=None)
    if not ripe and fence is None:
        return None, later
    # Never back: a slot that has run would be due again.
    slots = (*(job.scheduled_time for job in ripe), fence, live.last_schedule_time)
    last = max((slot for slot in slots if slot), default=None)
    active = (*live.active, *(JobReference(job.name, job.uid) for job in ripe))
    return Adoption(live, active, last, is_fence=fence is not None), later


def _noted_by(job: Job) -> datetime:
    return job.creation_time + CONTROLLER_GRACE
