"""What the jobs keep, as SQLAlchemy models that mean the same on SQLite and on PostgreSQL.

The migrations in :mod:`job_queue.migrations` make these tables; a test holds both to the same shape.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Moment(sa.TypeDecorator[datetime]):
    """A time with its zone. SQLite keeps no zones, so UTC is kept there and given back as such."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Coordinates(sa.TypeDecorator[Sequence[float]]):
    """A vector of 32-bit numbers, as each database's extension compares them: the bytes of sqlite-vec, or
    ``real[]``, which pgvector casts to ``vector``. So storing needs no extension; only searching does."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        kind = ARRAY(sa.REAL) if dialect.name == "postgresql" else sa.LargeBinary()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Sequence[float] | None, dialect: sa.Dialect) -> object:
        if value is None:
            return None
        return list(value) if dialect.name == "postgresql" else array("f", value).tobytes()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Sequence[float] | None:
        if value is None:
            return None
        return tuple(value) if dialect.name == "postgresql" else tuple(array("f", value))


Document_ = sa.JSON().with_variant(JSONB(), "postgresql")
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""64 bits on both: SQLite numbers rows by itself only where the type is called INTEGER."""


class Base(DeclarativeBase):
    """The tables of job_queue."""

    type_annotation_map = {datetime: Moment, dict[str, Any]: Document_, int: Number, str: sa.Text()}  # noqa: RUF012


class Document(Base):
    """A file below the documents folder, as it was when last read."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    path: Mapped[str] = mapped_column(unique=True)
    """Below the documents folder."""
    stamp: Mapped[str]
    """Size and time of the file: while they stay, it is not read again."""
    digest: Mapped[str]
    """SHA-256 of the file."""
    rules: Mapped[str]
    """How the text was made and cut: under other rules it is made anew."""
    status: Mapped[str]
    """``ready`` or ``failed``."""
    reason: Mapped[str | None]
    """Why it failed."""
    title: Mapped[str | None]
    characters: Mapped[int]
    processed_at: Mapped[datetime]


class Chunk(Base):
    """A piece of a document's text."""

    __tablename__ = "chunks"

    document_id: Mapped[int] = mapped_column(sa.ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[int]
    """Its first character, counted in the whole text."""
    text: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    """SHA-256 of the text: the name under which its vector is kept, so equal pieces share one."""


class Vector(Base):
    """What a model makes of a text. It belongs to the text, not to a document: text that moves keeps it."""

    __tablename__ = "vectors"

    model: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    coordinates: Mapped[Sequence[float] | None] = mapped_column(Coordinates())
    """Of length one; null where the model knows nothing of the text."""


class Pass(Base):
    """A walk over all pages of an upstream's list, so that a stopped one goes on where it was."""

    __tablename__ = "passes"

    source: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    """Counts the passes. What a pass finds bears its number; what still bears an older one at its end is gone there."""
    cursor: Mapped[str | None]
    """The next page; null before the first and after the last."""
    items: Mapped[int]
    run: Mapped[str]
    """The run that worked on it last; empty when done by hand."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class MondayItem(Base):
    """An item of a Monday.com board."""

    __tablename__ = "monday_items"

    id: Mapped[str] = mapped_column(primary_key=True)
    board_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    state: Mapped[str]
    updated_at: Mapped[str]
    data: Mapped[dict[str, Any]]
    """As the API gave it: group and column values."""
    seen: Mapped[int]
    removed_at: Mapped[datetime | None]


class JiraIssue(Base):
    """An issue of Jira that a JQL query found."""

    __tablename__ = "jira_issues"

    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(index=True)
    query: Mapped[str] = mapped_column(index=True)
    """The query that found it last."""
    summary: Mapped[str]
    status: Mapped[str]
    updated_at: Mapped[str]
    data: Mapped[dict[str, Any]]
    """The fields, as the API gave them."""
    seen: Mapped[int]
    removed_at: Mapped[datetime | None]


class Record(Base):
    """A row that an import brought in."""

    __tablename__ = "records"

    entity_type: Mapped[str] = mapped_column(primary_key=True)
    entity_id: Mapped[str] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]]
    source: Mapped[str]
    """The file it came from, and the line there."""
    line: Mapped[int]


class Import(Base):
    """A file, read under certain rules."""

    __tablename__ = "imports"

    key: Mapped[str] = mapped_column(primary_key=True)
    """A digest of the file's bytes and the rules: the same again is the same import."""
    path: Mapped[str]
    entity_type: Mapped[str]
    status: Mapped[str]
    """``reading``, ``finished`` or ``refused``."""
    line: Mapped[int]
    """The last line that is dealt with."""
    good: Mapped[int]
    bad: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class ImportRow(Base):
    """A good row of an import that is not finished yet: nobody else sees it before all of it is there."""

    __tablename__ = "import_rows"

    key: Mapped[str] = mapped_column(sa.ForeignKey("imports.key", ondelete="CASCADE"), primary_key=True)
    entity_id: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[int]
    data: Mapped[dict[str, Any]]


class ImportFault(Base):
    """A bad row of an import."""

    __tablename__ = "import_faults"

    key: Mapped[str] = mapped_column(sa.ForeignKey("imports.key", ondelete="CASCADE"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    reason: Mapped[str]


class AuditEvent(Base):
    """Something that a job did and that somebody may want to know later."""

    __tablename__ = "audit_events"
    __table_args__ = (sa.Index("ix_audit_events_kind_at", "kind", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str]
    at: Mapped[datetime]
    run: Mapped[str]
    """The run that did it; empty when done by hand."""
    subject: Mapped[str]
    what: Mapped[str]
    detail: Mapped[dict[str, Any]]
