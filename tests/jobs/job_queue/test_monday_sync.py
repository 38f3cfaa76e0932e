"""monday-sync against a server that speaks Monday.com's wire format, with and without faults."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from job_queue.cli import monday_sync
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
from tests.upstreams.monday import Fault, MondayServer, items

TOKEN = "monday-5e1c-secret"


@pytest.fixture
def monday() -> Iterator[MondayServer]:
    with MondayServer(TOKEN, boards={"7": items(23), "8": items(4, first=500)}) as server:
        yield server


def sync(queue: Queue, monday: MondayServer, **values: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "monday_url": monday.url,
        "monday_token": TOKEN,
        "http_timeout": 0.5,
        "longest_wait": 3,
        "page_size": 5,
    }
    return dict(queue.call(monday_sync, **settings | values).result)


def kept(queue: Queue) -> list[str]:
    return queue.column("SELECT name FROM monday_items WHERE removed_at IS NULL ORDER BY id")


def names(monday: MondayServer) -> list[str]:
    return [item["name"] for board in monday.boards.values() for item in sorted(board, key=lambda item: item["id"])]


def test_all_items_of_all_boards_are_copied_page_by_page(queue: Queue, monday: MondayServer) -> None:
    result = sync(queue, monday)

    assert (result["boards"], result["items"], result["new"]) == (2, 27, 27)
    assert kept(queue) == names(monday)
    assert sum("next_items_page" in request["query"] for request in monday.requests) == 4
    [(board, data)] = queue.rows("SELECT board_id, data FROM monday_items WHERE name = 'Item 500'")
    assert board == "8"
    assert "Working on it" in str(data) or "Stuck" in str(data) or "Done" in str(data)
    assert sorted(queue.column("SELECT subject FROM audit_events WHERE kind = 'monday'")) == ["7", "8"]


def test_the_next_run_takes_up_what_changed_and_marks_what_is_gone(queue: Queue, monday: MondayServer) -> None:
    sync(queue, monday)
    gone = monday.boards["7"].pop(3)
    monday.boards["7"][0] = {**monday.boards["7"][0], "name": "Renamed", "updated_at": "2026-03-01T00:00:00Z"}
    monday.boards["8"] += items(1, first=900)

    result = sync(queue, monday)

    assert (result["new"], result["changed"], result["removed"]) == (1, 1, 1)
    assert kept(queue) == names(monday)
    assert queue.column("SELECT name FROM monday_items WHERE removed_at IS NOT NULL") == [gone["name"]]
    monday.boards["7"].insert(3, gone)
    assert sync(queue, monday)["changed"] == 1
    assert kept(queue) == names(monday)


def test_boards_can_be_named_and_one_that_is_missing_holds_up_no_other(queue: Queue, monday: MondayServer) -> None:
    with pytest.raises(NotFound, match=r"1 of 2 boards refused \(99\): Monday.com has no board 99") as failure:
        sync(queue, monday, boards="99, 8")
    assert failure.value.context["items"] == 4
    assert kept(queue) == names(monday)[-4:]


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        pytest.param(Fault("slow", seconds=30), Timeout, id="no answer in time"),
        pytest.param(Fault("status", status=500), Unavailable, id="500"),
        pytest.param(Fault("status", status=503), Unavailable, id="503"),
        pytest.param(Fault("status", status=429), RateLimited, id="429 that names no time"),
        pytest.param(Fault("status", status=429, retry_after="60"), RateLimited, id="429 with a long Retry-After"),
        pytest.param(Fault("budget", retry_in_seconds=40), RateLimited, id="complexity budget used up for long"),
        pytest.param(Fault("error", code="INTERNAL_SERVER_ERROR"), Unavailable, id="an error in a 200"),
        pytest.param(Fault("error", code="new", status=423), Unavailable, id="locked, in a 200"),
        pytest.param(Fault("error", code="DAILY_LIMIT_EXCEEDED", status=429), RateLimited, id="the limit of a day"),
        pytest.param(Fault("truncated"), Unavailable, id="an answer that breaks off"),
        pytest.param(Fault("garbage"), InvalidInput, id="garbage"),
        pytest.param(Fault("expired"), PermissionDenied, id="an expired token"),
        pytest.param(Fault("status", status=403), PermissionDenied, id="403"),
        pytest.param(Fault("status", status=404), NotFound, id="404"),
        pytest.param(Fault("status", status=302), InvalidInput, id="a redirect"),
        pytest.param(Fault("error", code="UserUnauthorizedException", status=403), PermissionDenied, id="403 in a 200"),
        pytest.param(Fault("error", code="InvalidBoardIdException", status=200), NotFound, id="no board, in a 200"),
        pytest.param(Fault("error", code="undefinedField", status=200), InvalidInput, id="a query that is refused"),
    ],
)
def test_a_fault_in_the_midst_is_told_and_the_next_run_goes_on_behind_it(
    light: Queue, monday: MondayServer, fault: Fault, failure: type[Failure]
) -> None:
    monday.fault = Fault(**{**{name: getattr(fault, name) for name in Fault.__slots__}, "after": 2})
    with pytest.raises(failure) as raised:
        sync(light, monday, boards="7")
    assert type(raised.value) is failure
    assert TOKEN not in raised.value.message
    assert len(kept(light)) == 10, "two pages are kept"
    asked = len(monday.requests)
    monday.fault = None

    result = sync(light, monday, boards="7")

    assert result["items"] == 13, "no page is asked for twice"
    assert len(monday.requests) - asked == 3
    assert kept(light) == names(monday)[:23]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("budget", retry_in_seconds=1, times=1), id="complexity budget"),
        pytest.param(Fault("old-budget", retry_in_seconds=1, times=1), id="complexity budget, as before 2024-10"),
        pytest.param(Fault("status", status=429, retry_after="1", times=1), id="429 with a short Retry-After"),
    ],
)
def test_a_short_wait_is_waited_out(light: Queue, monday: MondayServer, fault: Fault) -> None:
    monday.fault = fault
    assert sync(light, monday)["items"] == 27
    assert kept(light) == names(monday)


def test_the_budget_is_spared_before_it_is_used_up(light: Queue) -> None:
    with MondayServer(TOKEN, boards={"7": items(15)}, budget=100, reset=1) as monday:
        assert sync(light, monday, boards="7", longest_wait=10)["items"] == 15
        assert len(monday.requests) == 3, "no query was refused"
        assert light.column("SELECT COUNT(*) FROM monday_items") == [15]


def test_queries_that_cost_more_than_any_may_ask_for_smaller_pages(light: Queue) -> None:
    with MondayServer(TOKEN, boards={"7": items(15)}, most=60) as monday:
        assert sync(light, monday, boards="7", page_size=20)["items"] == 15
        assert [request["variables"]["limit"] for request in monday.requests] == [20, 10, 5, 5, 5]


def test_a_cursor_that_is_forgotten_begins_the_board_anew(light: Queue, monday: MondayServer) -> None:
    monday.fault = Fault("status", status=500, after=2)
    with pytest.raises(Unavailable):
        sync(light, monday, boards="7")
    monday.fault = None
    monday.forget_cursors()

    assert sync(light, monday, boards="7")["items"] == 23
    assert kept(light) == names(monday)[:23]


def test_the_next_attempt_of_a_run_leaves_boards_that_are_done(light: Queue, monday: MondayServer) -> None:
    monday.fault = Fault("status", status=500, after=5)
    settings = {"monday_url": monday.url, "monday_token": TOKEN, "page_size": 5}
    with pytest.raises(Unavailable):
        light.call(monday_sync, run="monday-sync-1", boards="7,8", **settings)
    monday.fault = None
    asked = len(monday.requests)
    assert light.call(monday_sync, run="monday-sync-1", boards="7,8", **settings).result["items"] == 4
    assert len(monday.requests) == asked + 1
    assert light.call(monday_sync, run="monday-sync-2", boards="7,8", **settings).result["items"] == 27


def test_a_server_that_is_not_there_is_a_passing_fault(light: Queue, monday: MondayServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v2"
    with pytest.raises(Unavailable, match="Connection refused"):
        sync(light, monday, monday_url=url)


def test_settings_that_are_wrong_are_told_by_name(light: Queue, monday: MondayServer) -> None:
    with pytest.raises(Misconfigured, match="MONDAY_TOKEN is not set"):
        sync(light, monday, monday_token="")
    with pytest.raises(Misconfigured, match=r"MONDAY_URL: .* is not an address"):
        sync(light, monday, monday_url="api.monday.com")
    with pytest.raises(InvalidInput, match="boards: 'seven' is no id"):
        sync(light, monday, boards="seven")


def test_sigterm_ends_a_wait_and_the_next_run_goes_on(light: Queue, monday: MondayServer) -> None:
    environment = {"MONDAY_URL": monday.url, "MONDAY_TOKEN": TOKEN, "LONGEST_WAIT": "60"}
    arguments = ("monday-sync", "--boards=7", "--page-size=5")
    monday.fault = Fault("budget", retry_in_seconds=50, after=2)
    process = light.start(*arguments, **environment)
    assert process.stderr is not None
    assert any("event=waiting" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    stopped = light.ended(process)
    assert (stopped.exit_code, stopped.error["class"]) == (75, "Interrupted")
    monday.fault = None

    assert sync(light, monday, boards="7")["items"] == 13
    assert TOKEN not in stopped.log + str(stopped.termination)
