"""jira-refresh: keep a copy of the issues that a JQL query finds.

Issues are asked for by ``/rest/api/3/search/jql``, page by page with its ``nextPageToken``. What the query does not
find any more is marked as removed.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import sqlalchemy as sa

from job_queue.database import Row, storable
from job_queue.tables import JiraIssue
from job_queue.upstreams import passes
from scheduledtask_sdk import Run, Success
from scheduledtask_sdk.failures import InvalidInput, NotFound
from scheduledtask_sdk.http import send

TOKEN_LIFE = timedelta(hours=6)
"""Jira keeps its tokens for a week, but a copy made of so old pages would never have been true at any time."""

_MEND = "Are JIRA_EMAIL and JIRA_TOKEN right, and may that user browse the projects?"


def refresh(
    engine: sa.Engine, run: Run, client: httpx.Client, jql: str, fields: list[str], page_size: int, longest_wait: float
) -> Success:
    """Copy the issues that `jql` finds. `client` has the account's address and credentials.

    Raises InvalidInput where Jira refuses the query, with its words.
    """
    counts = passes.Counts()
    wanted = sorted({"summary", "status", "updated", *fields})
    progress = passes.begin(engine, run, f"jira:{jql}", TOKEN_LIFE)
    while not progress.done:
        asked: dict[str, Any] = {"jql": jql, "fields": wanted, "maxResults": page_size}
        if progress.cursor is not None:
            asked["nextPageToken"] = progress.cursor
        response = send(
            client,
            "POST",
            "/rest/api/3/search/jql",
            json=asked,
            longest_wait=longest_wait,
            accept=(400,),
            statuses={404: NotFound},
            mend=_MEND,
        )
        body = _json(response)
        if response.status_code == 400:
            refusal = _refusal(body, jql)
            if progress.cursor is None or not _is_about_the_token(body):
                raise refusal
            run.log.warning("the query is begun anew", reason=refusal.message)
            progress = passes.begin_anew(engine, run, progress)
            continue
        rows = [_row(jql, issue) for issue in _issues(body)]
        cursor = None if body.get("isLast") is True else body.get("nextPageToken") or None
        if cursor is not None and cursor == progress.cursor:
            raise InvalidInput("Jira answered with the token that it was asked with: the pages would never end")
        progress = passes.keep_page(engine, run, progress, JiraIssue, JiraIssue.query == jql, rows, cursor, counts)
        run.progress("Refreshing issues", progress.items)
    result = {"items": counts.items, "new": counts.new, "changed": counts.changed, "removed": counts.removed}
    message = f"{counts.items} issues ({counts.new} new, {counts.changed} changed, {counts.removed} removed)"
    return Success(message, {**result, "jql": jql})


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InvalidInput(f"Jira answered {response.status_code} with what is no JSON object; is JIRA_URL right?")
    return body


def _refusal(body: dict[str, Any], jql: str) -> InvalidInput:
    messages = body.get("errorMessages")
    said = " ".join(map(str, messages)) if isinstance(messages, list) and messages else str(body)[:300]
    return InvalidInput(f"Jira refuses the query {jql!r}: {said}", jql=jql)


def _is_about_the_token(body: dict[str, Any]) -> bool:
    return "token" in str(body.get("errorMessages")).lower()


def _issues(body: dict[str, Any]) -> list[dict[str, Any]]:
    issues = body.get("issues")
    if not isinstance(issues, list) or not all(isinstance(issue, dict) and issue.get("id") for issue in issues):
        raise InvalidInput("Jira answered without a list of issues")
    return issues


def _row(jql: str, issue: dict[str, Any]) -> Row:
    fields = issue.get("fields")
    data: dict[str, Any] = storable(fields) if isinstance(fields, dict) else {}
    status = data.get("status")
    return {
        "id": str(issue["id"]),
        "key": str(issue.get("key") or ""),
        "query": jql,
        "summary": str(data.get("summary") or ""),
        "status": str(status.get("name") or "") if isinstance(status, dict) else "",
        "updated_at": str(data.get("updated") or ""),
        "data": data,
    }
