"""Monday.com's GraphQL API: a query costs complexity, of which each minute has a budget, and errors come with any
status, also with 200."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from scheduledtask_sdk import Run
from scheduledtask_sdk.failures import (
    Failure,
    InvalidInput,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from scheduledtask_sdk.http import retry_after, send

_MEND = "Is MONDAY_TOKEN right, and does its user see the board?"

_SHORTEST_WAIT = 1.0

_KINDS: Mapping[str, type[Failure]] = {
    "COMPLEXITY_BUDGET_EXHAUSTED": RateLimited,
    "ComplexityException": RateLimited,
    "RATE_LIMIT_EXCEEDED": RateLimited,
    "IP_RATE_LIMIT_EXCEEDED": RateLimited,
    "DAILY_LIMIT_EXCEEDED": RateLimited,
    "FIELD_LIMIT_EXCEEDED": RateLimited,
    "FIELD_MINUTE_RATE_LIMIT_EXCEEDED": RateLimited,
    "maxConcurrencyExceeded": RateLimited,
    "UserUnauthorizedException": PermissionDenied,
    "USER_UNAUTHORIZED": PermissionDenied,
    "USER_ACCESS_DENIED": PermissionDenied,
    "missingRequiredPermissions": PermissionDenied,
    "UNAUTHORIZED_FIELD_OR_TYPE": PermissionDenied,
    "InvalidBoardIdException": NotFound,
    "ResourceNotFoundException": NotFound,
    "API_TEMPORARILY_BLOCKED": Unavailable,
    "INTERNAL_SERVER_ERROR": Unavailable,
}


class TooComplex(InvalidInput):
    """One query costs more than any query may: ask for less at once."""


class CursorExpired(InvalidInput):
    """The cursor is not known any more; they live an hour."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of an answer. `wait`: the seconds it asks for."""

    code: str
    message: str
    status: int | None = None
    wait: float | None = None


@dataclass(slots=True)
class Monday:
    """The API. `longest_wait`: seconds that all waits of a run together may take; what is longer is left to the next
    attempt."""

    client: httpx.Client
    run: Run
    longest_wait: float
    waited: float = 0.0

    def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's data. Raises the failure that its errors mean."""
        while True:
            response = send(
                self.client,
                "POST",
                "",
                json={"query": query, "variables": dict(variables)},
                longest_wait=self.longest_wait,
                accept=(400, 429),
                called="Monday.com",
                mend=_MEND,
            )
            body = _json(response)
            problems = problems_of(body)
            if not problems and response.status_code == 429:
                problems = [Problem("RATE_LIMIT_EXCEEDED", "too many requests", 429)]
            if problems:
                self._wait_out(problems, retry_after(response.headers, datetime.now(UTC)))
                continue
            if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
                raise InvalidInput(f"Monday.com answered {response.status_code} without data: {response.text[:200]}")
            data: dict[str, Any] = body["data"]
            self._spare(data.get("complexity"))
            return data

    def _wait_out(self, problems: list[Problem], asked: float | None) -> None:
        """Wait where that helps; raise the failure otherwise."""
        failure = failure_of(problems)
        waits = [problem.wait for problem in problems if problem.wait is not None]
        wait = max(waits, default=asked)
        if not isinstance(failure, RateLimited) or wait is None:
            raise failure
        self._pause(wait, failure)

    def _spare(self, complexity: Any) -> None:
        """Where the budget is too small for another query like this, wait for the next budget and not for the error."""
        match complexity:
            case {"query": int(cost), "after": int(after), "reset_in_x_seconds": int(reset)} if after < cost:
                self._pause(reset, RateLimited(f"the complexity budget of Monday.com is used up for {reset} s"))

    def _pause(self, seconds: float, failure: Failure) -> None:
        seconds = max(seconds, _SHORTEST_WAIT)
        if self.waited + seconds > self.longest_wait:
            raise failure
        self.run.log.info("waiting", seconds=seconds, reason=failure.message)
        self.waited += seconds
        self.run.pause(seconds)


def problems_of(body: object) -> list[Problem]:
    """The errors of an answer: in the list that GraphQL has for them, or in the fields of before 2024-10."""
    if not isinstance(body, dict):
        return []
    listed = body.get("errors")
    problems = [_problem(error) for error in listed] if isinstance(listed, list) else []
    if not problems and body.get("error_code"):
        problems = [
            _problem({"message": body.get("error_message"), "extensions": {**body, "code": body["error_code"]}})
        ]
    return problems


def failure_of(problems: list[Problem]) -> Failure:
    """The failure that these errors mean: the worst of them, which is one that waiting does not mend."""
    failures = [_failure(problem) for problem in problems]
    return min(failures, key=lambda failure: failure.retryable)


def _problem(error: object) -> Problem:
    if not isinstance(error, dict):
        return Problem("", str(error))
    extensions = error.get("extensions")
    told: dict[str, Any] = extensions if isinstance(extensions, dict) else {}
    data = told.get("error_data")
    wait = told.get("retry_in_seconds", data.get("retry_in_seconds") if isinstance(data, dict) else None)
    message = str(error.get("message") or "no words")
    if wait is None and (found := re.search(r"reset in (\d+) seconds", message)):
        wait = found[1]
    status = told.get("status_code")
    return Problem(str(told.get("code", "")), message, status if isinstance(status, int) else None, _seconds(wait))


def _failure(problem: Problem) -> Failure:
    said = f"Monday.com: {problem.message}" + (f" ({problem.code})" if problem.code else "")
    if "cursor" in problem.message.lower() or "cursor" in problem.code.lower():
        return CursorExpired(said)
    if problem.code == "maxComplexityExceeded" or "exceeds max complexity" in problem.message:
        return TooComplex(said)
    kind = _KINDS.get(problem.code)
    if kind is None and problem.status is not None:
        by_status = {401: PermissionDenied, 403: PermissionDenied, 404: NotFound, 423: Unavailable, 429: RateLimited}
        kind = by_status.get(problem.status) or (Unavailable if problem.status >= 500 else None)
    if kind is None and "not authenticated" in problem.message.lower():
        kind = PermissionDenied
    kind = kind or InvalidInput
    mend = f". {_MEND}" if kind is PermissionDenied else ""
    return kind(said + mend, code=problem.code)


def _seconds(value: object) -> float | None:
    try:
        return max(0.0, float(str(value)))
    except ValueError:
        return None


def _json(response: httpx.Response) -> object:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        if response.status_code == 429:
            return None
        raise InvalidInput(f"Monday.com answered {response.status_code} with what is no JSON") from None
