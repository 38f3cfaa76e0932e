"""The condition Healthy: whether the task's runs succeed as its `spec.alerts` asks for.

Three rules: `consecutiveFailures`; `missedSlots`; and `noSuccessFor`, the dead man's switch, which also fires when
nothing runs.

A suspended or paused task is not expected to succeed, so `noSuccessFor` rests meanwhile and counts anew from the end of
the suspension or pause. That makes a task healthy again that was not because of this rule alone.
"""

from dataclasses import dataclass
from datetime import datetime

from scheduledtask.api.duration import format_duration
from scheduledtask.api.spec import Alerts, ScheduledTaskSpec
from scheduledtask.api.status import Condition, ScheduledTaskStatus, format_time
from scheduledtask.domain.conditions import HEALTHY, condition
from scheduledtask.domain.values import Task

NO_SUCCESS = "NoSuccess"
CONSECUTIVE_FAILURES = "ConsecutiveFailures"
MISSED_SLOTS = "MissedSlots"


@dataclass(frozen=True, slots=True)
class Health:
    """The condition, and when to judge again though nothing happens: at the end of `noSuccessFor` or of a pause."""

    condition: Condition
    again_at: datetime | None


def health(task: Task, status: ScheduledTaskStatus, now: datetime) -> Health:
    """Judge by the counters of `status`, which has `success_awaited_since` for this moment."""
    alerts = task.spec.alerts if task.spec else Alerts()
    causes: list[tuple[str, str]] = []
    deadline = _success_due(task, alerts, status)
    again_at = deadline if deadline and now < deadline else _pause_end(task.spec, now)
    if deadline and now >= deadline:
        causes.append((NO_SUCCESS, _no_success(task, alerts, status)))
    if status.consecutive_failures >= alerts.consecutive_failures:
        causes.append((CONSECUTIVE_FAILURES, _failures(status.consecutive_failures)))
    if alerts.missed_slots and status.consecutive_missed >= alerts.missed_slots:
        causes.append((MISSED_SLOTS, _missed(status.consecutive_missed)))
    if causes:
        # The first is the worst: that work is not done at all matters more than how its runs end or that some are late.
        (reason, message), *others = causes
        message += "".join(f" Also ({other}): {words}" for other, words in others)
        return Health(condition(status.conditions, HEALTHY, "False", reason, message, now), again_at)
    if not (status.success_count or status.failure_count):
        unknown = condition(status.conditions, HEALTHY, "Unknown", "NoRunYet", "No run has ended yet.", now)
        return Health(unknown, again_at)
    message = f"Fewer than {alerts.consecutive_failures} failed runs in a row"
    if alerts.no_success_for:
        message += (
            f", and a success within {format_duration(alerts.no_success_for)} as long as slots are not passed over"
        )
    return Health(condition(status.conditions, HEALTHY, "True", "RunsSucceed", f"{message}.", now), again_at)


def success_awaited_since(task: Task, now: datetime) -> datetime | None:
    """Since when a success is awaited: the task's creation, or the end of its last suspension or pause.

    None during one. A spec that can't be read tells neither, and leaves what was known.
    """
    known = task.status.success_awaited_since
    if task.spec is None:
        return known
    if _at_rest(task.spec, now):
        return None
    first_sight = task.status.observed_generation is None
    return known or (task.creation_time if first_sight else now)


def _at_rest(spec: ScheduledTaskSpec, now: datetime) -> bool:
    return spec.suspend or _pause_end(spec, now) is not None


def _pause_end(spec: ScheduledTaskSpec | None, now: datetime) -> datetime | None:
    if spec is None or spec.pause_until is None:
        return None
    end = spec.pause_until.replace(microsecond=0)
    return end if now < end else None


def _success_due(task: Task, alerts: Alerts, status: ScheduledTaskStatus) -> datetime | None:
    if alerts.no_success_for is None or status.success_awaited_since is None:
        return None
    last = status.last_success_time or task.creation_time
    return max(last, status.success_awaited_since) + alerts.no_success_for


def _no_success(task: Task, alerts: Alerts, status: ScheduledTaskStatus) -> str:
    assert alerts.no_success_for is not None
    period = format_duration(alerts.no_success_for)
    last = (
        f"the last success was at {format_time(status.last_success_time)}" if status.last_success_time else "none ever"
    )
    look = "see lastError" if status.failure_count else "see whether the task is Ready and when it is due (nextRunTime)"
    return f"No run has succeeded for {period} ({last}): {look}."


def _missed(count: int) -> str:
    slots = "slot was" if count == 1 else f"{count} slots in a row were"
    return f"The last {slots} missed: status.history says why."


def _failures(count: int) -> str:
    runs = "run" if count == 1 else f"{count} runs in a row"
    return f"The last {runs} failed: see lastError."
