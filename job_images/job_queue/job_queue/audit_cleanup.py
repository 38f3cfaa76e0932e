"""audit-cleanup: delete what is older than it has to be kept, in batches, and count it by kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Old:
    """What is older than it has to be kept: rows of `table`, named by `key`."""

    kind: str
    table: type[AuditEvent] | type[Import]
    key: sa.ColumnElement[object]
    condition: sa.ColumnElement[bool]


def clean(engine: sa.Engine, run: Run, days: Mapping[str, int | None], batch: int, dry_run: bool) -> Success:
    """Delete what is older than its days, `batch` rows a transaction; with `dry_run` only count it."""
    told = audit.tally(engine, "cleanup", run.name, "audit", "cleaned")
    kinds = [_old(kind, now() - timedelta(days=kept), told) for kind, kept in days.items() if kept is not None]
    counts = {old.kind: _count(engine, old) for old in kinds}
    if not dry_run:
        for old in kinds:
            _delete(engine, run, old, batch, sum(counts.values()), told)
        counts = told.counts
    gone = {kind: count for kind, count in counts.items() if count}
    named = ", ".join(f"{count} {kind}" for kind, count in gone.items()) or "nothing"
    message = f"{'would delete' if dry_run else 'deleted'} {named}"
    return Success(message, {"deleted": gone, "total": sum(gone.values()), "dry_run": dry_run})


def _old(kind: str, limit: datetime, told: audit.Tally) -> _Old:
    if kind == IMPORTS:
        return _Old(kind, Import, sa.type_coerce(Import.key, sa.Text()), Import.updated_at < limit)
    # What the run's earlier attempts told is not old, whatever its age.
    condition = sa.and_(AuditEvent.kind == kind, AuditEvent.at < limit, AuditEvent.id != (told.event or 0))
    return _Old(kind, AuditEvent, sa.type_coerce(AuditEvent.id, sa.Integer()), condition)


def _count(engine: sa.Engine, old: _Old) -> int:
    with reading(engine) as connection:
        return connection.scalar(sa.select(sa.func.count(old.key)).where(old.condition)) or 0


def _delete(engine: sa.Engine, run: Run, old: _Old, batch: int, total: int, told: audit.Tally) -> None:
    chosen = sa.select(old.key).where(old.condition).limit(batch)
    deleted = 0
    while True:
        with run.held(), engine.begin() as connection:
            gone = connection.execute(sa.delete(old.table).where(old.key.in_(chosen))).rowcount
            if gone:
                told.add(connection, **{old.kind: gone})
        if not gone:
            return
        deleted += gone
        run.progress(f"Deleting {old.kind}", deleted, total)
