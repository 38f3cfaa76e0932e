"""The audit trail: what a job did, written in the transaction that did it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from job_queue.database import now, storable
from job_queue.tables import AuditEvent

KINDS = ("document", "embedding", "monday", "jira", "import", "cleanup")
"""Of what the events are, one kind for each command."""


def record(connection: sa.Connection, kind: str, run: str, subject: str, what: str, **detail: Any) -> None:
    """Write one event. `run` is the run's name, empty for one by hand; `what` is a word such as ``failed``."""
    assert kind in KINDS
    connection.execute(
        sa.insert(AuditEvent),
        [{"kind": kind, "at": now(), "run": run, "subject": subject, "what": what, "detail": storable(detail)}],
    )
