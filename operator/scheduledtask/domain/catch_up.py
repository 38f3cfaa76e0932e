"""The late start of a slot that nobody started."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduledtask.api.spec import ConcurrencyPolicy
from scheduledtask.domain.answers import EndRun
from scheduledtask.domain.ledger import own_jobs
from scheduledtask.domain.outcome import REPLACED
from scheduledtask.domain.shape import slot_job_body
from scheduledtask.domain.slots import slot_job_name
from scheduledtask.domain.values import Snapshot


@dataclass(frozen=True, slots=True)
class StartSlot:
    """Create the Job of a slot that nobody started, and let the CronJob controller know of it."""

    body: dict[str, Any]
    slot: datetime


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The start of a slot; or, under `Replace`, first the end of the runs that make way for it."""

    start: StartSlot | None = None
    endings: tuple[EndRun, ...] = ()


def start_late(snapshot: Snapshot, slot: datetime) -> CatchUp:
    """Start a slot under its own name, the lock that makes its run the only one."""
    task, spec, live = snapshot.task, snapshot.task.spec, snapshot.cron_job
    if spec is None or live is None:
        return CatchUp()
    name = slot_job_name(task.key.name, slot)
    active = [job for job in own_jobs(snapshot) if not job.end]
    if active and spec.concurrency.policy is ConcurrencyPolicy.REPLACE:
        why = f"Replaced by run {name}."
        return CatchUp(endings=tuple(EndRun(job, REPLACED, why) for job in active if not job.given_up))
    return CatchUp(StartSlot(slot_job_body(task, spec, live, name, slot), slot))
