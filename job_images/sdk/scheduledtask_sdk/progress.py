"""How far the work is: a bar on a terminal, log lines elsewhere, and a file for whoever collects it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from scheduledtask_sdk import logs
from scheduledtask_sdk.redaction import redacted

LOG_EVERY = 5.0
"""Seconds between two log lines about the same step."""

FILE_EVERY = 0.5
"""Seconds between two writes of the file."""

_BAR_EVERY = 0.1


class Progress:
    """Tells of steps as they advance. ``path``: where ``{"message", "done", "total", "updated_at"}`` is written, if
    anywhere."""

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path) if path else None
        self._clock = clock
        self._last: dict[str, float] = {}
        self._step = ""
        self._lock = threading.Lock()
        self._drawn = False

    def tell(self, message: str, done: int | None, total: int | None) -> None:
        """The step that is worked on, and how much of it is done; a new step and a finished one are always told."""
        with self._lock:
            self._tell(message, done, total)

    def _tell(self, message: str, done: int | None, total: int | None) -> None:
        always = message != self._step or (total is not None and done == total)
        self._step = message
        if logs.at_terminal():
            if self._due("bar", _BAR_EVERY, always):
                self._draw(message, done, total)
        elif self._due("log", LOG_EVERY, always):
            logs.log.info("progress", **{"message": message, **_known(done, total)})
        if self._path is not None and self._due("file", FILE_EVERY, always):
            self._write(self._path, message, done, total)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._drawn:
            sys.stderr.write("\n")
            sys.stderr.flush()
        self._drawn = False
        logs.before_each(None)

    def _due(self, what: str, every: float, always: bool) -> bool:
        now = self._clock()
        if not always and now - self._last.get(what, -every) < every:
            return False
        self._last[what] = now
        return True

    def _draw(self, message: str, done: int | None, total: int | None) -> None:
        width = _columns() - 1
        logs.before_each(self._clear)
        sys.stderr.write("\r\x1b[K" + redacted(bar(message, done, total, width)))
        sys.stderr.flush()
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
        self._drawn = False

    def _write(self, path: Path, message: str, done: int | None, total: int | None) -> None:
        document = {"message": redacted(message), **_known(done, total), "updated_at": round(time.time(), 3)}
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(document))
            beside.replace(path)
        except OSError as error:
            logs.log.warning("the progress file could not be written", path=str(path), reason=str(error))
            self._path = None


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def bar(message: str, done: int | None, total: int | None, width: int) -> str:
    """One line of at most ``width`` characters: the step, a bar where the total is known, and the numbers."""
    if done is None:
        return message[:width]
    if not total:
        return f"{message} {done}"[:width]
    share = min(max(done / total, 0.0), 1.0)
    numbers = f" {done}/{total} {share:4.0%}"
    room = min(30, width - len(message) - len(numbers) - 3)
    if room < 5:
        return f"{message}{numbers}"[:width]
    filled = int(share * room)
    return f"{message} [{'#' * filled}{'.' * (room - filled)}]{numbers}"


def _known(done: int | None, total: int | None) -> dict[str, int]:
    return {name: value for name, value in (("done", done), ("total", total)) if value is not None}
