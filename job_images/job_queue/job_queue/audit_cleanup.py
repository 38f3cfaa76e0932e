"""audit-cleanup: delete what is older than it has to be kept, in batches, and count it by kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from job_queue import audit
from job_queue.database import now, reading
from job_queue.tables import AuditEvent, Import
from scheduledtask_sdk import Run, Success
from scheduledtask_sdk.failures import InvalidInput

IMPORTS = "imports"
"""What is counted beside the kinds of events: imports with their bad rows, and rows of imports never ended."""


def retention(keep_days: int, by_kind: str) -> dict[str, int | None]:
    """The days to keep each kind: `keep_days`, unless `by_kind` says otherwise, as in ``import=730, jira=never``.

    Raises InvalidInput.
    """
    days: dict[str, int | None] = dict.fromkeys((*audit.KINDS, IMPORTS), keep_days)
    for part in filter(None, (part.strip() for part in by_kind.split(","))):
        found = re.fullmatch(r"(\w+)\s*[=:]\s*(never|\d{1,5})", part)
        if not found or found[1] not in days:
            raise InvalidInput(
                f"keep_days_by_kind: {part!r} is not KIND=DAYS or KIND=never, KIND one of {', '.join(days)}"
            )
        days[found[1]] = None if found[2] == "never" else int(found[2])
    return days


def clean(engine: sa.Engine, run: Run, days: Mapping[str, int | None], batch: int, dry_run: bool) -> Success:
    """Delete what is older than its days, `batch` rows a transaction; with `dry_run` only count it."""
    limits = {kind: now() - timedelta(days=kept) for kind, kept in days.items() if kept is not None}
    total = sum(_count(engine, kind, limit) for kind, limit in limits.items()) if limits else 0
    counts: dict[str, int] = {}
    for kind, limit in limits.items():
        counts[kind] = _count(engine, kind, limit) if dry_run else _delete(engine, run, kind, limit, batch, total)
    gone = {kind: count for kind, count in counts.items() if count}
    if gone and not dry_run:
        with run.held(), engine.begin() as connection:
            audit.record(connection, "cleanup", run.name, "audit", "cleaned", **gone)
    named = ", ".join(f"{count} {kind}" for kind, count in gone.items()) or "nothing"
    message = f"{'would delete' if dry_run else 'deleted'} {named}"
    return Success(message, {"deleted": gone, "total": sum(gone.values()), "dry_run": dry_run})


def _old(kind: str, limit: datetime) -> tuple[sa.ColumnElement[object], sa.ColumnElement[bool]]:
    """The key of what is deleted, and which are old."""
    if kind == IMPORTS:
        return sa.type_coerce(Import.key, sa.Text()), Import.updated_at < limit
    return sa.type_coerce(AuditEvent.id, sa.Integer()), sa.and_(AuditEvent.kind == kind, AuditEvent.at < limit)


def _count(engine: sa.Engine, kind: str, limit: datetime) -> int:
    key, old = _old(kind, limit)
    with reading(engine) as connection:
        return connection.scalar(sa.select(sa.func.count(key)).where(old)) or 0


def _delete(engine: sa.Engine, run: Run, kind: str, limit: datetime, batch: int, total: int) -> int:
    table = Import if kind == IMPORTS else AuditEvent
    key, old = _old(kind, limit)
    chosen = sa.select(key).where(old).limit(batch)
    deleted = 0
    while True:
        with run.held(), engine.begin() as connection:
            gone = connection.execute(sa.delete(table).where(key.in_(chosen))).rowcount
        if not gone:
            return deleted
        deleted += gone
        run.progress(f"Deleting {kind}", deleted, total)
