"""Short ways to write the values that decisions are made from. All times are UTC, around noon of one day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask.api.status import ScheduledTaskStatus, Trigger
from scheduledtask.domain.values import ContainerEnd, CronJob, Job, JobEnd, Key, Pod, Task

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = Key("match-history", "report")
TEMPLATE: dict[str, Any] = {"spec": {"containers": [{"name": "job", "image": "job:1"}]}}


def at(clock: str) -> datetime:
    """The moment at which the clock shows `hours:minutes[:seconds]` on the day of NOON."""
    hours, minutes, *seconds = (int(part) for part in clock.split(":"))
    return NOON.replace(hour=hours, minute=minutes, second=seconds[0] if seconds else 0)


def a_spec(**fields: Any) -> ScheduledTaskSpec:
    """A spec as users write it (camelCase), hourly unless said otherwise."""
    return ScheduledTaskSpec.model_validate({"schedule": "0 * * * *", "template": TEMPLATE, **fields})


def a_task(**fields: Any) -> Task:
    """A task made the day before NOON, with the spec of `a_spec`."""
    return Task(
        key=KEY,
        uid="task-uid",
        generation=1,
        creation_time=NOON - timedelta(days=1),
        deleting=False,
        spec=a_spec(**fields),
        invalid=None,
        status=ScheduledTaskStatus(),
    )


def a_cron_job(**changes: Any) -> CronJob:
    """The CronJob of `a_task`, as the API server has it."""
    made = CronJob(
        uid="cron-job-uid",
        generation=1,
        owner_uid="task-uid",
        task_label=KEY.name,
        schedule="0 * * * *",
        time_zone="Etc/UTC",
        suspended=False,
        creation_time=NOON - timedelta(days=1),
        last_schedule_time=None,
        deleting=False,
    )
    return replace(made, **changes)


def a_job(name: str = "run-1", **changes: Any) -> Job:
    """A run of the slot at noon that is active."""
    started = changes.get("creation_time", NOON)
    job = Job(
        name=name,
        uid=f"uid-of-{name}",
        creation_time=started,
        scheduled_time=started.replace(second=0),
        trigger=Trigger.SCHEDULE,
        max_attempts=5,
        failed=0,
        succeeded=0,
        end=None,
        deleting=False,
    )
    return replace(job, **changes)


def succeeded(job: Job, end: datetime) -> Job:
    """The Job, complete."""
    return replace(job, succeeded=1, end=JobEnd(True, "CompletionsReached", "Reached expected number of pods", end))


def failed(
    job: Job,
    end: datetime,
    *,
    attempts: int = 1,
    reason: str = "FailedIndexes",
    message: str = "Job has failed indexes",
) -> Job:
    """The Job, failed after so many failed pods."""
    return replace(job, failed=attempts, end=JobEnd(False, reason, message, end))


def a_pod(job: Job, *containers: ContainerEnd, attempt: int = 1, **changes: Any) -> Pod:
    """The pod of an attempt that ended: well if every container did."""
    pod = Pod(
        name=f"{job.name}-0-{attempt}",
        job_uid=job.uid,
        creation_time=job.creation_time + timedelta(minutes=attempt - 1),
        disrupted=False,
        succeeded=bool(containers) and all(end.exit_code == 0 for end in containers),
        failures_before=attempt - 1,
        reason="",
        message="",
        containers=containers,
    )
    return replace(pod, **changes)


def exited(code: int, message: str = "", reason: str | None = None) -> ContainerEnd:
    """The end of a container, with the reason that a kubelet gives for the code."""
    return ContainerEnd(code, reason if reason is not None else ("Error" if code else "Completed"), message)
