"""What is told to a task's webhook, and what waits to be told: an outbox in the status.

A message enters the outbox in the same status write that counts what it tells, and leaves it in a write after its
delivery. So a crash loses none; one between delivery and write delivers again, under the same id and with the same
bytes. A task without a webhook costs no write for it; one with a webhook costs one for each batch delivered.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduledtask.api.spec import Webhook, WebhookEvent
from scheduledtask.api.status import Condition, HistoryEntry, ScheduledTaskStatus, WebhookMessage, format_time
from scheduledtask.domain.conditions import HEALTHY, find
from scheduledtask.domain.outcome import EndedRun
from scheduledtask.domain.report import tail
from scheduledtask.domain.values import Snapshot, Task

OUTBOX_LIMIT = 100
"""Messages that wait, at most: of more, the oldest completions go first, then the oldest of all."""
MESSAGE_LIMIT = 512
"""Characters of a run's last words that are told."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """What waits to be delivered, the oldest first, and what found no room."""

    waiting: tuple[WebhookMessage, ...] = ()
    dropped: tuple[WebhookMessage, ...] = ()


def webhook_of(snapshot: Snapshot) -> Webhook | None:
    """Where the task's messages go: its own webhook, or else the operator's default."""
    spec = snapshot.task.spec
    if spec is None:
        return None
    return spec.alerts.webhook or snapshot.default_webhook


def fill_outbox(
    snapshot: Snapshot, status: ScheduledTaskStatus, healthy: Condition, ended: tuple[EndedRun, ...], now: datetime
) -> Outbox:
    """Take out what is settled, put in what this pass finds. `status` has the new counters."""
    task = snapshot.task
    webhook = webhook_of(snapshot)
    if webhook is None:
        # An unreadable spec may name one: what waits for it waits until it can be read again.
        return Outbox(task.status.webhook_messages if task.spec is None else ())
    waiting = {entry.id: entry for entry in task.status.webhook_messages if entry.id not in snapshot.settled_messages}
    for message in _new_messages(task, status, webhook, healthy, ended, now):
        waiting.setdefault(message.id, message)
    return _within_limit(tuple(waiting.values()))


def message_id(task_uid: str, event: WebhookEvent, subject: str) -> str:
    """The same for the same event whenever and by whomever it is found; receivers tell repetitions by it."""
    return "msg_" + hashlib.sha256(f"{task_uid} {event} {subject}".encode()).hexdigest()[:32]


def _new_messages(
    task: Task,
    status: ScheduledTaskStatus,
    webhook: Webhook,
    healthy: Condition,
    ended: tuple[EndedRun, ...],
    now: datetime,
) -> Iterable[WebhookMessage]:
    # What became of slots without a run is in the account too.
    runs = [run.entry for run in ended if run.entry.run]
    if WebhookEvent.COMPLETION in webhook.events:
        for entry in runs:
            subject = entry.uid or entry.run or ""
            yield _message(task, status, WebhookEvent.COMPLETION, subject, entry.end_time, healthy, entry)
    turn = _turn(find(task.status.conditions, HEALTHY), healthy)
    if turn in webhook.events:
        # The counters tell two turns of one second apart.
        subject = f"{format_time(healthy.last_transition_time)} {status.success_count} {status.failure_count}"
        yield _message(task, status, turn, subject, now, healthy, runs[-1] if runs else None)


def _turn(before: Condition | None, after: Condition) -> WebhookEvent | None:
    was_unhealthy = before is not None and before.status == "False"
    if after.status == "False":
        return None if was_unhealthy else WebhookEvent.FAILURE
    return WebhookEvent.RECOVERY if was_unhealthy else None


def _message(
    task: Task,
    status: ScheduledTaskStatus,
    event: WebhookEvent,
    subject: str,
    time: datetime,
    healthy: Condition,
    run: HistoryEntry | None,
) -> WebhookMessage:
    data: dict[str, Any] = {
        "task": task.key.name,
        "namespace": task.key.namespace,
        "uid": task.uid,
        "healthy": {
            "status": healthy.status,
            "reason": healthy.reason,
            "message": healthy.message,
            "since": format_time(healthy.last_transition_time),
        },
        "counters": {
            "succeeded": status.success_count,
            "failed": status.failure_count,
            "cancelled": status.cancelled_count,
            "retries": status.retry_count,
            "skipped": status.skipped_count,
            "missed": status.missed_count,
            "consecutiveFailures": status.consecutive_failures,
            "consecutiveMissed": status.consecutive_missed,
        },
    }
    if status.last_success_time:
        data["lastSuccessTime"] = format_time(status.last_success_time)
    if run:
        # Not its result: what a program reports may be meant for the cluster's own people only.
        told = run.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"uid", "result"})
        data["run"] = told | {"message": tail(run.message or "", MESSAGE_LIMIT)}
    kind = f"scheduledtask.{event.value.lower()}"
    return WebhookMessage(id=message_id(task.uid, event, subject), type=kind, timestamp=time, data=data)


def _within_limit(waiting: tuple[WebhookMessage, ...]) -> Outbox:
    surplus = max(0, len(waiting) - OUTBOX_LIMIT)
    completions = [entry for entry in waiting if entry.type.endswith(".completion")]
    others = [entry for entry in waiting if not entry.type.endswith(".completion")]
    dropped = (*completions, *others)[:surplus]
    gone = {entry.id for entry in dropped}
    return Outbox(tuple(entry for entry in waiting if entry.id not in gone), dropped)
