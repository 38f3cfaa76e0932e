"""The tables: tickets as Zendesk has them, what the model says of them, and the issues that they make up.

Nothing here holds the time at which a row was written: a run that was killed and repeated leaves the same rows as an
undisturbed one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, ForeignKey, Index, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

TABLE_PREFIX = "miner_"
"""Begins every table's name, so that a PostgreSQL database can be shared."""


class Moment(TypeDecorator[datetime]):
    """A point in time, in UTC on the way in and out; SQLite would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: Moment, dict[str, Any]: JSON, list[str]: JSON, list[int]: JSON}  # noqa: RUF012


class Ticket(Base):
    """A ticket that is not deleted, in its newest version."""

    __tablename__ = TABLE_PREFIX + "tickets"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    subject: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    priority: Mapped[str | None]
    kind: Mapped[str | None]
    channel: Mapped[str | None]
    tags: Mapped[list[str]]
    organization_id: Mapped[int | None] = mapped_column(BigInteger)
    requester_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    generated_timestamp: Mapped[int] = mapped_column(BigInteger)
    """Seconds since 1970 of the last change of any kind, also of one that leaves `updated_at` alone."""
    content_digest: Mapped[str]
    """Of the text that the model is shown: a new status alone asks for no new analysis."""


class ExportPosition(Base):
    """How far the export of an account has been taken in."""

    __tablename__ = TABLE_PREFIX + "export_positions"

    account: Mapped[str] = mapped_column(primary_key=True)
    start_time: Mapped[int] = mapped_column(BigInteger)
    """Seconds since 1970 from which on the database knows every change."""
    cursor: Mapped[str | None]
    """Of the page to ask for next; none before the first page is complete."""


class Analysis(Base):
    """What the model says of one version of a ticket's text."""

    __tablename__ = TABLE_PREFIX + "analyses"

    ticket_id: Mapped[int] = mapped_column(ForeignKey(Ticket.id, ondelete="CASCADE"), primary_key=True)
    content_digest: Mapped[str]
    model: Mapped[str]
    category: Mapped[str]
    product_area: Mapped[str]
    issue: Mapped[str]
    severity: Mapped[str]
    sentiment: Mapped[str]
    product_issue: Mapped[bool]


class SetAside(Base):
    """A ticket for whose text no usable answer was had, twice; it is asked about again when the text changes."""

    __tablename__ = TABLE_PREFIX + "set_asides"

    ticket_id: Mapped[int] = mapped_column(ForeignKey(Ticket.id, ondelete="CASCADE"), primary_key=True)
    content_digest: Mapped[str]
    reason: Mapped[str]


class Spending(Base):
    """What the model was paid for in one day (UTC), in tokens."""

    __tablename__ = TABLE_PREFIX + "spendings"

    day: Mapped[date] = mapped_column(primary_key=True)
    requests: Mapped[int]
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)


class Issue(Base):
    """Tickets that tell of the same thing. Its id stays while it grows, shrinks and sleeps."""

    __tablename__ = TABLE_PREFIX + "issues"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str]
    product_area: Mapped[str]
    severity: Mapped[str]
    active: Mapped[bool]
    """Whether the last clustering found it."""
    tickets: Mapped[int]
    recent: Mapped[int]
    """Tickets opened in the last seven days."""
    previous: Mapped[int]
    """Tickets opened in the seven days before."""
    growth: Mapped[float | None]
    """recent against previous: 0.5 is half as many again; none where there was nothing before."""
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    representatives: Mapped[list[int]]
    """Ids of the tickets nearest to the middle, the nearest first."""
    terms: Mapped[dict[str, Any]]
    """The weightiest words of its tickets, by which it is known again when all of those are gone."""


class IssueTicket(Base):
    """A ticket's issue, by the last clustering that found one."""

    __tablename__ = TABLE_PREFIX + "issue_tickets"
    __table_args__ = (Index("miner_issue_tickets_by_issue", "issue_id"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey(Ticket.id, ondelete="CASCADE"), primary_key=True)
    issue_id: Mapped[int] = mapped_column(ForeignKey(Issue.id))


class IssueDay(Base):
    """How many tickets of an issue were opened on a day (UTC); days without any have no row."""

    __tablename__ = TABLE_PREFIX + "issue_days"

    issue_id: Mapped[int] = mapped_column(ForeignKey(Issue.id), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    tickets: Mapped[int]
