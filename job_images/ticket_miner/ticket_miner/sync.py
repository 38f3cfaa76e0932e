"""sync: take what changed in Zendesk into the database.

Ten tickets and the place in the export go into one transaction. Killed anywhere, a rerun asks for the page that
was under way once more and writes what it had not written; what it had is the same and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, func, select

from scheduledtask_sdk import Run
from scheduledtask_sdk.failures import InvalidInput
from ticket_miner.models import ExportPosition, Ticket
from ticket_miner.storage import reading, upsert
from ticket_miner.tickets import DELETED, TicketDocument, Unusable, read_ticket, row_of
from ticket_miner.zendesk import Page, Zendesk

GROUP = 10
"""Tickets of one transaction: what a crash can lose."""

FRESHEST = timedelta(seconds=90)
"""Zendesk refuses a start time of less than a minute ago."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the export: the first page from a time on (seconds since 1970), or the page of a cursor."""

    start_time: int
    cursor: str | None = None


@dataclass(slots=True)
class Counts:
    """What a run did with the tickets that it was given."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0

    @property
    def seen(self) -> int:
        """All of them."""
        return self.new + self.changed + self.unchanged + self.deleted + self.skipped


def wanted_start(now: datetime, backfill_days: int) -> int:
    """The time from which on tickets are wanted, in seconds since 1970."""
    return int((now - max(timedelta(days=backfill_days), FRESHEST)).timestamp())


def place_to_begin(stored: Place | None, wanted: int) -> Place:
    """Where the last run came to; or at the wanted time, where the database doesn't reach back so far."""
    return Place(wanted) if stored is None or wanted < stored.start_time else stored


def sync_tickets(
    engine: Engine, zendesk: Zendesk, account: str, backfill_days: int, now: datetime, run: Run
) -> tuple[Counts, int]:
    """Take in everything up to the end of the export. Returns the counts, and how many tickets there are now."""
    step = f"Syncing tickets (backfill: {backfill_days})"
    counts = Counts()
    with reading(engine) as connection:
        stored = _stored_place(connection, account)
    place = place_to_begin(stored, wanted_start(now, backfill_days))
    run.progress(step, 0)
    while True:
        page = _asked(zendesk, place, now)
        after = Place(place.start_time, page.after_cursor or place.cursor)
        for group, place_then in _groups(page, place, after):
            if group or place_then != stored:
                with run.held(), engine.begin() as connection:
                    _apply(connection, group, counts, run)
                    _store_place(connection, account, place_then)
                stored = place_then
            run.progress(step, counts.seen)
        if page.end_of_stream:
            break
        place = after
    with reading(engine) as connection:
        return counts, connection.scalar(select(func.count()).select_from(Ticket)) or 0


def said(counts: Counts, tickets: int) -> str:
    """The counts in a line."""
    return (
        f"{tickets} tickets (+{counts.new} new, {counts.changed} changed, -{counts.deleted} deleted,"
        f" {counts.unchanged} unchanged, {counts.skipped} skipped)"
    )


def result_of(counts: Counts, tickets: int) -> dict[str, object]:
    """The counts for a program."""
    return {"tickets": tickets, **asdict(counts)}


def _asked(zendesk: Zendesk, place: Place, now: datetime) -> Page:
    try:
        return zendesk.page(place.start_time, place.cursor)
    except InvalidInput as failure:
        if place.cursor is None:
            raise
        days = (int(now.timestamp()) - place.start_time) // 86400 + 1
        mend = f"if the stored cursor is what Zendesk refuses, a run with backfill_days={days} begins anew"
        raise InvalidInput(f"{failure.message}; {mend}", **failure.context) from None


def _groups(page: Page, before: Place, after: Place) -> Iterator[tuple[Sequence[object], Place]]:
    """The tickets of a page in groups, with the place that holds once each is in: only after the last one it is the
    next page."""
    starts = range(0, max(len(page.tickets), 1), GROUP)
    for start in starts:
        yield page.tickets[start : start + GROUP], after if start == starts[-1] else before


def _apply(connection: Connection, documents: Sequence[object], counts: Counts, run: Run) -> None:
    newest: dict[int, TicketDocument] = {}
    for document in documents:
        try:
            ticket = read_ticket(document)
        except Unusable as reason:
            counts.skipped += 1
            run.log.warning("skipped", reason=str(reason))
            continue
        newest[ticket.id] = ticket
    known = dict(
        connection.execute(select(Ticket.id, Ticket.generated_timestamp).where(Ticket.id.in_(newest))).tuples().all()
    )
    gone = [ticket.id for ticket in newest.values() if ticket.status == DELETED]
    kept = [ticket for ticket in newest.values() if ticket.status != DELETED]
    fresh = [ticket for ticket in kept if known.get(ticket.id, -1) < ticket.generated_timestamp]
    counts.deleted += len(known.keys() & set(gone))
    counts.unchanged += len(kept) - len(fresh) + len(set(gone) - known.keys())
    counts.new += sum(ticket.id not in known for ticket in fresh)
    counts.changed += sum(ticket.id in known for ticket in fresh)
    connection.execute(delete(Ticket).where(Ticket.id.in_(gone)))
    upsert(connection, Ticket, [row_of(ticket) for ticket in fresh])


def _stored_place(connection: Connection, account: str) -> Place | None:
    found = connection.execute(
        select(ExportPosition.start_time, ExportPosition.cursor).where(ExportPosition.account == account)
    ).first()
    return None if found is None else Place(*found)


def _store_place(connection: Connection, account: str, place: Place) -> None:
    upsert(
        connection,
        ExportPosition,
        [{"account": account, "start_time": place.start_time, "cursor": place.cursor}],
    )
