"""The tables. Every time is UTC; long texts are stored compressed."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

_WORTH_COMPRESSING = 1000
_PLAIN, _COMPRESSED = b"t", b"z"


class UtcTime(TypeDecorator[datetime]):
    """A time with its zone, also where the database keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CompressedText(TypeDecorator[str]):
    """Text as bytes, behind a first byte that tells whether they are compressed."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        plain = value.encode("utf-8", "replace")
        return _PLAIN + plain if len(plain) < _WORTH_COMPRESSING else _COMPRESSED + zlib.compress(plain)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return (value[1:] if value[:1] == _PLAIN else zlib.decompress(value[1:])).decode()


class Base(DeclarativeBase):
    """All tables."""

    type_annotation_map: ClassVar = {datetime: UtcTime, dict[str, Any]: JSON}


class Source(Base):
    """What is watched, and how it stands. ``version`` is the number of the last version, 0 before the first;
    ``mark`` tells by which rules that was read."""

    __tablename__ = "sources"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(String(2000), unique=True)
    kind: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(200))
    check_frequency: Mapped[str] = mapped_column(String(100))
    active: Mapped[bool]
    reading: Mapped[dict[str, Any]]
    alerts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=0)
    mark: Mapped[str] = mapped_column(String(16), default="")
    etag: Mapped[str] = mapped_column(String(500), default="")
    last_modified: Mapped[str] = mapped_column(String(100), default="")
    last_success_at: Mapped[datetime | None]
    last_failure_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    consecutive_failures: Mapped[int] = mapped_column(default=0)


class Version(Base):
    """The text of a source from some time on, its lines joined by line ends."""

    __tablename__ = "versions"

    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fetched_at: Mapped[datetime]
    text: Mapped[str] = mapped_column(CompressedText)


class Change(Base):
    """How a source became its version ``number``. ``untold``: why nobody is told of it; empty where somebody is."""

    __tablename__ = "changes"
    __table_args__ = (UniqueConstraint("source_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    number: Mapped[int]
    run: Mapped[str] = mapped_column(String(253), index=True)
    detected_at: Mapped[datetime]
    words_removed: Mapped[int]
    words_added: Mapped[int]
    account: Mapped[str] = mapped_column(CompressedText)
    untold: Mapped[str] = mapped_column(String(200), default="")


class Alert(Base):
    """A message about a change to one receiver. It stays outstanding until it is delivered or given up."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("change_id", "channel", "recipient"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    change_id: Mapped[int] = mapped_column(ForeignKey("changes.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(String(8))
    recipient: Mapped[str] = mapped_column(String(254), default="")
    created_at: Mapped[datetime]
    outstanding: Mapped[bool] = mapped_column(default=True, index=True)
    delivered_at: Mapped[datetime | None]
    delivered_by: Mapped[str] = mapped_column(String(253), default="", index=True)
    tries: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(Text, default="")


class FetchRun(Base):
    """A run of the job, over all of its attempts."""

    __tablename__ = "fetch_runs"

    name: Mapped[str] = mapped_column(String(253), primary_key=True)
    started_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class Check(Base):
    """What came of one source in one run: ``error`` is empty after a success."""

    __tablename__ = "checks"

    run: Mapped[str] = mapped_column(ForeignKey("fetch_runs.name", ondelete="CASCADE"), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True)
    checked_at: Mapped[datetime]
    error: Mapped[str] = mapped_column(Text, default="")
    failure: Mapped[str] = mapped_column(String(40), default="")
    retryable: Mapped[bool] = mapped_column(default=False)
