"""Outstanding alerts, sent until they are delivered.

An alert is made in the transaction that records its change, and marked as delivered after its receiver has taken it.
A run that is killed in between sends it again, under the same id: at least once, and known to the receiver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduledtask_sdk.failures import Failure, Misconfigured, NotFound, PermissionDenied, Unavailable
from scheduledtask_sdk.run import Run
from source_monitor.channels import Channel
from source_monitor.journal import Journal
from source_monitor.lines import clean
from source_monitor.message import Story
from source_monitor.models import Alert, Change, Source

GIVEN_UP_AFTER = timedelta(days=14)
"""How long an alert that can't be delivered is tried in every run."""

TRIES = 3
"""Tries of an alert in a run."""


def send_outstanding(
    run: Run, engine: Engine, run_name: str, channels: Mapping[str, Channel], pause: float
) -> list[str]:
    """Send what is outstanding, oldest first, and answer with what could not be sent. ``pause``: seconds between two
    tries. A channel that is down is tried with one alert, not with all."""
    errors: list[str] = []
    down: dict[str, str] = {}
    waiting = _outstanding(engine)
    try:
        for done, (alert_id, channel) in enumerate(waiting, start=1):
            run.progress("Sending alerts", done, len(waiting))
            if channel in down:
                _note(run, engine, alert_id, run_name, Unavailable(f"not tried: {down[channel]}"), tried=False)
                continue
            failure = _sent(run, engine, alert_id, run_name, channels.get(channel), channel, pause)
            if failure is not None:
                errors.append(f"alert {alert_id} by {channel}: {failure.message}")
                Journal(run.log).alert_failed(alert_id, channel, failure)
            if failure is not None and _concerns_all(failure):
                down[channel] = failure.message
    finally:
        for one in channels.values():
            one.close()
    return errors


def _outstanding(engine: Engine) -> Sequence[tuple[str, str]]:
    with Session(engine) as session:
        query = select(Alert.id, Alert.channel).where(Alert.outstanding).order_by(Alert.created_at, Alert.id)
        return [(row.id, row.channel) for row in session.execute(query)]


def _concerns_all(failure: Failure) -> bool:
    """Whether the channel itself is in the way, and not what one message says or whom it is for."""
    down = failure.retryable or isinstance(failure, Misconfigured | PermissionDenied | NotFound)
    return down and "recipient" not in failure.context


def _sent(
    run: Run, engine: Engine, alert_id: str, run_name: str, channel: Channel | None, channel_name: str, pause: float
) -> Failure | None:
    told = _story(engine, alert_id)
    if told is None:
        return None  # removed with its source, or sent by another run meanwhile
    story, recipient = told
    if channel is None:
        failure: Failure = Misconfigured(f"no {channel_name} is set up")
        _note(run, engine, alert_id, run_name, failure, tried=False)
        return failure
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            # From the sending to the note of it, a stop waits: it would only make the receiver hear it twice.
            with run.held():
                channel.send(alert_id, story, recipient)
                _note(run, engine, alert_id, run_name, None)
            Journal(run.log).alert_sent(alert_id, source=story.source, change=story.change, channel=channel_name)
            return None
        except Failure as caught:
            failure = caught
            if not failure.retryable or not tries_left:
                break
        run.pause(pause)
    _note(run, engine, alert_id, run_name, failure)
    return failure


def _story(engine: Engine, alert_id: str) -> tuple[Story, str] | None:
    with Session(engine) as session:
        query = (
            select(Alert.recipient, Change, Source)
            .join(Change, Change.id == Alert.change_id)
            .join(Source, Source.id == Change.source_id)
            .where(Alert.id == alert_id, Alert.outstanding)
        )
        row = session.execute(query).one_or_none()
        if row is None:
            return None
        recipient, change, source = row
        story = Story(
            change.id, source.id, source.name, source.url, source.kind, change.detected_at,
            change.words_removed, change.words_added, change.account,
        )  # fmt: skip
        return story, recipient


def _note(run: Run, engine: Engine, alert_id: str, run_name: str, failure: Failure | None, tried: bool = True) -> None:
    """Keep what came of it: delivered, or why not; after long enough it is given up."""
    now = datetime.now(UTC)
    with Session(engine) as session, session.begin():
        alert = session.get(Alert, alert_id, with_for_update=True)
        if alert is None:
            return
        alert.tries += tried
        if failure is None:
            alert.outstanding, alert.delivered_at, alert.delivered_by, alert.last_error = False, now, run_name, ""
            return
        alert.last_error = clean(failure.message)
        if now - alert.created_at > GIVEN_UP_AFTER:
            alert.outstanding = False
            Journal(run.log).alert_given_up(alert_id, alert.channel, failure)
