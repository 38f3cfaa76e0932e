"""The CronJob that a task becomes: the Job shape in which one Job is a run and its pods are the attempts.

The shape works without the operator: the Job controller retries with its own backoff, ends a run at once on a
non-retryable exit code, and does not count an attempt that a drain or a preemption ended.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from scheduledtask.api.spec import CatchUp, ConcurrencyPolicy, ScheduledTaskSpec
from scheduledtask.api.status import Trigger
from scheduledtask.domain.values import (
    API_VERSION,
    GATED,
    KIND,
    PARAMETERS,
    SCHEDULED_TIME,
    TASK_LABEL,
    TRIGGER,
    CronJob,
    Task,
)

Body = dict[str, Any]

NEVER = "0 0 30 2 *"
"""A schedule that is valid and never due: that of a task on demand."""

JOBS_KEPT_UNSEEN = 500
"""How many ended Jobs of each kind the CronJob controller leaves for the operator to count when it comes back. The
operator itself prunes to `history` as soon as a Job is counted; this bounds what its absence can pile up."""

GRACE_WITHOUT_CATCH_UP = 300
"""Seconds that a run may be late under `catchUp: None` where no startingDeadline is set. A busy CronJob controller
is minutes late by itself: a shorter grace would lose slots that were not missed at all."""

_POLICIES = {
    ConcurrencyPolicy.FORBID: "Forbid",
    ConcurrencyPolicy.ALLOW: "Allow",
    ConcurrencyPolicy.REPLACE: "Replace",
    # Each slot becomes a Job that waits for its turn.
    ConcurrencyPolicy.QUEUE: "Allow",
}


def cron_job_body(task: Task, spec: ScheduledTaskSpec, schedule: str | None, suspended: bool) -> Body:
    """The CronJob to apply. `schedule` has H resolved; None makes a CronJob that only serves manual runs."""
    labels = {TASK_LABEL: task.key.name, "app.kubernetes.io/managed-by": "scheduledtask-operator"}
    body: Body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": task.key.name,
            "namespace": task.key.namespace,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": task.key.name,
                    "uid": task.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {
            "schedule": schedule or NEVER,
            "timeZone": spec.time_zone,
            "suspend": suspended or schedule is None,
            "concurrencyPolicy": _POLICIES[spec.concurrency.policy],
            "successfulJobsHistoryLimit": JOBS_KEPT_UNSEEN,
            "failedJobsHistoryLimit": JOBS_KEPT_UNSEEN,
            "jobTemplate": {
                "metadata": {"labels": {TASK_LABEL: task.key.name}, **_gate_mark(spec)},
                "spec": _job_spec(task, spec, _environment(task, spec, _defaults(spec))),
            },
        },
    }
    deadline = _starting_deadline_seconds(spec, schedule)
    if deadline is not None:
        body["spec"]["startingDeadlineSeconds"] = deadline
    return body


def slot_job_body(task: Task, spec: ScheduledTaskSpec, cron_job: CronJob, name: str, slot: datetime) -> Body:
    """The Job of a slot that the CronJob controller did not start, as it would have made it."""
    annotations = {
        SCHEDULED_TIME: slot.astimezone(ZoneInfo(spec.time_zone)).isoformat(timespec="seconds"),
        TRIGGER: Trigger.CATCH_UP.value,
    }
    environment = _environment(task, spec, _defaults(spec))
    return _job_body(task, spec, cron_job, name, annotations, environment)


def run_job_body(
    task: Task, spec: ScheduledTaskSpec, cron_job: CronJob, name: str, trigger: Trigger, values: Mapping[str, str]
) -> Body:
    """The Job of a run that a command asks for, as `kubectl create job --from` would make it but for its parameters."""
    annotations = {TRIGGER: trigger.value, PARAMETERS: json.dumps(dict(values), sort_keys=True)}
    environment = [*_environment(task, spec, values), {"name": "TASK_TRIGGER", "value": trigger.value}]
    return _job_body(task, spec, cron_job, name, annotations, environment)


def _job_body(
    task: Task, spec: ScheduledTaskSpec, cron_job: CronJob, name: str, annotations: Body, environment: list[Body]
) -> Body:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": task.key.namespace,
            "labels": {TASK_LABEL: task.key.name},
            "annotations": {**annotations, **_gate_mark(spec).get("annotations", {})},
            # Not blockOwnerDeletion: where that is guarded, it takes the right to write finalizers of CronJobs.
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": task.key.name,
                    "uid": cron_job.uid,
                    "controller": True,
                }
            ],
        },
        "spec": _job_spec(task, spec, environment),
    }


def _gate_mark(spec: ScheduledTaskSpec) -> Body:
    """Metadata of Jobs that are born suspended, by which they are known when they are not any more."""
    return {"annotations": {GATED: "true"}} if spec.concurrency.gated else {}


def digest_of(body: Body) -> str:
    """A short digest of a body: equal bodies have equal digests."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:20]


def _starting_deadline_seconds(spec: ScheduledTaskSpec, schedule: str | None) -> int | None:
    if spec.starting_deadline is not None:
        return int(spec.starting_deadline.total_seconds())
    # With @every, a deadline below the delay makes the CronJob controller never start anything.
    graced = spec.catch_up is CatchUp.NONE and not (schedule or "").startswith("@every")
    return GRACE_WITHOUT_CATCH_UP if graced else None


def _job_spec(task: Task, spec: ScheduledTaskSpec, environment: list[Body]) -> Body:
    rules: list[Body] = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    if spec.retry.non_retryable.exit_codes:
        rules.append(
            {
                "action": "FailJob",
                "onExitCodes": {"operator": "In", "values": sorted(spec.retry.non_retryable.exit_codes)},
            }
        )
    job: Body = {
        "completionMode": "Indexed",
        "completions": 1,
        "parallelism": 1,
        "backoffLimitPerIndex": spec.retry.max_attempts - 1,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": rules},
        "template": _pod_template(task, spec, environment),
    }
    if spec.concurrency.gated:
        job["suspend"] = True
    if spec.timeouts.run is not None:
        job["activeDeadlineSeconds"] = int(spec.timeouts.run.total_seconds())
    return job


def _pod_template(task: Task, spec: ScheduledTaskSpec, environment: list[Body]) -> Body:
    template: Body = _without_nulls(spec.template)
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**metadata.get("labels", {}), TASK_LABEL: task.key.name}
    pod: Body = template.setdefault("spec", {})
    pod.setdefault("restartPolicy", "Never")
    if spec.timeouts.attempt is not None:
        pod.setdefault("activeDeadlineSeconds", int(spec.timeouts.attempt.total_seconds()))
    for container in (*pod.get("containers", ()), *pod.get("initContainers", ())):
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
        own = container.get("env", [])
        names = {variable.get("name") for variable in own}
        # Before the author's own, so that those may refer to them as $(TASK_RUN); an author's own name wins.
        container["env"] = [variable for variable in environment if variable["name"] not in names] + own
    return template


def _without_nulls(value: Any) -> Any:
    """A copy in which what is null is absent, which means the same to Kubernetes."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _defaults(spec: ScheduledTaskSpec) -> dict[str, str]:
    return {parameter.name: parameter.default for parameter in spec.parameters if parameter.default is not None}


def _environment(task: Task, spec: ScheduledTaskSpec, values: Mapping[str, str]) -> list[Body]:
    return [
        {"name": "TASK_NAME", "value": task.key.name},
        {"name": "TASK_NAMESPACE", "value": task.key.namespace},
        {"name": "TASK_RUN", "valueFrom": _field("metadata.labels['batch.kubernetes.io/job-name']")},
        # The Job controller's own count: it is right without the operator, and so it starts at 0.
        {
            "name": "TASK_FAILED_ATTEMPTS",
            "valueFrom": _field("metadata.annotations['batch.kubernetes.io/job-index-failure-count']"),
        },
        {"name": "TASK_MAX_ATTEMPTS", "value": str(spec.retry.max_attempts)},
        {"name": "TASK_PARAMETERS", "value": _escape(json.dumps(dict(values), sort_keys=True))},
        *({"name": f"PARAM_{name.upper()}", "value": _escape(value)} for name, value in values.items()),
    ]


def _field(path: str) -> Body:
    # The API server fills in apiVersion by default; said here, a comparison finds nothing to change.
    return {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}


def _escape(value: str) -> str:
    """Kubernetes expands $(NAME) in environment values; `$$` is a plain dollar sign."""
    return value.replace("$", "$$")
