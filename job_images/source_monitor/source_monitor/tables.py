"""What the database holds, for a person at a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduledtask_sdk.failures import NotFound
from source_monitor.models import Alert, Change, Source

_LONGEST_CELL = 80

Row = tuple[str, ...]


def sources(engine: Engine) -> list[Row]:
    """A heading, and a row for each source."""
    rows: list[Row] = [("ID", "ACTIVE", "KIND", "FREQUENCY", "VERSION", "LAST READ", "NAME", "URL", "LAST ERROR")]
    with Session(engine) as session:
        for one in session.scalars(select(Source).order_by(Source.id)):
            failing = f"{one.consecutive_failures}x {one.last_error}" if one.consecutive_failures else ""
            rows.append((
                str(one.id), "yes" if one.active else "no", one.kind, one.check_frequency, str(one.version),
                _time(one.last_success_at), one.name, one.url, failing,
            ))  # fmt: skip
    return rows


def changes(engine: Engine, source_id: int, limit: int) -> list[Row]:
    """A heading, and a row for each of the latest changes."""
    rows: list[Row] = [("ID", "DETECTED", "SOURCE", "NAME", "NEW", "GONE", "ALERTS")]
    query = select(Change, Source.name).join(Source, Source.id == Change.source_id).order_by(Change.id.desc())
    with Session(engine) as session:
        for change, name in session.execute((query.where(Source.id == source_id) if source_id else query).limit(limit)):
            rows.append((
                str(change.id), _time(change.detected_at), str(change.source_id), name,
                str(change.words_added), str(change.words_removed), _told(session, change),
            ))  # fmt: skip
    return rows


def account(engine: Engine, change_id: int) -> str:
    """A change in full. Raises NotFound."""
    with Session(engine) as session:
        change = session.get(Change, change_id)
        if change is None:
            raise NotFound(f"there is no change {change_id}; `changes list` shows the latest", change=change_id)
        source = session.get_one(Source, change.source_id)
        heading = f"{source.name}\n{source.url}\n{_time(change.detected_at)}, now version {change.number}"
        return f"{heading}\n{_told(session, change)}\n\n{change.account}"


def aligned(rows: Sequence[Row]) -> str:
    """The rows as columns."""
    cut = [tuple(map(_cut, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cut)


def _told(session: Session, change: Change) -> str:
    if change.untold:
        return f"not told: {change.untold}"
    alerts = session.scalars(select(Alert).where(Alert.change_id == change.id)).all()
    states = Counter(
        "outstanding" if alert.outstanding else "delivered" if alert.delivered_at else "given up" for alert in alerts
    )
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _cut(cell: str) -> str:
    return cell if len(cell) <= _LONGEST_CELL else f"{cell[: _LONGEST_CELL - 1]}…"


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
