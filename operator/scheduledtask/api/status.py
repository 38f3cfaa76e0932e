"""What became of it: `ScheduledTask.status`, version v1alpha1. Only the operator writes it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, WithJsonSchema

from scheduledtask.api.spec import Model


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes metav1.Time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
AnyObject = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]


class State(StrEnum):
    """What the task is doing, in one word."""

    IDLE = "Idle"
    RUNNING = "Running"
    RETRYING = "Retrying"
    QUEUED = "Queued"
    SUSPENDED = "Suspended"
    PAUSED = "Paused"
    INVALID = "Invalid"


class Trigger(StrEnum):
    """Who asked for a run."""

    SCHEDULE = "Schedule"
    CATCH_UP = "CatchUp"
    MANUAL = "Manual"
    RETRY = "Retry"


class Outcome(StrEnum):
    """How a run or a slot ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    SKIPPED = "Skipped"
    MISSED = "Missed"


class Condition(Model):
    """A metav1.Condition."""

    type: str = Field(max_length=316, description="The name of the condition: Ready or Healthy.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=1024, description="Why, in one CamelCase word.")
    message: str = Field(max_length=32768, description="Why, in a sentence that says how to mend it.")
    last_transition_time: Time = Field(description="When status last changed.")
    observed_generation: int | None = Field(default=None, description="The generation of the spec that it speaks of.")


class AppliedCronJob(Model):
    """The CronJob as the operator last wrote it: what it is compared with to find edits by others."""

    uid: str = Field(max_length=64, description="The UID of the CronJob.")
    generation: int = Field(description="Its generation after the last write.")
    digest: str = Field(max_length=64, description="A digest of what was written.")


class LastError(Model):
    """Why the last failed run failed."""

    run: str = Field(max_length=63, description="The name of the run's Job.")
    time: Time = Field(description="When the run ended.")
    reason: str = Field(max_length=256, description="Why, in one word.")
    message: str = Field(max_length=8192, description="The program's last words, or what Kubernetes said.")
    exit_code: int | None = Field(default=None, description="The exit code of the last attempt, if there was one.")


class AttemptFailure(Model):
    """Why an attempt failed, though its run has not ended."""

    reason: str = Field(max_length=256, description="Why, in one word.")
    message: str | None = Field(
        default=None, max_length=1024, description="The program's last words, or what Kubernetes said."
    )
    exit_code: int | None = Field(default=None, description="The exit code, if there was one.")


class ActiveRun(Model):
    """A run that has not ended."""

    run: str = Field(max_length=63, description="The name of the run's Job.")
    uid: str = Field(max_length=64, description="The UID of the Job.")
    trigger: Trigger = Field(description="Who asked for it: Schedule, CatchUp, Manual or Retry.")
    slot: Time | None = Field(default=None, description="The slot it is the run of, if it has one.")
    start_time: Time | None = Field(
        default=None, description="When it started. Absent while it waits for its first turn."
    )
    attempt: int = Field(description="The number of the current attempt, from 1.")
    next_attempt_time: Time | None = Field(
        default=None, description="When the next attempt is due, after a failed one."
    )
    last_failure: AttemptFailure | None = Field(default=None, description="Why the attempt before this one failed.")
    waiting_for: str | None = Field(
        default=None, max_length=256, description="What it waits for before it, or its next attempt, may start."
    )
    progress: str | None = Field(
        default=None, max_length=1024, description="What the program last said of its progress."
    )


class HistoryEntry(Model):
    """A run or slot that has ended."""

    run: str | None = Field(default=None, max_length=63, description="The name of the run's Job, if there was one.")
    uid: str | None = Field(default=None, max_length=64, description="The UID of the Job.")
    trigger: Trigger = Field(description="Who asked for it: Schedule, CatchUp, Manual or Retry.")
    slot: Time | None = Field(default=None, description="The slot it belongs to, if it has one.")
    slots: int = Field(default=1, description="How many slots in a row this tells of; `slot` is the latest.")
    start_time: Time | None = Field(default=None, description="When the run started.")
    end_time: Time = Field(description="When it ended.")
    outcome: Outcome = Field(description="Succeeded, Failed, Cancelled, Skipped or Missed.")
    reason: str = Field(max_length=256, description="Why, in one word.")
    attempts: int = Field(default=0, description="How many attempts it took.")
    exit_code: int | None = Field(default=None, description="The exit code of the last attempt, if it is known.")
    message: str | None = Field(default=None, max_length=1024, description="Why, in words.")
    result: AnyObject | None = Field(default=None, description="What the program reported in its termination message.")


class SlotLedger(Model):
    """How far the account of slots goes."""

    schedule: str = Field(max_length=256, description="The schedule that is accounted for, with H resolved.")
    time_zone: str = Field(max_length=64, description="Its time zone.")
    until: Time = Field(description="Every slot up to this time has its outcome.")


class WebhookMessage(Model):
    """A message for the webhook that is not delivered yet."""

    id: str = Field(max_length=64, description="Its id, the same in every try (the header webhook-id).")
    type: str = Field(max_length=64, description="What it tells: scheduledtask.failure, .recovery or .completion.")
    timestamp: Time = Field(description="When what it tells happened.")
    data: AnyObject = Field(description="What is told, as it will be sent.")


class ScheduledTaskStatus(Model):
    """What became of the task."""

    observed_generation: int | None = Field(default=None, description="The generation of the spec that this speaks of.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        description="Ready: the schedule is in place. Healthy: its runs succeed.",
    )
    state: State | None = Field(
        default=None, description="In one word: Idle, Running, Retrying, Queued, Suspended, Paused or Invalid."
    )
    resolved_schedule: str | None = Field(
        default=None, description="The schedule with H resolved, as the CronJob has it."
    )
    cron_job: AppliedCronJob | None = Field(default=None, description="The CronJob as the operator last wrote it.")
    next_run_time: Time | None = Field(default=None, description="The next slot.")
    next_run_times: tuple[Time, ...] = Field(
        default=(), max_length=10, description="The next slots, the soonest first."
    )
    last_schedule_time: Time | None = Field(default=None, description="The latest slot that became a run.")
    last_run_time: Time | None = Field(default=None, description="When the latest run started.")
    last_outcome: Outcome | None = Field(default=None, description="How the latest run that ended did end.")
    last_success_time: Time | None = Field(default=None, description="When a run last succeeded.")
    success_awaited_since: Time | None = Field(
        default=None,
        description="Since when a success is awaited: the task's creation, or the end of its last suspension or pause. "
        "alerts.noSuccessFor counts from here or from the last success. Absent during a suspension or pause.",
    )
    last_failure_time: Time | None = Field(default=None, description="When a run last failed.")
    last_duration: str | None = Field(default=None, max_length=32, description="How long the last ended run took.")
    last_error: LastError | None = Field(default=None, description="Why the last failed run failed.")
    last_result: AnyObject | None = Field(default=None, description="What the last succeeded run reported.")
    success_count: int = Field(default=0, description="How many runs succeeded.")
    failure_count: int = Field(default=0, description="How many runs failed.")
    cancelled_count: int = Field(default=0, description="How many runs were cancelled or deleted before they ended.")
    retry_count: int = Field(default=0, description="How many attempts beyond the first all ended runs took together.")
    skipped_count: int = Field(default=0, description="How many slots were skipped.")
    missed_count: int = Field(default=0, description="How many slots were missed.")
    consecutive_failures: int = Field(default=0, description="How many runs failed since the last success.")
    slots: SlotLedger | None = Field(default=None, description="How far the account of slots goes.")
    consecutive_missed: int = Field(
        default=0, description="How many slots were missed since the run of a slot last ended."
    )
    active_runs: int = Field(default=0, description="How many runs are active.")
    active: tuple[ActiveRun, ...] = Field(
        default=(), max_length=1000, description="The runs that have not ended, the oldest first."
    )
    history: tuple[HistoryEntry, ...] = Field(
        default=(), max_length=100, description="Runs and slots that have ended, the newest first."
    )
    counted_jobs: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(),
        max_length=2000,
        description="UIDs of finished Jobs that still exist, stand in the counters and are no longer in history.",
    )
    webhook_messages: tuple[WebhookMessage, ...] = Field(
        default=(),
        max_length=100,
        description="Messages for the webhook that are not delivered yet, the oldest first.",
    )
