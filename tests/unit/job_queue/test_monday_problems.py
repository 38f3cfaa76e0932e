"""What the errors of Monday.com mean."""

from __future__ import annotations

from typing import Any

import pytest

from job_queue.upstreams.monday_api import Problem, failure_of, problems_of


def error(message: str, **extensions: Any) -> dict[str, Any]:
    return {"message": message, "extensions": extensions}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (None, []),
        ([], []),
        ({"data": {}}, []),
        ({"errors": []}, []),
        ({"errors": ["Not Authenticated"]}, [Problem("", "Not Authenticated")]),
        (
            {"errors": [error("Budget", code="COMPLEXITY_BUDGET_EXHAUSTED", retry_in_seconds=7, status_code=429)]},
            [Problem("COMPLEXITY_BUDGET_EXHAUSTED", "Budget", 429, 7.0)],
        ),
        (
            {"errors": [error("Field", code="FIELD_LIMIT_EXCEEDED", error_data={"retry_in_seconds": 15})]},
            [Problem("FIELD_LIMIT_EXCEEDED", "Field", None, 15.0)],
        ),
        (
            {
                "error_code": "ComplexityException",
                "error_message": "reset in 16 seconds",
                "status_code": 200,
            },
            [Problem("ComplexityException", "reset in 16 seconds", 200, 16.0)],
        ),
    ],
)
def test_errors_are_found_wherever_they_stand(body: object, wanted: list[Problem]) -> None:
    assert problems_of(body) == wanted


@pytest.mark.parametrize(
    ("problems", "wanted"),
    [
        ([Problem("RATE_LIMIT_EXCEEDED", "x")], "RateLimited"),
        ([Problem("new", "x", 429)], "RateLimited"),
        ([Problem("new", "x", 502)], "Unavailable"),
        ([Problem("new", "x", 403)], "PermissionDenied"),
        ([Problem("", "Not Authenticated")], "PermissionDenied"),
        ([Problem("CursorException", "The cursor has expired")], "CursorExpired"),
        ([Problem("maxComplexityExceeded", "x", 429)], "TooComplex"),
        ([Problem("undefinedField", "x")], "InvalidInput"),
        ([Problem("RATE_LIMIT_EXCEEDED", "x"), Problem("USER_UNAUTHORIZED", "x")], "PermissionDenied"),
    ],
)
def test_the_worst_of_them_decides(problems: list[Problem], wanted: str) -> None:
    assert type(failure_of(problems)).__name__ == wanted
