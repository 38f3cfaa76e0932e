"""A pass over all pages of a list: what it finds is kept, what it does not find any more is marked as removed.

Each page's rows and the cursor behind it stand in one transaction, so a run killed anywhere is continued at the page
that it had not kept. A cursor that the upstream does not know any more begins the pass anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from job_queue import audit
from job_queue.database import Row, now, upsert
from job_queue.tables import JiraIssue, MondayItem, Pass
from scheduledtask_sdk import Run

Copies = type[MondayItem] | type[JiraIssue]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a pass stands. `source`: the upstream, a colon, and which of its lists. `done`: the pass is over."""

    source: str
    number: int
    cursor: str | None
    items: int
    done: bool = False


@dataclass(slots=True)
class Counts:
    """What a run found."""

    items: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0


def begin(engine: sa.Engine, run: Run, source: str, cursor_life: timedelta) -> Progress:
    """Go on with the pass that was stopped while its cursor lives, or begin the next."""
    with run.held(), engine.begin() as connection:
        known = connection.execute(sa.select(Pass.__table__).where(Pass.source == source)).one_or_none()
        if known is not None and known.finished_at is not None and run.name and known.run == run.name:
            return Progress(source, known.number, None, known.items, done=True)
        fresh = known is not None and known.finished_at is None and now() - known.started_at < cursor_life
        if known is not None and fresh:
            connection.execute(sa.update(Pass).where(Pass.source == source).values(run=run.name))
            return Progress(source, known.number, known.cursor, known.items)
        return _begin_anew(connection, run, source, (known.number if known is not None else 0) + 1)


def begin_anew(engine: sa.Engine, run: Run, progress: Progress) -> Progress:
    """Begin at the first page, for the upstream does not know the cursor any more."""
    with run.held(), engine.begin() as connection:
        return _begin_anew(connection, run, progress.source, progress.number + 1)


def keep_page(
    engine: sa.Engine,
    run: Run,
    progress: Progress,
    copies: Copies,
    scope: sa.ColumnElement[bool],
    page: Sequence[Row],
    cursor: str | None,
    counts: Counts,
) -> Progress:
    """Keep a page, and where the next begins. With the last page (`cursor` None), what is within `scope` and was not
    found by this pass is marked as removed."""
    rows = [{**row, "seen": progress.number, "removed_at": None} for row in {row["id"]: row for row in page}.values()]
    with run.held(), engine.begin() as connection:
        known = _known(connection, copies, [row["id"] for row in rows])
        upsert(connection, copies, rows)
        counts.items += len(rows)
        for row in rows:
            before = known.get(row["id"])
            counts.new += before is None
            counts.changed += before is not None and before != (row["data"], row["updated_at"], None)
        items = progress.items + len(rows)
        moved: dict[str, Any] = {"cursor": cursor, "items": items}
        if cursor is None:
            gone = sa.update(copies).where(scope, copies.seen < progress.number, copies.removed_at.is_(None))
            counts.removed += connection.execute(gone.values(removed_at=now())).rowcount
            moved["finished_at"] = now()
            kind, _, subject = progress.source.partition(":")
            audit.record(connection, kind, run.name, subject, "synced", items=items)
        connection.execute(sa.update(Pass).where(Pass.source == progress.source).values(moved))
    return replace(progress, cursor=cursor, items=items, done=cursor is None)


def _begin_anew(connection: sa.Connection, run: Run, source: str, number: int) -> Progress:
    row = {"source": source, "number": number, "cursor": None, "items": 0, "run": run.name}
    upsert(connection, Pass, [{**row, "started_at": now(), "finished_at": None}])
    return Progress(source, number, None, 0)


def _known(connection: sa.Connection, copies: Copies, ids: list[str]) -> dict[str, tuple[Any, str, Any]]:
    query = sa.select(copies.id, copies.data, copies.updated_at, copies.removed_at).where(copies.id.in_(ids))
    return {row.id: (row.data, row.updated_at, row.removed_at) for row in connection.execute(query)}
