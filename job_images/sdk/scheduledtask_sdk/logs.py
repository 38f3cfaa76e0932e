"""Log lines on standard error, one an event: logfmt, or JSON with ``LOG_FORMAT=json``.

``log.info("committed", tickets=10)``. Every line carries the identity of the run where the operator gave it, and no
secret. Lines of libraries look the same, from ``LOG_LEVEL`` (info) upwards for the job, warnings only for libraries.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from scheduledtask_sdk.redaction import redacted, without_secrets

_IDENTITY = ("TASK_NAME", "TASK_NAMESPACE", "TASK_RUN", "TASK_FAILED_ATTEMPTS", "TASK_MAX_ATTEMPTS")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PLAIN = re.compile(r"[^\s\"=\\]*")

_lock = threading.RLock()
_as_json = False
_lowest = _LEVELS["info"]
_identity: dict[str, object] = {}
_before_each: Callable[[], None] | None = None


class Log:
    """A logger with fields that stand in each of its lines."""

    def __init__(self, fields: Mapping[str, object] | None = None) -> None:
        self._fields = dict(fields or {})

    def bind(self, **fields: object) -> Log:
        """This logger with more fields."""
        return Log({**self._fields, **fields})

    def debug(self, event: str, /, **fields: object) -> None:
        """A line for whoever looks for a defect."""
        self._write("debug", event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """A line about what goes its way."""
        self._write("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """A line about what went wrong and was got over."""
        self._write("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """A line about what went wrong."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        if _LEVELS[level] >= _lowest:
            _write_line(level, event, {**self._fields, **fields})


log = Log()


def configure(environment: Mapping[str, str]) -> None:
    """Choose format and level, and take the run's identity, from the environment; send libraries' lines here too."""
    global _as_json, _lowest, _identity
    _as_json = environment.get("LOG_FORMAT") == "json"
    _lowest = _LEVELS.get(environment.get("LOG_LEVEL", "").lower(), _LEVELS["info"])
    _identity = {name.lower(): environment[name] for name in _IDENTITY if environment.get(name)}
    _adopt_libraries()


def before_each(action: Callable[[], None] | None) -> None:
    """Do this before each line: a progress bar gives way."""
    global _before_each
    _before_each = action


def write_raw(text: str) -> None:
    """Write text that is no event, such as a traceback, without secrets."""
    with _lock:
        _make_room()
        sys.stderr.write(redacted(text))
        sys.stderr.flush()


def write_traceback() -> None:
    """Write the traceback of the exception that is being handled."""
    import traceback

    write_raw(traceback.format_exc())


def _write_line(level: str, event: str, fields: Mapping[str, object]) -> None:
    moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    line = {"timestamp": moment, "level": level, "event": event, **fields, **_identity}
    clean = without_secrets(line)
    assert isinstance(clean, dict)
    text = json.dumps(clean, ensure_ascii=False) if _as_json else logfmt(clean)
    with _lock:
        _make_room()
        # A lone surrogate, from a file name, is no reason to fail.
        sys.stderr.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        sys.stderr.flush()


def _make_room() -> None:
    if _before_each is not None:
        _before_each()


def logfmt(fields: Mapping[str, object]) -> str:
    """The fields as ``name=value``, quoted where need be."""
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in fields.items())


def _logfmt_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _adopt_libraries() -> None:
    import logging

    class Adopted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            level = next((name for name, rank in reversed(_LEVELS.items()) if record.levelno >= rank), "debug")
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            fields = {"logger": record.name, **({"traceback": trace} if trace and _as_json else {})}
            _write_line(level, record.getMessage(), fields)
            if trace and not _as_json:
                write_raw(trace + "\n")

    root = logging.getLogger()
    root.handlers[:] = [Adopted()]
    root.setLevel(_LEVELS["debug"] if _lowest == _LEVELS["debug"] else logging.WARNING)
    for talker in ("httpx", "httpcore"):  # they log addresses, in whose queries secrets may stand
        logging.getLogger(talker).setLevel(logging.WARNING)


def at_terminal() -> bool:
    """Whether somebody looks on."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
