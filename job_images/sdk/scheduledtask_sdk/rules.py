"""Which failure an exception means, as data: a table of rules, the first that fits wins, those of a job before these.

An exception is named by module and class, ``httpx:TimeoutException``, and so is no reason to import anything; classes
made of it fit as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scheduledtask_sdk.failures import (
    Failure,
    InvalidInput,
    Misconfigured,
    MissingInput,
    NotFound,
    PermissionDenied,
    RateLimited,
    Timeout,
    Unavailable,
)

BY_STATUS: Final = "the HTTP status"
"""In a rule: the failure is that of the HTTP status that the exception carries."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``exception`` means ``failure``; only where ``says`` is found in its words, and ``code`` at the beginning of its
    code (an ``errno`` name, SQLSTATE, SQLite's error name, an HTTP status), both regular expressions."""

    exception: str
    failure: type[Failure] | str
    says: str = ""
    code: str = ""

    def fits(self, error: BaseException) -> bool:
        """Whether the exception is of this kind."""
        names = (f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__)
        return (
            self.exception in names
            and (not self.says or re.search(self.says, str(error), re.IGNORECASE) is not None)
            and (not self.code or re.match(self.code, code_of(error)) is not None)
        )


STATUSES: Mapping[int, type[Failure]] = {
    401: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    407: PermissionDenied,
    408: Timeout,
    410: NotFound,
    425: Unavailable,
    429: RateLimited,
    504: Timeout,
}
"""What HTTP statuses mean; others from 500 are Unavailable, and what remains InvalidInput."""

_PASSING_SQL = "08|40|53|55P03|57|58"  # no connection, rolled back, out of room, a lock, shut down or cancelled, I/O

DEFAULT_RULES: Sequence[Rule] = (
    Rule("httpx:TimeoutException", Timeout),
    Rule("httpx:HTTPStatusError", BY_STATUS),
    Rule("httpx:UnsupportedProtocol", Misconfigured),
    Rule("httpx:LocalProtocolError", Misconfigured),
    Rule("httpx:InvalidURL", Misconfigured),
    Rule("httpx:DecodingError", InvalidInput),
    Rule("httpx:TooManyRedirects", InvalidInput),
    Rule("httpx:TransportError", Unavailable),
    Rule("sqlite3:Error", Unavailable, code="SQLITE_(BUSY|LOCKED|FULL|IOERR|NOMEM|PROTOCOL|INTERRUPT)"),
    Rule("sqlite3:Error", PermissionDenied, code="SQLITE_(READONLY|CANTOPEN|PERM|AUTH)"),
    Rule("sqlite3:Error", InvalidInput, code="SQLITE_(CORRUPT|NOTADB)"),
    Rule("psycopg:Error", Unavailable, code=_PASSING_SQL),
    Rule("psycopg:Error", PermissionDenied, code="28|42501"),
    Rule("psycopg:Error", Misconfigured, code="3D|3F"),
    Rule("psycopg:OperationalError", PermissionDenied, says="authentication failed|no pg_hba.conf entry"),
    Rule("psycopg:OperationalError", Misconfigured, says=r'(database|role) ".*" does not exist'),
    Rule("psycopg:OperationalError", Unavailable),
    Rule("psycopg:InterfaceError", Unavailable, says="connection"),
    Rule("sqlalchemy.exc:TimeoutError", Unavailable),
    Rule(
        "builtins:OSError",
        Unavailable,
        code="ENOSPC|EDQUOT|EIO|ESTALE|EMFILE|ENFILE|ENOMEM|ENETDOWN|E(NET|HOST)UNREACH",
    ),
    Rule("builtins:OSError", PermissionDenied, code="EACCES|EPERM|EROFS"),
    Rule("builtins:TimeoutError", Timeout),
    Rule("builtins:ConnectionError", Unavailable),
    Rule("socket:gaierror", Unavailable),
    Rule("builtins:FileNotFoundError", MissingInput),
)


_of_the_job: dict[int, type[Failure]] = {}


def set_statuses(statuses: Mapping[int, type[Failure]]) -> None:
    """What HTTP statuses mean in this job, before the common ones."""
    _of_the_job.clear()
    _of_the_job.update(statuses)


def status_failure(status: int, statuses: Mapping[int, type[Failure]] | None = None) -> type[Failure]:
    """What an HTTP status that is no success means; ``statuses`` go before those of the job."""
    known = {**STATUSES, **_of_the_job, **(statuses or {})}.get(status)
    return known or (Unavailable if status >= 500 else InvalidInput)


def failure_of(error: BaseException, rules: Sequence[Rule] = ()) -> Failure | None:
    """The failure that an exception means, or None where it is a defect of the program. Of a group, the worst: a
    defect, else what no other attempt would mend."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, BaseExceptionGroup):
        failures = [failure_of(part, rules) for part in error.exceptions]
        sound = [failure for failure in failures if failure is not None]
        return min(sound, key=lambda failure: failure.retryable) if len(sound) == len(failures) else None
    for candidate in _faces(error):
        for rule in (*rules, *DEFAULT_RULES):
            if rule.fits(candidate):
                return _made(rule, candidate)
    return None


def code_of(error: BaseException) -> str:
    """The error's code in its own kind's terms, or ""."""
    import errno

    response = getattr(error, "response", None)
    for code in (
        getattr(error, "sqlstate", None),
        getattr(error, "sqlite_errorname", None),
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
        errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None,
    ):
        if code is not None:
            return str(code)
    return ""


def _faces(error: BaseException) -> Iterator[BaseException]:
    """The exception, and the driver's own that SQLAlchemy has wrapped."""
    yield error
    original = getattr(error, "orig", None)
    if isinstance(original, BaseException):
        yield original


def _made(rule: Rule, error: BaseException) -> Failure:
    code = code_of(error)
    kind = rule.failure
    if isinstance(kind, str):
        kind = status_failure(int(code)) if code.isdigit() else Unavailable
    context: dict[str, object] = {"exception": f"{type(error).__module__}.{type(error).__qualname__}"}
    if code:
        context["code"] = code
    message = str(error).strip() or type(error).__name__
    if isinstance(error, OSError) and error.filename:
        context["path"] = str(error.filename)
        message = f"{error.filename}: {error.strerror}"
        if kind is PermissionDenied:
            message += "; the job's user needs access to it"
    return kind(message, **context)
