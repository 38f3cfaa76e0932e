"""The audit trail: what a job did, written in the transaction that did it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from job_queue.database import now, reading, storable
from job_queue.tables import AuditEvent

KINDS = ("document", "embedding", "monday", "jira", "import", "cleanup")
"""Of what the events are, one kind for each command."""


def record(connection: sa.Connection, kind: str, run: str, subject: str, what: str, **detail: Any) -> int:
    """Write one event, and return its id. `run` is the run's name, empty for one by hand; `what` is a word such as
    ``failed``."""
    assert kind in KINDS
    row = {"kind": kind, "at": now(), "run": run, "subject": subject, "what": what, "detail": storable(detail)}
    return connection.execute(sa.insert(AuditEvent).values(row).returning(AuditEvent.id)).scalar_one()


@dataclass(slots=True)
class Tally:
    """What a run did so far, as the counts of one event. Each transaction adds what it did, so that the event tells the
    whole also where an attempt was stopped in its midst. `event`: its id, once there is one."""

    kind: str
    run: str
    subject: str
    what: str
    counts: dict[str, int]
    event: int | None = None

    def add(self, connection: sa.Connection, **counts: int) -> None:
        """Add to the counts."""
        self.counts |= {name: self.counts.get(name, 0) + count for name, count in counts.items()}
        if self.event is None:
            self.event = record(connection, self.kind, self.run, self.subject, self.what, **self.counts)
        else:
            changed = {"at": now(), "detail": self.counts}
            connection.execute(sa.update(AuditEvent).where(AuditEvent.id == self.event).values(changed))


def tally(engine: sa.Engine, kind: str, run: str, subject: str, what: str) -> Tally:
    """The counts of the run's earlier attempts; none for its first, or by hand."""
    own = (AuditEvent.kind == kind, AuditEvent.run == run, AuditEvent.subject == subject, AuditEvent.what == what)
    with reading(engine) as connection:
        found = connection.execute(sa.select(AuditEvent.id, AuditEvent.detail).where(*own)).first() if run else None
    return Tally(kind, run, subject, what, dict(found.detail) if found else {}, found.id if found else None)
