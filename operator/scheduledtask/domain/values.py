"""The small frozen values that decisions are made from: what is kept of a task and of its children."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from scheduledtask.api.spec import ScheduledTaskSpec, Webhook
from scheduledtask.api.status import AppliedCronJob, ScheduledTaskStatus, Trigger

GROUP = "scheduledtask.dev"
VERSION = "v1alpha1"
KIND = "ScheduledTask"
API_VERSION = f"{GROUP}/{VERSION}"
SCHEDULED_TIME = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""An annotation of the CronJob controller's on its Jobs: the slot, in the CronJob's time zone."""
TRIGGER = f"{GROUP}/trigger"
"""An annotation on the Jobs that the operator makes itself: who asked for them."""
PARAMETERS = f"{GROUP}/parameters"
"""An annotation on the Jobs of commands: the parameters that were given, a JSON object of strings."""
GATED = f"{GROUP}/gated"
"""An annotation on Jobs that are born suspended, to wait for their turn."""
TASK_LABEL = f"{GROUP}/task"
"""Stands on the CronJob, its Jobs and their pods, with the name of the task as its value."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which task: its namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Task:
    """A ScheduledTask. `spec` is None where the stored one can't be read; `invalid` then says why."""

    key: Key
    uid: str
    generation: int
    creation_time: datetime
    deleting: bool
    spec: ScheduledTaskSpec | None
    invalid: str | None
    status: ScheduledTaskStatus
    annotations: tuple[tuple[str, str], ...] = ()
    """Those that are commands, keys and values, sorted."""


@dataclass(frozen=True, slots=True)
class JobReference:
    """A Job by name and UID."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class CronJob:
    """What is kept of a CronJob. `owner_uid` is that of its controller, if it has one."""

    uid: str
    generation: int
    owner_uid: str | None
    task_label: str | None
    schedule: str
    time_zone: str
    suspended: bool
    creation_time: datetime
    last_schedule_time: datetime | None
    deleting: bool
    active: tuple[JobReference, ...] = ()
    """Its active Jobs, as the CronJob controller knows them."""
    version: int = field(default=0, compare=False)
    """Of the object; not compared, for a new version alone changes nothing."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a Job ended: its Complete or Failed condition."""

    succeeded: bool
    reason: str
    message: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Stuck:
    """How many attempts of a run were ended because they had not started in time; the rest tells of the last one."""

    attempts: int
    time: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """What is kept of a Job. `failed` and `succeeded` count pods; `scheduled_time` is the slot that made it."""

    name: str
    uid: str
    creation_time: datetime
    scheduled_time: datetime | None
    trigger: Trigger
    max_attempts: int
    failed: int
    succeeded: int
    end: JobEnd | None
    deleting: bool
    active: int = 0
    """Pods that run or are to."""
    suspended: bool = False
    given_up: tuple[str, str] | None = None
    """Why the operator ended the run: reason and message. Without a message, its attempts are used up."""
    parameters: str | None = None
    """The parameters that its command gave, as a JSON object."""
    start_time: datetime | None = None
    """When the Job controller began with it, or went on with it after a suspension; None once it has ended."""
    ready: int = 0
    """Pods of which all containers run and are ready."""
    stuck: Stuck | None = None
    gated: bool = False
    """Born suspended, to wait for its turn."""
    admitted_time: datetime | None = None
    """When its first turn came."""
    terminating: int = 0
    """Pods that were told to end and have not."""
    version: int = field(default=0, compare=False)
    """Of the object; not compared, for a new version alone changes nothing."""

    @property
    def never_started(self) -> bool:
        """Whether it waits for its first turn, or has ended without one."""
        return self.gated and self.suspended and self.admitted_time is None

    @property
    def begin_time(self) -> datetime | None:
        """When the run started: to wait for a turn is not to run."""
        return None if self.never_started else self.admitted_time or self.creation_time

    @property
    def at_work(self) -> bool:
        """Whether it may have pods that run, now or at any moment: then no other run of its gate may."""
        return self.end is None and (not self.suspended or self.active > 0 or self.terminating > 0)


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How a container ended. `message` is its termination message or the tail of its log."""

    exit_code: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Pod:
    """What is kept of a pod that ended. `failures_before` counts the failed attempts of its run before it."""

    name: str
    job_uid: str
    creation_time: datetime
    succeeded: bool
    disrupted: bool
    """Ended by a drain, a preemption or the like, which is no fault of the program."""
    failures_before: int
    reason: str
    message: str
    containers: tuple[ContainerEnd, ...]
    end_time: datetime | None = None
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class OpenPod:
    """What is read of a pod that has not ended, where its attempt is late in starting."""

    name: str
    creation_time: datetime
    pending: bool
    """Its phase: not all of its containers have been started yet."""
    running: bool = False
    """One of its containers runs: of a pending pod, an init container."""
    last_end: datetime | None = None
    """When the latest of its containers that ended did so."""
    waiting: tuple[tuple[str, str], ...] = ()
    """Why containers wait, reasons and messages."""
    unscheduled: tuple[str, str] | None = None
    """Why it has no node, reason and message."""


@dataclass(frozen=True, slots=True)
class Start:
    """What was seen of an attempt when it was late in starting. `attempt` tells which one of its Job it is."""

    attempt: tuple[object, ...]
    again_at: datetime | None
    """When to look again; None where it has started."""
    stuck: tuple[str, str] | None = None
    """Why it is to be ended: what Kubernetes says it waits for, reason and message."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server's no to a CronJob with this digest. `final`: the same will always be refused."""

    digest: str
    message: str
    time: datetime
    final: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known of one task at one moment."""

    task: Task
    cron_job: CronJob | None
    jobs: tuple[Job, ...]
    pods: tuple[Pod, ...]
    applied: AppliedCronJob | None
    """The CronJob as last written, by what this process remembers or else the status says."""
    refusal: Refusal | None
    default_webhook: Webhook | None = None
    """The operator's own, for tasks that name none."""
    settled_messages: frozenset[str] = frozenset()
    """Ids of webhook messages that this process has delivered or given up, and that the status still has waiting."""
    refused_commands: Mapping[str, str] = field(default_factory=dict)
    """Commands whose Job could not be made, by their annotation: the API server's words."""
    starts: Mapping[str, Start] = field(default_factory=dict)
    """What this process has seen of attempts that are late in starting, by the UID of their Job."""
