"""What of the API's JSON is read: structs that msgspec decodes straight from bytes, and their way to domain values.

Fields that are not named here are skipped while decoding, so an object costs what is kept of it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from sys import intern
from typing import Generic, TypeVar

from msgspec import Raw, Struct, field

from scheduledtask.api.status import Trigger
from scheduledtask.domain.commands import is_command
from scheduledtask.domain.values import (
    GATED,
    GROUP,
    PARAMETERS,
    SCHEDULED_TIME,
    TASK_LABEL,
    TRIGGER,
    ContainerEnd,
    CronJob,
    Job,
    JobEnd,
    JobReference,
    Key,
    Pod,
    Stuck,
)

Item = TypeVar("Item")

INSTANTIATE = "cronjob.kubernetes.io/instantiate"
GIVEN_UP_REASON = f"{GROUP}/given-up-reason"
GIVEN_UP_MESSAGE = f"{GROUP}/given-up-message"
STUCK_ATTEMPTS = f"{GROUP}/stuck-attempts"
STUCK_TIME = f"{GROUP}/stuck-time"
STUCK_REASON = f"{GROUP}/stuck-reason"
STUCK_MESSAGE = f"{GROUP}/stuck-message"
WITHDRAWN_AT = f"{GROUP}/withdrawn-at"
ADMITTED_AT = f"{GROUP}/admitted-at"
GATEKEEPER = f"{GROUP}/gatekeeper"
"""An annotation on Jobs that waited when a gatekeeper first looked at them: what was asked before that is void."""
JOB_NAME = "batch.kubernetes.io/job-name"
JOB_UID = "batch.kubernetes.io/controller-uid"
FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"


class Wire(Struct, rename="camel", frozen=True, gc=False):
    pass


class OwnerReference(Wire, frozen=True):
    kind: str
    uid: str
    controller: bool = False


class Metadata(Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def created(self) -> datetime:
        if self.creation_timestamp is None:
            raise ValueError(f"{self.namespace}/{self.name} has no creationTimestamp")
        return self.creation_timestamp

    @property
    def key(self) -> Key:
        """Whose metadata this is. Thousands of objects share a namespace: its name is kept once."""
        return Key(intern(self.namespace), self.name)

    @property
    def labelled(self) -> Key:
        """The task that the label names."""
        return Key(intern(self.namespace), intern(self.labels.get(TASK_LABEL, "")))

    @property
    def version(self) -> int:
        return int(self.resource_version)


class ListMetadata(Wire, frozen=True):
    resource_version: str = "0"
    continue_: str = field(name="continue", default="")


class ObjectList(Wire, Generic[Item], frozen=True):
    metadata: ListMetadata
    items: list[Item]


class WatchEvent(Wire, frozen=True):
    type: str
    object: Raw


class StatusDetails(Wire, frozen=True):
    retry_after_seconds: int = 0


class ApiStatus(Wire, frozen=True):
    """A metav1.Status: how the API server says no."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails = StatusDetails()


class SecretObject(Wire, frozen=True):
    """A Secret; msgspec reads the base64 of its data."""

    data: dict[str, bytes] = field(default_factory=dict)


class PartialObject(Wire, frozen=True):
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A ScheduledTask as it is kept: spec and status as JSON, a tenth of the size of models, read for each plan."""

    uid: str
    generation: int
    creation_time: datetime
    deleting: bool
    spec: bytes
    status: bytes
    commands: tuple[tuple[str, str], ...] = ()
    """The annotations that are commands."""


class ScheduledTaskObject(Wire, frozen=True):
    metadata: Metadata
    spec: Raw = Raw(b"{}")
    status: Raw = Raw(b"{}")

    @property
    def task(self) -> Key:
        return self.metadata.key

    def value(self) -> TaskRecord:
        meta = self.metadata
        return TaskRecord(
            uid=meta.uid,
            generation=meta.generation,
            creation_time=meta.created,
            deleting=meta.deletion_timestamp is not None,
            spec=bytes(self.spec),
            status=bytes(self.status),
            commands=tuple(sorted((key, value) for key, value in meta.annotations.items() if is_command(key))),
        )


class CronJobSpec(Wire, frozen=True):
    schedule: str = ""
    time_zone: str = ""
    suspend: bool = False


class ActiveReference(Wire, frozen=True):
    name: str = ""
    uid: str = ""


class CronJobStatus(Wire, frozen=True):
    active: tuple[ActiveReference, ...] = ()
    last_schedule_time: datetime | None = None


class CronJobObject(Wire, frozen=True):
    metadata: Metadata
    spec: CronJobSpec
    status: CronJobStatus = CronJobStatus()

    @property
    def task(self) -> Key:
        return self.metadata.key

    def value(self) -> CronJob:
        meta = self.metadata
        owner = next((owner for owner in meta.owner_references if owner.controller), None)
        return CronJob(
            uid=meta.uid,
            generation=meta.generation,
            owner_uid=owner.uid if owner else None,
            task_label=meta.labels.get(TASK_LABEL),
            schedule=self.spec.schedule,
            time_zone=self.spec.time_zone,
            suspended=self.spec.suspend,
            creation_time=meta.created,
            last_schedule_time=self.status.last_schedule_time,
            deleting=meta.deletion_timestamp is not None,
            active=tuple(JobReference(known.name, known.uid) for known in self.status.active),
            version=meta.version,
        )


class JobCondition(Wire, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class JobSpec(Wire, frozen=True):
    suspend: bool = False
    backoff_limit: int = 6
    backoff_limit_per_index: int | None = None


class JobStatus(Wire, frozen=True):
    active: int = 0
    terminating: int = 0
    failed: int = 0
    succeeded: int = 0
    ready: int = 0
    start_time: datetime | None = None
    conditions: tuple[JobCondition, ...] = ()


class JobObject(Wire, frozen=True):
    metadata: Metadata
    spec: JobSpec
    status: JobStatus = JobStatus()

    @property
    def task(self) -> Key:
        return self.metadata.labelled

    def value(self) -> Job:
        meta, status = self.metadata, self.status
        limit = self.spec.backoff_limit_per_index
        reason = meta.annotations.get(GIVEN_UP_REASON)
        scheduled = _time(meta.annotations.get(SCHEDULED_TIME, ""))
        end = self._end()
        job = Job(
            name=meta.name,
            uid=meta.uid,
            creation_time=meta.created,
            scheduled_time=scheduled,
            trigger=_trigger(meta, scheduled),
            max_attempts=(self.spec.backoff_limit if limit is None else limit) + 1,
            failed=status.failed,
            succeeded=status.succeeded,
            end=end,
            deleting=meta.deletion_timestamp is not None,
            active=status.active,
            suspended=self.spec.suspend,
            given_up=(reason, meta.annotations.get(GIVEN_UP_MESSAGE, "")) if reason else None,
            parameters=meta.annotations.get(PARAMETERS),
            start_time=None if end else status.start_time,
            ready=status.ready,
            stuck=_stuck(meta.annotations),
            gated=GATED in meta.annotations,
            admitted_time=_time(meta.annotations.get(ADMITTED_AT, "")),
            terminating=status.terminating,
            version=meta.version,
        )
        if job.end is None and job.given_up and job.never_started:
            withdrawn = _time(meta.annotations.get(WITHDRAWN_AT, "")) or meta.created
            return replace(job, end=JobEnd(False, *job.given_up, withdrawn))
        return job

    def _end(self) -> JobEnd | None:
        for condition in self.status.conditions:
            if condition.type in ("Complete", "Failed") and condition.status == "True":
                time = condition.last_transition_time or self.metadata.created
                # Thousands of Jobs end in the same words, which are kept once.
                return JobEnd(condition.type == "Complete", intern(condition.reason), intern(condition.message), time)
        return None


class Terminated(Wire, frozen=True):
    exit_code: int
    finished_at: datetime | None = None
    reason: str = ""
    message: str = ""


class Waiting(Wire, frozen=True):
    reason: str = ""
    message: str = ""


class Running(Wire, frozen=True):
    pass


class ContainerState(Wire, frozen=True):
    terminated: Terminated | None = None
    waiting: Waiting | None = None
    running: Running | None = None


class ContainerStatus(Wire, frozen=True):
    state: ContainerState = ContainerState()


class PodCondition(Wire, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class PodStatus(Wire, frozen=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class PodObject(Wire, frozen=True):
    metadata: Metadata
    status: PodStatus = PodStatus()

    @property
    def task(self) -> Key:
        return self.metadata.labelled

    def value(self) -> Pod:
        meta, status = self.metadata, self.status
        statuses = (*status.container_statuses, *status.init_container_statuses)
        ends = [entry.state.terminated for entry in statuses if entry.state.terminated]
        return Pod(
            name=meta.name,
            job_uid=meta.labels.get(JOB_UID, ""),
            creation_time=meta.created,
            succeeded=status.phase == "Succeeded",
            disrupted=any((known.type, known.status) == ("DisruptionTarget", "True") for known in status.conditions),
            failures_before=_count(meta.annotations.get(FAILURE_COUNT, "")),
            reason=status.reason,
            message=status.message,
            containers=tuple(ContainerEnd(end.exit_code, end.reason, end.message) for end in ends),
            # A pod that never ran, or that its node forgot, has no end of its own: then it ended when it began.
            end_time=max((end.finished_at for end in ends if end.finished_at), default=meta.created),
            deleting=meta.deletion_timestamp is not None,
        )


def _stuck(annotations: dict[str, str]) -> Stuck | None:
    """The operator's own account on a Job; what somebody has made unreadable counts for nothing."""
    attempts, time = _count(annotations.get(STUCK_ATTEMPTS, "")), _time(annotations.get(STUCK_TIME, ""))
    if not attempts or time is None:
        return None
    return Stuck(attempts, time, annotations.get(STUCK_REASON, ""), annotations.get(STUCK_MESSAGE, ""))


def _trigger(meta: Metadata, scheduled: datetime | None) -> Trigger:
    """The CronJob controller notes the slot on each Job it makes; `kubectl create job --from` copies what it finds in
    the template, where there is none."""
    if meta.annotations.get(TRIGGER) in {trigger.value for trigger in Trigger}:
        return Trigger(meta.annotations[TRIGGER])
    return Trigger.SCHEDULE if scheduled and INSTANTIATE not in meta.annotations else Trigger.MANUAL


def _count(text: str) -> int:
    """A count in an annotation; 0 where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def _time(text: str) -> datetime | None:
    """A time in an annotation, which anybody may have written; None where it is none."""
    try:
        moment = datetime.fromisoformat(text).replace(microsecond=0)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
