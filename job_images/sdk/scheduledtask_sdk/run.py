"""The run that a job is part of, as the operator tells it, and what the job may tell in turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scheduledtask_sdk.failures import Misconfigured
from scheduledtask_sdk.logs import Log, log
from scheduledtask_sdk.progress import Progress
from scheduledtask_sdk.stopping import stop

_MINUTES = re.compile(r"\d{7,9}")


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of one run.

    ``task``, ``namespace`` and ``name`` (the run's, the same in each of its attempts) are empty where a person runs
    the job by hand. ``slot``: the due time, for a run that a schedule started. ``trigger``: ``Schedule``, ``Manual``
    or ``Retry``.
    """

    task: str = ""
    namespace: str = ""
    name: str = ""
    attempt: int = 1
    max_attempts: int = 1
    slot: datetime | None = None
    trigger: str = "Manual"
    log: Log = log
    _progress: Progress = field(default_factory=lambda: Progress(""), repr=False)

    @staticmethod
    def from_environment(environment: Mapping[str, str]) -> Run:
        """The run that the operator's variables tell of. Raises Misconfigured where they make no sense."""
        task, name = environment.get("TASK_NAME", ""), environment.get("TASK_RUN", "")
        slot = _slot_of(task, name)
        return Run(
            task=task,
            namespace=environment.get("TASK_NAMESPACE", ""),
            name=name,
            attempt=_count(environment, "TASK_FAILED_ATTEMPTS", 0) + 1,
            max_attempts=_count(environment, "TASK_MAX_ATTEMPTS", 1),
            slot=slot,
            trigger=environment.get("TASK_TRIGGER") or ("Schedule" if slot else "Manual"),
            _progress=Progress(environment.get("TASK_PROGRESS_FILE", "")),
        )

    @property
    def attempts_left(self) -> int:
        """How many more attempts there may be when this one fails."""
        return max(0, self.max_attempts - self.attempt)

    @property
    def by_hand(self) -> bool:
        """Whether a person runs the job, without an operator."""
        return not self.name

    @property
    def stop_requested(self) -> bool:
        """Whether SIGTERM has come: while held, come to an end."""
        return stop.requested

    def progress(self, message: str, done: int | None = None, total: int | None = None) -> None:
        """Tell how far the work is; cheap enough for every item. A stop that something swallowed is raised again."""
        self._progress.tell(message, done, total)
        stop.check()

    def held(self) -> AbstractContextManager[None]:
        """A block at whose end SIGTERM takes effect, not within: for what must be done whole, such as a commit."""
        return stop.held()

    def pause(self, seconds: float) -> None:
        """Wait; SIGTERM ends the wait."""
        stop.pause(seconds)

    def close(self) -> None:
        """End what is drawn on the terminal."""
        self._progress.close()


def _slot_of(task: str, name: str) -> datetime | None:
    """The Job of a slot is named after the task and the slot's minutes since 1970."""
    minutes = name.removeprefix(f"{task}-")
    if not task or minutes == name or not _MINUTES.fullmatch(minutes):
        return None
    return datetime.fromtimestamp(int(minutes) * 60, UTC)


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not re.fullmatch(r"\d{1,9}", text):
        raise Misconfigured(f"{name}: {text!r} is not a whole number")
    return int(text)
