"""jira-refresh against a server that speaks Jira's wire format, with and without faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from job_queue.cli import jira_refresh
from scheduledtask_sdk.failures import (
    Failure,
    InvalidInput,
    Misconfigured,
    NotFound,
    PermissionDenied,
    RateLimited,
    Timeout,
    Unavailable,
)
from tests.jobs.job_queue.conftest import Queue
from tests.upstreams.jira import Fault, JiraServer, issues

TOKEN = "jira-5e1c-secret"
JQL = "project = APP ORDER BY updated"


@pytest.fixture
def jira() -> Iterator[JiraServer]:
    with JiraServer("bot@example.com", TOKEN, issues(23) + issues(3, project="OPS", first=500)) as server:
        yield server


def refresh(queue: Queue, jira: JiraServer, **values: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "jira_url": jira.url + "/",
        "jira_email": jira.email,
        "jira_token": TOKEN,
        "http_timeout": 0.5,
        "longest_wait": 3,
        "page_size": 5,
        "jql": JQL,
    }
    return dict(queue.call(jira_refresh, **settings | values).result)


def kept(queue: Queue) -> list[str]:
    return queue.column("SELECT key FROM jira_issues WHERE removed_at IS NULL ORDER BY id")


def keys(jira: JiraServer, project: str = "APP") -> list[str]:
    return [issue["key"] for issue in jira.issues if issue["key"].startswith(project)]


def test_the_issues_that_the_query_finds_are_copied_page_by_page(queue: Queue, jira: JiraServer) -> None:
    result = refresh(queue, jira)

    assert (result["items"], result["new"]) == (23, 23)
    assert kept(queue) == keys(jira)
    assert [request.get("nextPageToken") is None for request in jira.requests] == [True] + [False] * 4
    row = queue.rows("SELECT summary, status, updated_at, data FROM jira_issues WHERE key = 'APP-4'")[0]
    assert row[:3] == ("Issue 4", "In Progress", "2026-02-05T10:00:00.000+0000")
    data = row[3] if isinstance(row[3], dict) else json.loads(row[3])
    assert data["assignee"]["displayName"] == "Mia Krystof"


def test_the_next_run_takes_up_what_changed_and_marks_what_is_not_found_any_more(
    queue: Queue, jira: JiraServer
) -> None:
    refresh(queue, jira)
    refresh(queue, jira, jql="project = OPS")
    gone = jira.issues.pop(3)
    jira.issues[0]["fields"] |= {"summary": "Renamed", "updated": "2026-03-01T00:00:00.000+0000"}
    jira.issues += issues(1, first=900)

    result = refresh(queue, jira)

    assert (result["items"], result["new"], result["changed"], result["removed"]) == (23, 1, 1, 1)
    assert queue.column("SELECT key FROM jira_issues WHERE removed_at IS NOT NULL") == [gone["key"]]
    assert set(keys(jira, "OPS")) <= set(kept(queue)), "what another query found stays"
    assert queue.column("SELECT summary FROM jira_issues WHERE key = 'APP-1'") == ["Renamed"]


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        pytest.param(Fault("slow", seconds=30), Timeout, id="no answer in time"),
        pytest.param(Fault("status", status=500), Unavailable, id="500"),
        pytest.param(Fault("status", status=503), Unavailable, id="503"),
        pytest.param(Fault("status", status=429), RateLimited, id="429"),
        pytest.param(Fault("status", status=429, retry_after="60"), RateLimited, id="429 with a long Retry-After"),
        pytest.param(Fault("truncated"), Unavailable, id="an answer that breaks off"),
        pytest.param(Fault("garbage"), InvalidInput, id="garbage"),
        pytest.param(Fault("expired"), PermissionDenied, id="an expired token"),
        pytest.param(Fault("status", status=403), PermissionDenied, id="403"),
        pytest.param(Fault("status", status=404), NotFound, id="404"),
        pytest.param(Fault("status", status=400), InvalidInput, id="400"),
    ],
)
def test_a_fault_in_the_midst_is_told_and_the_next_run_goes_on_behind_it(
    light: Queue, jira: JiraServer, fault: Fault, failure: type[Failure]
) -> None:
    jira.fault = Fault(**{**{name: getattr(fault, name) for name in Fault.__slots__}, "after": 2})
    with pytest.raises(failure) as raised:
        refresh(light, jira)
    assert type(raised.value) is failure
    assert TOKEN not in raised.value.message
    assert len(kept(light)) == 10, "two pages are kept"
    jira.fault = None

    assert refresh(light, jira)["items"] == 13, "no page is asked for twice"
    assert kept(light) == keys(jira)


def test_a_short_retry_after_is_waited_out(light: Queue, jira: JiraServer) -> None:
    jira.fault = Fault("status", status=429, retry_after="1", times=1)
    assert refresh(light, jira)["items"] == 23


def test_a_token_that_is_not_known_any_more_begins_the_query_anew(light: Queue, jira: JiraServer) -> None:
    jira.fault = Fault("token", after=3, times=1)
    assert refresh(light, jira)["items"] == 15 + 23
    assert kept(light) == keys(jira)


def test_a_query_that_jira_refuses_is_told_in_its_words(light: Queue, jira: JiraServer) -> None:
    with pytest.raises(InvalidInput, match="Jira refuses the query 'nonsense': Error in the JQL Query"):
        refresh(light, jira, jql="nonsense")


def test_an_expired_token_is_told_with_the_mend(light: Queue, jira: JiraServer) -> None:
    with pytest.raises(PermissionDenied, match=r"answered 401: Client must be .* Are JIRA_EMAIL and JIRA_TOKEN right"):
        refresh(light, jira, jira_token="jira-expired")


@pytest.mark.parametrize("name", ["jira_url", "jira_email", "jira_token"])
def test_a_setting_that_is_missing_is_told_by_name(light: Queue, jira: JiraServer, name: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name.upper()} is not set"):
        refresh(light, jira, **{name: ""})
