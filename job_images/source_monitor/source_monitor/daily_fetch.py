"""The daily round: every source that is due is fetched, read, compared and recorded, and then alerts are sent."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from scheduledtask_sdk.failures import Failure, InvalidInput, NotFound, PermissionDenied, Unavailable
from scheduledtask_sdk.run import Run
from source_monitor import frequency, record
from source_monitor.crew import Crew, Defect, Task
from source_monitor.journal import Journal
from source_monitor.models import Source
from source_monitor.record import Failed, Read, Receivers, Recorded
from source_monitor.rules import Reading

_MOST_ERROR_BYTES = 2200
"""Of all errors in the result together: the termination message has room for 4096 with everything else."""
_MOST_ERRORS = 9
_LONGEST_ERROR = 195


@dataclass(frozen=True, slots=True)
class Round:
    """What to fetch, and what follows from it. ``force``: also what is not due; ``only``: this source alone, or 0."""

    receivers: Receivers
    versions_kept: int
    force: bool = False
    only: int = 0


def daily_fetch(
    run: Run, engine: Engine, crew: Crew, around: Round, send_alerts: Callable[[str], Sequence[str]]
) -> dict[str, object]:
    """Do the round and answer with its account. ``send_alerts`` takes the name of the run and answers with what could
    not be sent. Raises Failure where there were sources and all of them failed: one that asks for another attempt where
    all of their failures may pass."""
    name = run.name or f"by hand {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {secrets.token_hex(4)}"
    started_at = record.begin_run(engine, name, run.attempt, datetime.now(UTC))
    journal = Journal(run.log)
    journal.starting(_time(started_at), run.attempt)
    tasks = _due(journal, engine, name, around)
    for done, (task, outcome) in enumerate(crew.fetched(tasks), start=1):
        with run.held():
            _record(journal, engine, name, around, task, outcome)
        run.progress("Fetching sources", done, len(tasks))
    undelivered = send_alerts(name)
    completed_at = datetime.now(UTC)
    with run.held():
        record.end_run(engine, name, completed_at)
    totals = record.totals(engine, name)
    errors = [f"source {one.source_id} ({one.name}): {one.error}" for one in totals.failed]
    result: dict[str, object] = {
        "started_at": _time(started_at),
        "completed_at": _time(completed_at),
        "sources_processed": totals.succeeded + len(totals.failed),
        "sources_succeeded": totals.succeeded,
        "sources_failed": len(totals.failed),
        "changes_detected": totals.changes,
        "alerts_sent": totals.alerts,
        "errors": _fitted((*errors, *undelivered)),
    }
    journal.summary(summary(result), result)
    if totals.failed and not totals.succeeded:
        raise _all_failed(totals.failed, result)
    return result


def summary(result: dict[str, object]) -> str:
    """The line that a person reads."""
    return (
        "Daily fetch job completed: {sources_processed} sources processed, {sources_succeeded} succeeded, "
        "{sources_failed} failed, {changes_detected} changes detected, {alerts_sent} alerts sent".format_map(result)
    )


def _due(journal: Journal, engine: Engine, name: str, around: Round) -> list[Task]:
    """The sources to fetch; of the others it is logged why not."""
    done = record.done_in(engine, name)
    now = datetime.now(UTC)
    with Session(engine) as session:
        query = select(Source).order_by(Source.id)
        sources = session.scalars(query.where(Source.id == around.only) if around.only else query).all()
    if around.only and not sources:
        raise InvalidInput(f"source: there is no source {around.only}; `sources list` shows all", source=around.only)
    tasks = []
    for source in sources:
        reason = _skipped(source, source.id in done, around.force, now)
        if reason:
            journal.skipped(source.id, source.name, reason)
        else:
            tasks.append(_task(source))
    return tasks


def _skipped(source: Source, done: bool, force: bool, now: datetime) -> str | None:
    if not source.active:
        return "not active"
    if done:
        return "done by an earlier attempt of this run"
    return None if force else frequency.not_due(source.check_frequency, source.last_success_at, now)


def _task(source: Source) -> Task:
    reading = Reading.of(source.reading)
    mark = reading.mark(source.kind)
    # A text that was read by other rules must be had again, though its document may be the same.
    known = source.version > 0 and source.mark == mark
    validators = (source.etag, source.last_modified) if known else ("", "")
    return Task(source.id, source.name, source.url, source.kind, reading, mark, *validators)


def _record(journal: Journal, engine: Engine, name: str, around: Round, task: Task, outcome: Read | Failure) -> None:
    recorded: Recorded | None = None
    now = datetime.now(UTC)
    if isinstance(outcome, Read):
        try:
            recorded = record.record_reading(
                engine, name, task.id, outcome, around.receivers, around.versions_kept, now
            )
        except SQLAlchemyError:
            raise  # the database: no other source would fare better
        except Exception as error:
            journal.defect(task.id, traceback.format_exc())
            outcome = Defect(f"a defect of this program: {type(error).__name__}: {error}")
    if isinstance(outcome, Failure):
        record.record_failure(engine, name, task.id, outcome, now)
        journal.failed(task.id, outcome)
        return
    if recorded and recorded.change:
        journal.changed(
            task.id, change=recorded.change, words=recorded.words, alerts=recorded.alerts, untold=recorded.untold
        )
    journal.succeeded(task.id, recorded.what if recorded else "removed meanwhile")


def _all_failed(failed: Sequence[Failed], result: dict[str, object]) -> Failure:
    message = f"all {len(failed)} sources failed; the first: {failed[0].error}"
    if all(one.retryable for one in failed):
        return Unavailable(message, **result)
    kinds = {one.failure for one in failed if not one.retryable}
    kind = {"NotFound": NotFound, "PermissionDenied": PermissionDenied}.get(kinds.pop()) if len(kinds) == 1 else None
    return (kind or InvalidInput)(message, **result)


def _fitted(errors: Iterable[str]) -> list[str]:
    """As many errors as the termination message has room for, and how many there are more."""
    shown: list[str] = []
    room, left_out = _MOST_ERROR_BYTES, 0
    for error in errors:
        text = error if len(error) <= _LONGEST_ERROR else f"{error[: _LONGEST_ERROR - 1]}…"
        room -= len(text.encode(errors="replace")) + 4
        if room < 0 or left_out or len(shown) == _MOST_ERRORS:
            left_out += 1
        else:
            shown.append(text)
    return [*shown, f"… and {left_out} more, named in the log"] if left_out else shown


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
