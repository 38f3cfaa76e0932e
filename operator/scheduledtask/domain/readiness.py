"""The condition Ready: whether the schedule is in place, or else what stands in its way and how to mend it."""

from datetime import datetime, timedelta

from scheduledtask.api.status import Condition
from scheduledtask.domain.conditions import READY, ConditionStatus, condition
from scheduledtask.domain.timetable import Timetable
from scheduledtask.domain.values import Snapshot

REFUSAL_RETRY = timedelta(minutes=1)
"""How long after a refusal that may pass (a quota, an admission webhook) the CronJob is tried again."""

REFUSED = "Refused"
"""The reason of Ready while the API server refuses the CronJob."""
SUSPENDED = "Suspended"
"""The reason of Ready while spec.suspend is true."""
PAUSED = "Paused"
"""The reason of Ready during a pause."""


def in_place(snapshot: Snapshot, table: Timetable, now: datetime) -> Condition:
    """Ready: the live CronJob is what the spec asks for."""
    if table.suspended:
        return _ready(snapshot, "True", SUSPENDED, "Slots are passed over while spec.suspend is true.", now)
    if table.resume_at:
        until = f"{table.resume_at:%Y-%m-%dT%H:%M:%SZ}"
        return _ready(snapshot, "True", PAUSED, f"Slots are passed over until {until}.", now)
    if table.resolved is None:
        return _ready(snapshot, "True", "OnDemand", "Without spec.schedule, runs start on demand only.", now)
    message = f'Runs by "{table.resolved}", time zone {table.spec.time_zone}.'
    return _ready(snapshot, "True", "Scheduled", message, now)


def not_ready(snapshot: Snapshot, reason: str, message: str, now: datetime) -> Condition:
    """Not ready, by a mistake of the user's. What was accepted before goes on, and the message says so."""
    live = snapshot.cron_job
    if live and live.owner_uid == snapshot.task.uid and not live.suspended:
        message += " (Until this is mended, the version accepted before goes on running.)"
    return _ready(snapshot, "False", reason, message, now)


def find_obstacle(snapshot: Snapshot, digest: str | None, now: datetime) -> Condition | None:
    """Why no CronJob can be in place now; None where nothing stands in the way.

    digest: of the CronJob that is to be applied, if one is.
    """
    task, live, refusal = snapshot.task, snapshot.cron_job, snapshot.refusal
    if task.deleting and digest:
        return _ready(snapshot, "Unknown", "BeingDeleted", "The task is being deleted.", now)
    if live and live.deleting:
        message = "The CronJob is being deleted; then it will be made again."
        return _ready(snapshot, "Unknown", "CronJobIsBeingDeleted", message, now)
    if live and live.owner_uid != task.uid and live.task_label != task.key.name:
        message = (
            f'A CronJob named "{task.key.name}" that is not this task\'s exists in the namespace: '
            "delete it, or give the task another name."
        )
        return _ready(snapshot, "False", "NameTaken", message, now)
    if live and live.owner_uid and live.owner_uid != task.uid:
        message = "The CronJob of an earlier task of this name is still being deleted."
        return _ready(snapshot, "Unknown", "CronJobIsBeingDeleted", message, now)
    if refusal and refusal.digest == digest and (refusal.final or now < refusal.time + REFUSAL_RETRY):
        return not_ready(snapshot, REFUSED, refusal.message, now)
    return None


def _ready(snapshot: Snapshot, status: ConditionStatus, reason: str, message: str, now: datetime) -> Condition:
    return condition(snapshot.task.status.conditions, READY, status, reason, message, now)
