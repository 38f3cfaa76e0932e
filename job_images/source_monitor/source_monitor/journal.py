"""The log lines that people and other programs look for, in one place and in their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduledtask_sdk.failures import Failure
from scheduledtask_sdk.logs import Log


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes the lines of a round."""

    log: Log

    def starting(self, timestamp: str, attempt: int) -> None:
        """The first line; the time is that of the run, not of its attempt."""
        self._info(f"Starting daily fetch job at {timestamp}", attempt=attempt)

    def skipped(self, source: int, name: str, reason: str) -> None:
        """A source that is not fetched in this round."""
        self._info(f"Skipped source {source}: {reason}", source=source, name=name)

    def processing(self, source: int, name: str, url: str) -> None:
        """A source whose turn has come."""
        self._info(f"Processing source {source}: {name}", source=source, url=url)

    def again(self, source: int, failure: Failure) -> None:
        """A failure that may pass within this round."""
        self._info(f"Source {source} will be tried again", source=source, reason=failure.message)

    def changed(self, source: int, **fields: object) -> None:
        """The text has changed."""
        self._info(f"Change detected for source {source}", source=source, **fields)

    def succeeded(self, source: int, what: str) -> None:
        """The source is read and recorded."""
        self._info(f"Source {source} processed: success", source=source, text=what)

    def failed(self, source: int, failure: Failure) -> None:
        """The source could not be read."""
        line = f"Source {source} processed: failure"
        self.log.warning(line, source=source, error=failure.message, retryable=failure.retryable)

    def defect(self, source: int, traceback: str) -> None:
        """A source has brought about an error that nobody expected."""
        line = f"Source {source} shows a defect of this program"
        self.log.error(line, source=source, traceback=traceback)

    def alert_sent(self, alert: str, **fields: object) -> None:
        """The receiver has taken it."""
        self._info(f"Alert {alert} sent", **fields)

    def alert_failed(self, alert: str, channel: str, failure: Failure) -> None:
        """The alert stays outstanding."""
        line = f"Alert {alert} not sent"
        self.log.warning(line, channel=channel, error=failure.message)

    def alert_given_up(self, alert: str, channel: str, failure: Failure) -> None:
        """The alert has been outstanding for too long."""
        line = f"Alert {alert} is given up"
        self.log.error(line, channel=channel, error=failure.message)

    def summary(self, line: str, result: Mapping[str, object]) -> None:
        """The last line; the errors stand in lines of their own above."""
        self._info(line, **{name: value for name, value in result.items() if name != "errors"})

    def _info(self, line: str, **fields: object) -> None:
        self.log.info(line, **fields)
