"""How one run stands or ended: from its Job and pods to what the status says of it."""

from dataclasses import dataclass
from datetime import datetime

from scheduledtask.api.status import ActiveRun, AttemptFailure, HistoryEntry, LastError, Outcome
from scheduledtask.domain.report import read_report, tail
from scheduledtask.domain.values import ContainerEnd, Job, JobEnd, Pod, Stuck

HISTORY_MESSAGE_LIMIT = 1024
ERROR_MESSAGE_LIMIT = 4096
REASON_LIMIT = 256

RUN_TIMEOUT, PENDING_TIMEOUT = "RunTimeout", "PendingTimeout"
_JOB_REASONS = {"PodFailurePolicy": "NonRetryableExitCode", "DeadlineExceeded": RUN_TIMEOUT}
_POD_REASONS = {"DeadlineExceeded": "AttemptTimeout"}
_CONTAINER_REASONS = {"OOMKilled": "OutOfMemory", "Error": "NonZeroExit"}


CANCELLED, REPLACED = "Cancelled", "Replaced"
"""Why a run was given up that nobody wants any more: it is cancelled, not failed."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended: its line of the history, and its error if it failed."""

    entry: HistoryEntry
    error: LastError | None


def active_run(
    job: Job,
    pods: tuple[Pod, ...],
    next_attempt_time: datetime | None = None,
    waiting_for: str | None = None,
    known: ActiveRun | None = None,
) -> ActiveRun:
    """A run that has not ended. A failed pod may be seen before the Job counts it; both tell the attempt.

    known: what the written status says of the run; it remembers why an attempt failed whose pod is gone.
    """
    failed_pods = [pod for pod in pods if not pod.succeeded and not pod.disrupted]
    failed = max([job.failed, *(pod.failures_before + 1 for pod in failed_pods)])
    attempt = min(failed + (job.stuck.attempts if job.stuck else 0) + 1, job.max_attempts)
    told = [pod for pod in failed_pods if pod.failures_before + 1 == failed]
    last_failure = _last_failure(max(told, key=lambda pod: pod.creation_time, default=None), job.stuck)
    if last_failure is None and known and known.attempt == attempt:
        last_failure = known.last_failure
    return ActiveRun(
        run=job.name,
        uid=job.uid,
        trigger=job.trigger,
        slot=job.scheduled_time,
        start_time=job.begin_time,
        attempt=attempt,
        next_attempt_time=next_attempt_time,
        last_failure=last_failure,
        waiting_for=waiting_for,
    )


def ended_run(job: Job, end: JobEnd, pods: tuple[Pod, ...]) -> EndedRun:
    """A run whose Job has ended. `pods` are those of its attempts that are known; the latest tells why."""
    alike = (pod for pod in pods if pod.succeeded is end.succeeded)
    last = max(alike, key=lambda pod: (pod.creation_time, pod.failures_before), default=None)
    stuck = job.stuck if not end.succeeded else None
    if stuck and last and last.creation_time <= stuck.time:
        last = None
    container = _telling_container(last)
    report = read_report(container.message if container else "")
    if end.succeeded:
        outcome, reason, message = Outcome.SUCCEEDED, "Completed", report.message
    elif job.given_up and job.given_up[0] in (CANCELLED, REPLACED):
        outcome, (reason, message) = Outcome.CANCELLED, job.given_up
    elif job.given_up and job.never_started:
        outcome, (reason, message) = Outcome.MISSED, job.given_up
    else:
        outcome = Outcome.FAILED
        reason = (job.given_up[0] if job.given_up else _failure_reason(end, last))[:REASON_LIMIT]
        message = report.message or report.text or (last.message if last else "")
        message = message or (stuck.message if stuck else end.message)
        if job.given_up and job.given_up[1]:
            message = f"Given up: {job.given_up[1]}.\n{message}"
    exit_code = container.exit_code if container else None
    entry = HistoryEntry(
        run=job.name,
        uid=job.uid,
        trigger=job.trigger,
        slot=job.scheduled_time,
        start_time=job.begin_time,
        end_time=end.time,
        outcome=outcome,
        reason=reason,
        attempts=job.failed + job.succeeded + (job.stuck.attempts if job.stuck else 0),
        exit_code=exit_code,
        message=tail(message, HISTORY_MESSAGE_LIMIT) or None,
        result=report.result if end.succeeded else None,
    )
    if outcome is not Outcome.FAILED:
        return EndedRun(entry, None)
    return EndedRun(
        entry,
        LastError(
            run=job.name,
            time=end.time,
            reason=reason,
            message=tail(message, ERROR_MESSAGE_LIMIT),
            exit_code=exit_code,
        ),
    )


def _last_failure(pod: Pod | None, stuck: Stuck | None) -> AttemptFailure | None:
    """Why the latest attempt failed: as its pod tells, or because it did not start."""
    if stuck and (pod is None or pod.creation_time <= stuck.time):
        return AttemptFailure(
            reason=stuck.reason[:REASON_LIMIT], message=tail(stuck.message, HISTORY_MESSAGE_LIMIT) or None
        )
    if pod is None:
        return None
    container = _telling_container(pod)
    report = read_report(container.message if container else "")
    return AttemptFailure(
        reason=(pod_reason(pod) or "Failed")[:REASON_LIMIT],
        message=tail(report.message or report.text or pod.message, HISTORY_MESSAGE_LIMIT) or None,
        exit_code=container.exit_code if container else None,
    )


def vanished_run(run: ActiveRun, now: datetime) -> EndedRun:
    """A run whose Job was deleted before it ended."""
    entry = HistoryEntry(
        run=run.run,
        uid=run.uid,
        trigger=run.trigger,
        slot=run.slot,
        start_time=run.start_time,
        end_time=now,
        outcome=Outcome.CANCELLED,
        reason="JobDeleted",
        attempts=run.attempt if run.start_time else 0,
        message="The Job was deleted before it ended.",
    )
    return EndedRun(entry, None)


def _telling_container(pod: Pod | None) -> ContainerEnd | None:
    """The container that explains a pod's end: the first that ended as the pod did, one with a message before others.

    After a success that leaves out a sidecar, which ends by SIGTERM and so with an exit code of its own.
    """
    if pod is None:
        return None
    ends = [end for end in pod.containers if (end.exit_code == 0) is pod.succeeded]
    return min(ends, key=lambda end: not end.message, default=None)


def pod_reason(pod: Pod) -> str:
    """Why an attempt failed, in one word; empty where its pod does not tell."""
    container = _telling_container(pod)
    if pod.reason:
        return _POD_REASONS.get(pod.reason, pod.reason)
    return _CONTAINER_REASONS.get(container.reason, container.reason) if container else ""


def _failure_reason(end: JobEnd, last: Pod | None) -> str:
    return _JOB_REASONS.get(end.reason) or (pod_reason(last) if last else "") or end.reason or "Failed"
