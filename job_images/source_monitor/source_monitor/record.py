"""What a run leaves in the database, one source at a time.

All that follows from one reading (the version, the change, the alerts to send, the source's own state, and that this
run has done the source) is one transaction: a run that is killed anywhere leaves a source done or not done.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from scheduledtask_sdk.failures import Failure
from source_monitor.difference import Difference, compare
from source_monitor.lines import clean
from source_monitor.models import Alert, Change, Check, FetchRun, Source, Version
from source_monitor.rules import AlertRules, Reading

RUNS_KEPT = timedelta(days=90)
"""How long it is known what came of a run; changes are kept without end."""

WEBHOOK, EMAIL = "webhook", "email"


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who is told of changes, where a source's own rules don't say otherwise."""

    webhook: bool
    emails: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A source's text, read by the rules of ``mark``; ``lines`` is None where the server said that it is the known
    one."""

    lines: Sequence[str] | None
    mark: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a reading turned out to be: ``first``, ``unchanged``, ``changed`` or ``read anew`` (other rules)."""

    what: str
    change: int = 0
    words: int = 0
    alerts: int = 0
    untold: str = ""


def begin_run(engine: Engine, name: str, attempt: int, now: datetime) -> datetime:
    """When the run began: now, or in an earlier attempt. The first attempt of a run that is complete is another run:
    somebody has taken the same name again."""
    with Session(engine) as session, session.begin():
        run = session.get(FetchRun, name)
        if run is not None and run.completed_at is not None and attempt == 1:
            session.delete(run)
            session.flush()
            run = None
        if run is None:
            run = FetchRun(name=name, started_at=now)
            session.add(run)
        return run.started_at


def end_run(engine: Engine, name: str, now: datetime) -> None:
    """The run is complete; forget old ones."""
    with Session(engine) as session, session.begin():
        session.execute(update(FetchRun).where(FetchRun.name == name).values(completed_at=now))
        session.execute(delete(FetchRun).where(FetchRun.started_at < now - RUNS_KEPT, FetchRun.name != name))


def done_in(engine: Engine, name: str) -> set[int]:
    """The sources that the run has read, in whichever attempt."""
    with Session(engine) as session:
        return set(session.scalars(select(Check.source_id).where(Check.run == name, Check.error == "")))


def record_failure(engine: Engine, run: str, source_id: int, failure: Failure, now: datetime) -> None:
    """The source could not be read; its text stays what it was."""
    with Session(engine) as session, session.begin():
        source = session.get(Source, source_id, with_for_update=True)
        if source is None:
            return
        source.last_failure_at, source.last_error = now, clean(failure.message)
        source.consecutive_failures += 1
        _check(session, run, source_id, now, failure)


def record_reading(
    engine: Engine, run: str, source_id: int, read: Read, receivers: Receivers, versions_kept: int, now: datetime
) -> Recorded | None:
    """Compare with the last version and keep what follows; None where the source has been removed meanwhile."""
    with Session(engine) as session, session.begin():
        source = session.get(Source, source_id, with_for_update=True)
        if source is None:
            return None
        recorded = _compared(session, run, source, read, receivers, versions_kept, now)
        source.etag, source.last_modified = read.etag, read.last_modified
        source.last_success_at, source.last_error, source.consecutive_failures = now, "", 0
        _check(session, run, source_id, now, None)
        return recorded


def _compared(
    session: Session, run: str, source: Source, read: Read, receivers: Receivers, versions_kept: int, now: datetime
) -> Recorded:
    if read.lines is None:
        return Recorded("unchanged")
    last = session.get(Version, (source.id, source.version)) if source.version else None
    if last is None or source.mark != read.mark:
        _add_version(session, source, read, versions_kept, now)
        return Recorded("first" if last is None else "read anew")
    ignored = tuple(re.compile(pattern) for pattern in Reading.of(source.reading).ignore)
    difference = compare(last.text.split("\n"), read.lines, ignored, additions_only=source.kind == "feed")
    if difference is None:
        return Recorded("unchanged")
    _add_version(session, source, read, versions_kept, now)
    channels, untold = _channels(AlertRules.of(source.alerts), receivers, difference)
    change = Change(
        source_id=source.id, number=source.version, run=run, detected_at=now, account=difference.account,
        words_removed=difference.words_removed, words_added=difference.words_added, untold=untold[:200],
    )  # fmt: skip
    session.add(change)
    session.flush()
    for channel, recipient in channels:
        alert_id = f"msg_{uuid.uuid4().hex}"
        session.add(Alert(id=alert_id, change_id=change.id, channel=channel, recipient=recipient, created_at=now))
    return Recorded("changed", change.id, difference.words, len(channels), untold)


def _add_version(session: Session, source: Source, read: Read, kept: int, now: datetime) -> None:
    source.version += 1
    source.mark = read.mark
    session.add(Version(source_id=source.id, number=source.version, fetched_at=now, text="\n".join(read.lines or ())))
    outdated = Version.number <= source.version - kept
    session.execute(delete(Version).where(Version.source_id == source.id, outdated))


def _channels(rules: AlertRules, receivers: Receivers, difference: Difference) -> tuple[list[tuple[str, str]], str]:
    """To whom the change is told, as channel and recipient; and why to nobody."""
    if reason := rules.reason_against(difference):
        return [], reason
    emails = (rules.email_to or receivers.emails) if rules.email else ()
    channels = [(WEBHOOK, "")] if rules.webhook and receivers.webhook else []
    channels += [(EMAIL, address) for address in dict.fromkeys(emails)]
    return channels, "" if channels else "nobody is set up to be told"


def _check(session: Session, run: str, source_id: int, now: datetime, failure: Failure | None) -> None:
    check = session.get(Check, (run, source_id)) or Check(run=run, source_id=source_id)
    check.checked_at = now
    # Words of servers may stand in it, with characters that no database takes.
    check.error = clean(failure.message) if failure else ""
    check.failure = type(failure).__name__ if failure else ""
    check.retryable = failure is not None and failure.retryable
    session.add(check)


@dataclass(frozen=True, slots=True)
class Failed:
    """A source that the run could not read."""

    source_id: int
    name: str
    error: str
    failure: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """What the run has done, in all of its attempts."""

    succeeded: int
    failed: tuple[Failed, ...]
    changes: int
    alerts: int


def totals(engine: Engine, run: str) -> Totals:
    """The run's account, as the database has it."""
    with Session(engine) as session:
        began = session.get_one(FetchRun, run).started_at
        succeeded = select(func.count()).select_from(Check).where(Check.run == run, Check.error == "")
        changes = select(func.count()).select_from(Change).where(Change.run == run, Change.detected_at >= began)
        alerts = select(func.count()).select_from(Alert).where(Alert.delivered_by == run, Alert.delivered_at >= began)
        failed = (
            select(Source.id, Source.name, Check.error, Check.failure, Check.retryable)
            .join(Source, Source.id == Check.source_id)
            .where(Check.run == run, Check.error != "")
            .order_by(Source.id)
        )
        return Totals(
            session.scalar(succeeded) or 0,
            tuple(Failed(*row) for row in session.execute(failed)),
            session.scalar(changes) or 0,
            session.scalar(alerts) or 0,
        )
