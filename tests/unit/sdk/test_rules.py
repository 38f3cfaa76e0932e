"""Exceptions as libraries raise them, and the failures that they mean."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import httpx
import psycopg.errors
import pytest
import sqlalchemy.exc

from scheduledtask_sdk import BY_STATUS, Rule
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
from scheduledtask_sdk.rules import failure_of

REQUEST = httpx.Request("GET", "http://127.0.0.1/")


def status(code: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError(f"answered {code}", request=REQUEST, response=httpx.Response(code, request=REQUEST))


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/data/models")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (httpx.ReadTimeout("slow"), Timeout),
        (httpx.ConnectError("refused"), Unavailable),
        (httpx.RemoteProtocolError("broke off"), Unavailable),
        (httpx.UnsupportedProtocol("ftp"), Misconfigured),
        (httpx.DecodingError("gzip"), InvalidInput),
        *[(status(code), PermissionDenied) for code in (401, 403)],
        *[(status(code), Unavailable) for code in (425, 500, 502, 503, 599)],
        (status(404), NotFound),
        (status(408), Timeout),
        (status(429), RateLimited),
        (status(400), InvalidInput),
        (psycopg.errors.DeadlockDetected("deadlock"), Unavailable),
        (psycopg.errors.LockNotAvailable("lock"), Unavailable),
        (psycopg.errors.AdminShutdown("terminating connection"), Unavailable),
        (psycopg.errors.SerializationFailure("again"), Unavailable),
        (psycopg.errors.InsufficientPrivilege("no"), PermissionDenied),
        (psycopg.errors.InvalidCatalogName("no such database"), Misconfigured),
        (psycopg.errors.UndefinedTable("a defect"), None),
        (psycopg.OperationalError('FATAL: password authentication failed for user "x"'), PermissionDenied),
        (psycopg.OperationalError("the connection is closed"), Unavailable),
        (sqlalchemy.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError("closed")), Unavailable),
        (sqlalchemy.exc.ProgrammingError("SELEC", {}, psycopg.errors.SyntaxError("a defect")), None),
        (sqlalchemy.exc.TimeoutError("no connection in the pool"), Unavailable),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Unavailable),
        (BrokenPipeError(errno.EPIPE, "pipe"), Unavailable),
        (TimeoutError("slow"), Timeout),
        (os_error(errno.EACCES), PermissionDenied),
        (os_error(errno.EROFS), PermissionDenied),
        (os_error(errno.ENOSPC), Unavailable),
        (os_error(errno.EIO), Unavailable),
        (os_error(errno.ENOENT), MissingInput),
        (os_error(errno.EISDIR), None),
        (ValueError("a defect"), None),
        (ExceptionGroup("", [TimeoutError(), ConnectionError()]), Timeout),
        (ExceptionGroup("", [TimeoutError(), status(401)]), PermissionDenied),
        (ExceptionGroup("", [TimeoutError(), ValueError("a defect")]), None),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, BaseException) else "",
)
def test_an_exception_means_a_failure_or_a_defect(error: BaseException, failure: type[Failure] | None) -> None:
    found = failure_of(error)
    assert type(found) is (failure or type(None))


def test_sqlite_says_of_itself_what_the_matter_is(tmp_path: Path) -> None:
    for prepare, failure in ((lambda path: path.mkdir(), PermissionDenied), (garbage, InvalidInput)):
        path = tmp_path / failure.__name__
        prepare(path)
        with pytest.raises(sqlite3.Error) as caught:
            sqlite3.connect(path).execute("SELECT * FROM sqlite_master")
        assert type(failure_of(caught.value)) is failure


def garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 100)


def test_an_error_of_the_file_system_names_the_file_and_the_mend() -> None:
    failure = failure_of(os_error(errno.EACCES))
    assert failure is not None
    assert failure.message == "/data/models: Permission denied; the job's user needs access to it"
    assert failure.context["path"] == "/data/models"


class ApiError(Exception):
    """As clients of APIs raise them."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


OURS = f"{__name__}:ApiError"


def test_rules_of_a_job_go_before_the_common_ones_and_the_first_that_fits_wins() -> None:
    rules = [
        Rule(OURS, RateLimited, says="STATUS 529"),
        Rule(OURS, Misconfigured, code="41[0-9]"),
        Rule(OURS, BY_STATUS),
        Rule("builtins:OSError", Unavailable),
    ]
    codes = (529, 413, 401, 500)
    assert [type(failure_of(ApiError(code), rules)) for code in codes] == [
        RateLimited,
        Misconfigured,
        PermissionDenied,
        Unavailable,
    ]
    assert type(failure_of(PermissionError(errno.EACCES, "no"), rules)) is Unavailable
    assert failure_of(ApiError(500)) is None


def test_a_failure_is_itself() -> None:
    class TooSmall(InvalidInput):
        """Of a job's own."""

    failure = TooSmall("1 is too small", value=1)
    assert failure_of(failure) is failure
    assert (failure.exit_code, failure.retryable) == (65, False)
