"""How the conditions of a task are written: Ready (see `readiness`) and Healthy (see `alerts`)."""

from datetime import datetime
from typing import Literal

from scheduledtask.api.status import Condition

READY = "Ready"
HEALTHY = "Healthy"

MESSAGE_LIMIT = 4096
"""Characters. The API server may answer at any length, and a status has to be small."""

ConditionStatus = Literal["True", "False", "Unknown"]


def condition(
    known: tuple[Condition, ...], kind: str, status: ConditionStatus, reason: str, message: str, now: datetime
) -> Condition:
    """The condition, with the time of its last change kept where its status is still the same."""
    before = find(known, kind)
    since = before.last_transition_time if before and before.status == status else now
    return Condition(type=kind, status=status, reason=reason, message=shortened(message), last_transition_time=since)


def shortened(message: str) -> str:
    """The message, cut where it is longer than a status can hold: the first of many problems tells most."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"


def find(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((entry for entry in conditions if entry.type == kind), None)
