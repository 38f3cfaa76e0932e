"""What a user asks for: `ScheduledTask.spec`, version v1alpha1.

The custom resource definition is made from these models, descriptions included: what stands here is what
`kubectl explain scheduledtask.spec` says.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from scheduledtask.api.cron_rules import schedule_rules
from scheduledtask.api.duration import Duration, PositiveDuration, StartingDeadline
from scheduledtask.api.markers import SET, map_by, rules
from scheduledtask.api.parameter_rules import parameter_rules
from scheduledtask.api.pod_template import POD_TEMPLATE
from scheduledtask.api.spec_rules import (
    OF_CONCURRENCY,
    OF_PARAMETER_NAME,
    OF_SPEC,
    OF_TIME,
    OF_TIME_ZONE,
    OF_TIMEOUTS,
    OF_URL,
    PARAMETER_NAME,
    URL,
)


class Model(BaseModel):
    """A part of the API: immutable, camelCase on the wire; unknown fields are left to the API server to prune."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


PodTemplate = Annotated[dict[str, Any], WithJsonSchema(POD_TEMPLATE)]
PauseTime = Annotated[AwareDatetime, WithJsonSchema({"type": "string", "maxLength": 40, **OF_TIME})]


class CatchUp(StrEnum):
    LATEST = "Latest"
    NONE = "None"


class ConcurrencyPolicy(StrEnum):
    FORBID = "Forbid"
    ALLOW = "Allow"
    REPLACE = "Replace"
    QUEUE = "Queue"


class ParameterType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


class WebhookEvent(StrEnum):
    FAILURE = "Failure"
    RECOVERY = "Recovery"
    COMPLETION = "Completion"


class Concurrency(Model):
    """What may run at the same time."""

    model_config = ConfigDict(json_schema_extra=OF_CONCURRENCY)

    policy: ConcurrencyPolicy = Field(
        default=ConcurrencyPolicy.FORBID,
        description="What happens when a run is due while another run of this task is active. Forbid: the new one is "
        "skipped. Allow: both run. Replace: the active one is ended. Queue: the new one waits for its turn, "
        "which needs the operator; with startingDeadline, a slot's run that waits for longer is missed.",
    )
    group: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Tasks of one namespace that name the same group never run at the same time, however their runs "
        "come about: a run waits for its turn, which needs the operator. Between its attempts it lets others go first.",
    )
    priority: int = Field(
        default=0,
        ge=-1000,
        le=1000,
        description="Who goes first when several runs of a group wait: the one with the higher sum of priority and "
        "minutes waited. So 60 more is worth an hour of waiting, and nobody waits for ever.",
    )

    @property
    def gated(self) -> bool:
        """Whether runs wait for their turn."""
        return self.policy is ConcurrencyPolicy.QUEUE or self.group is not None


class Timeouts(Model):
    """Limits of time. An absent one means no limit."""

    model_config = ConfigDict(json_schema_extra=OF_TIMEOUTS)

    run: PositiveDuration | None = Field(
        default=None,
        description="The longest a run may take, all its attempts together, such as 2h. Then it is ended and Failed.",
    )
    attempt: PositiveDuration | None = Field(
        default=None,
        description="The longest one attempt may take, such as 30m. Then it is ended and counts as a failed attempt.",
    )
    pending: PositiveDuration = Field(
        default=timedelta(minutes=10),
        description="The longest an attempt may wait to start: for its image, for a node, for its volumes. Then it is "
        "ended and counts as a failed attempt. Needs the operator.",
    )


class NonRetryable(Model):
    """Failures after which another attempt is pointless."""

    exit_codes: tuple[Annotated[int, Field(ge=1, le=255)], ...] = Field(
        default=(65, 66, 77, 78),
        max_length=64,
        json_schema_extra=SET,
        description="Exit codes that end the run at once, also while the operator is away. The default is bad input "
        "(65), missing input (66), no permission (77), bad configuration (78), as in sysexits.h.",
    )
    messages: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] = Field(
        default=("permission denied", "not found", "invalid", "unsupported", "401", "403", "404"),
        max_length=64,
        json_schema_extra=SET,
        description="Words in the termination message that end the run, in any case, as whole words.",
    )


class Retryable(Model):
    """Failures that are always tried again."""

    messages: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] = Field(
        default=("timeout", "connection refused", "rate limit", "429", "503"),
        max_length=64,
        json_schema_extra=SET,
        description="Words in the termination message that allow another attempt even where a word of "
        "nonRetryable.messages stands beside them.",
    )


class Retry(Model):
    """How often a failed run is tried again, and when."""

    max_attempts: int = Field(
        default=5,
        ge=1,
        le=100,
        description="How many attempts a run has, the first one included. 1 means no retry.",
    )
    backoff: tuple[Duration, ...] = Field(
        default=(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60)),
        min_length=1,
        max_length=20,
        description="The wait before attempt 2, 3, …, such as [1m, 5m, 15m]; the last one repeats. "
        "A wait below the Job controller's own (10s, 20s, 40s, … up to 10m) is not reached.",
    )
    non_retryable: NonRetryable = Field(
        default=NonRetryable(),
        description="Failures after which another attempt is pointless: the run ends as Failed at once.",
    )
    retryable: Retryable = Field(
        default=Retryable(), description="Failures that are always tried again, as long as attempts are left."
    )
    beyond_next_slot: bool = Field(
        default=False,
        description="Whether a run may go on retrying when its next attempt would fall on or after the next slot. "
        "false: it is given up, and the next slot starts afresh.",
    )


class Parameter(Model):
    """A value that a manual run may set."""

    model_config = ConfigDict(json_schema_extra=rules(*parameter_rules()))

    name: str = Field(
        pattern=PARAMETER_NAME,
        max_length=63,
        json_schema_extra=OF_PARAMETER_NAME,
        description="The name, such as backfill_days. The program sees it as PARAM_BACKFILL_DAYS.",
    )
    type: ParameterType = Field(
        default=ParameterType.STRING,
        description="What the value must be: string, integer, number or boolean.",
    )
    description: str | None = Field(
        default=None, max_length=1024, description="What the parameter means, for people who start runs."
    )
    default: str | None = Field(
        default=None,
        max_length=2048,
        description='The value where a run gives none, written as a string, such as "1". Scheduled runs use it.',
    )
    required: bool = Field(
        default=False,
        description="Whether a manual run must give a value. A task with a schedule needs a default beside it.",
    )
    enum: tuple[Annotated[str, Field(max_length=256)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        json_schema_extra=SET,
        description="The values that are allowed, each written as a string.",
    )
    pattern: str | None = Field(
        default=None,
        max_length=256,
        description="A regular expression (RE2 syntax) that the whole value must match. For strings only.",
    )
    minimum: int | None = Field(default=None, description="The least allowed value, for integer and number.")
    maximum: int | None = Field(default=None, description="The greatest allowed value, for integer and number.")


class History(Model):
    """How much of the past is kept."""

    runs: int = Field(
        default=10,
        ge=1,
        le=100,
        description="How many ended runs and slots status.history keeps, the newest first.",
    )
    succeeded_jobs: int = Field(
        default=3, ge=0, le=100, description="How many succeeded Jobs, with pods and logs, are kept."
    )
    failed_jobs: int = Field(
        default=3,
        ge=0,
        le=100,
        description="How many failed and cancelled Jobs, with pods and logs, are kept.",
    )


class SecretKey(Model):
    """One key of a Secret in the task's namespace."""

    name: str = Field(min_length=1, max_length=253, description="The name of the Secret.")
    key: str = Field(min_length=1, max_length=253, description="The key in its data.")


class Webhook(Model):
    """Where a message goes when the task's health changes."""

    url: str = Field(
        pattern=URL,
        max_length=2048,
        json_schema_extra=OF_URL,
        description="The address that receives the message as an HTTP POST.",
    )
    secret_ref: SecretKey | None = Field(
        default=None,
        description="The key that signs each message, after the Standard Webhooks specification: whsec_ and the base64 "
        "of 24 to 64 random bytes; several with spaces between sign side by side, to change keys without a gap. "
        "Absent: messages are not signed.",
    )
    events: tuple[WebhookEvent, ...] = Field(
        default=(WebhookEvent.FAILURE, WebhookEvent.RECOVERY),
        min_length=1,
        max_length=3,
        json_schema_extra=SET,
        description="What is told: Failure (the task became unhealthy), Recovery (it is healthy again), "
        "Completion (every run that ended).",
    )


class Alerts(Model):
    """When the task counts as unhealthy."""

    consecutive_failures: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="How many failed runs in a row make the condition Healthy false.",
    )
    no_success_for: PositiveDuration | None = Field(
        default=None,
        description="Healthy becomes false when no run succeeded for this long, such as 26h, also if nothing ran. It "
        "rests while the task is suspended or paused, and counts anew from the end of that.",
    )
    missed_slots: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How many missed slots in a row make the condition Healthy false. The run of a "
        "slot, when it ends, ends the row; slots that were skipped do not count.",
    )
    webhook: Webhook | None = Field(default=None, description="Where to tell it, besides the conditions.")


class ScheduledTaskSpec(Model):
    """What to run, when, how often to retry and what must not overlap."""

    model_config = ConfigDict(json_schema_extra=OF_SPEC)

    schedule: str | None = Field(
        default=None,
        max_length=256,
        json_schema_extra=rules(*schedule_rules()),
        description="When to run: five cron fields (minute hour day-of-month month day-of-week), a word such as "
        "@hourly or @daily, or @every 90m. H in a field is a stable value of its own for each task, so that tasks "
        'spread: "H * * * *" is hourly at a minute that stays. Absent: the task runs on demand only.',
    )
    time_zone: str = Field(
        default="Etc/UTC",
        max_length=64,
        json_schema_extra=OF_TIME_ZONE,
        description="The IANA time zone in which the schedule is read, such as Europe/Berlin.",
    )
    suspend: bool = Field(
        default=False,
        description="Whether slots are passed over until this is false again. Runs that are active go on.",
    )
    pause_until: PauseTime | None = Field(
        default=None,
        description="Slots before this time (RFC 3339, such as 2026-12-01T00:00:00Z) are passed over; then the "
        "schedule goes on by itself.",
    )
    pause_reason: str | None = Field(
        default=None,
        max_length=256,
        description="Why the task is suspended or paused, for whoever asks later.",
    )
    starting_deadline: StartingDeadline | None = Field(
        default=None,
        description="How late a run may start after its slot, such as 5m (the misfire grace). Later, the slot is "
        "missed. Absent: however late. At least 10s.",
    )
    catch_up: CatchUp = Field(
        default=CatchUp.LATEST,
        description="What happens to slots that were missed while nothing could start them. Latest: they become one "
        "run, of the latest slot. None: they stay missed.",
    )
    concurrency: Concurrency = Field(default=Concurrency(), description="What may run at the same time.")
    timeouts: Timeouts = Field(default=Timeouts(), description="Limits of time.")
    retry: Retry = Field(default=Retry(), description="How often a failed run is tried again, and when.")
    parameters: tuple[Parameter, ...] = Field(
        default=(),
        max_length=32,
        json_schema_extra=map_by("name"),
        description="Values that a manual run may set. The program sees each as PARAM_<NAME>.",
    )
    history: History = Field(default=History(), description="How much of the past is kept.")
    alerts: Alerts = Field(default=Alerts(), description="When the task counts as unhealthy, and who is told.")
    template: PodTemplate = Field(
        description="The pod to run, a PodTemplateSpec as in a Job. What a run needs and this leaves open is "
        "filled in: restartPolicy Never, log tails as termination messages, the TASK_* and PARAM_* environment.",
    )
