"""sync: what Zendesk has is what the database has, whatever happens on the way."""

from __future__ import annotations

import signal
import socket
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.jobs.ticket_miner.miner import Miner
from tests.upstreams.zendesk import Fault, ZendeskServer, made_up, ticket
from ticket_miner.models import Analysis, ExportPosition, Ticket

ALL = ("sync", "--backfill-days", "90")


def has_all(miner: Miner, zendesk: ZendeskServer) -> bool:
    shown = ("id", "subject", "description", "status", "tags", "generated_timestamp")
    return miner.rows(Ticket, *shown) == [tuple(ticket[name] for name in shown) for ticket in zendesk.tickets]


def asked(zendesk: ZendeskServer) -> list[dict[str, str]]:
    """The parameters of each request."""
    return [{k: v[0] for k, v in parse_qs(urlsplit(path).query).items()} for path in zendesk.requests]


def test_every_page_is_taken_in(miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(110, seed=1))
    ended = miner.run(*ALL)
    assert ended.exit_code == 0, ended.log
    assert ended.message == "110 tickets (+110 new, 0 changed, -0 deleted, 0 unchanged, 0 skipped)"
    assert ended.result["new"] == ended.result["tickets"] == 110
    assert len(zendesk.requests) == 5
    assert has_all(miner, zendesk)


def test_a_second_run_asks_for_what_came_since_and_takes_in_changes_and_deletions(
    miner: Miner, zendesk: ZendeskServer
) -> None:
    zendesk.put(*made_up(40, seed=1))
    miner.run(*ALL)
    zendesk.requests.clear()
    zendesk.change(3, status="solved", description="It works again.")
    zendesk.delete(7)
    zendesk.delete(9)
    zendesk.put(ticket(41, "Printer on fire", "It is very colourful.", int(time.time()) - 100))
    ended = miner.run("sync")
    assert ended.exit_code == 0
    assert {name: ended.result[name] for name in ("new", "changed", "deleted")} == {
        "new": 1,
        "changed": 1,
        "deleted": 2,
    }
    assert "cursor" in asked(zendesk)[0]
    assert len(zendesk.requests) == 1
    assert has_all(miner, zendesk)


def test_nothing_new_changes_nothing(light_miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(30, seed=1))
    light_miner.run(*ALL)
    before = light_miner.rows(Ticket), light_miner.rows(ExportPosition)
    assert light_miner.run("sync").message == "30 tickets (+0 new, 0 changed, -0 deleted, 0 unchanged, 0 skipped)"
    assert (light_miner.rows(Ticket), light_miner.rows(ExportPosition)) == before


def test_a_deleted_ticket_takes_its_analysis_with_it_and_may_come_back(miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(3, seed=1))
    miner.run(*ALL)
    miner.run("analyze")
    zendesk.delete(2)
    miner.run("sync")
    assert miner.rows(Analysis, "ticket_id") == [(1,), (3,)]
    zendesk.change(2, status="open")
    assert miner.run("sync").result["new"] == 1
    assert has_all(miner, zendesk)


def test_text_that_a_database_may_refuse_is_kept_as_far_as_possible(miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(ticket(1, "zero \0 and half \ud83d a smile", "€ 😀 \u202e " + "x" * 100_000, 1_760_000_000))
    assert miner.run("sync", "--backfill-days", "3650").exit_code == 0
    [(subject, description)] = miner.rows(Ticket, "subject", "description")
    assert (subject, len(description)) == ("zero \ufffd and half ? a smile", 100_006)


def test_an_account_without_tickets_is_no_failure(light_miner: Miner, zendesk: ZendeskServer) -> None:
    assert light_miner.run("sync").result["tickets"] == 0
    zendesk.put(ticket(1, "first", "", int(time.time()) - 3600))
    assert light_miner.run("sync").result["new"] == 1


def test_the_first_run_goes_back_as_many_days_as_asked_and_a_larger_number_begins_anew(
    light_miner: Miner, zendesk: ZendeskServer
) -> None:
    zendesk.put(*made_up(60, seed=1, days=60))
    assert 8 <= light_miner.run("sync", "--backfill-days", "10").result["tickets"] <= 10
    assert light_miner.run("sync", "--backfill-days", "10").result["unchanged"] == 0
    ended = light_miner.run("sync", TASK_PARAMETERS='{"backfill_days": 30}')
    assert 28 <= ended.result["tickets"] <= 30
    assert ended.result["unchanged"] >= 8
    assert 'message="Syncing tickets (backfill: 30)"' in ended.log


def test_a_ticket_that_cannot_be_read_is_named_and_hides_no_other(light_miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(5, seed=1), ticket(6, "odd", "", 1_790_000_000, created_at="yesterday"))
    ended = light_miner.run(*ALL)
    assert (ended.exit_code, ended.result["tickets"], ended.result["skipped"]) == (0, 5, 1)
    assert "ticket 6: created_at: Input should be a valid datetime" in ended.log


def test_an_oauth_token_needs_no_address(light_miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(5, seed=1))
    assert light_miner.run(*ALL, ZENDESK_EMAIL="").result["tickets"] == 5


PASSING = [
    pytest.param(Fault("slow"), "Timeout", id="no answer in time"),
    pytest.param(Fault("status", status=429), "RateLimited", id="429 without Retry-After"),
    pytest.param(Fault("status", status=429, retry_after="3600"), "RateLimited", id="429 with a long Retry-After"),
    pytest.param(Fault("status", status=500), "Unavailable", id="500"),
    pytest.param(Fault("status", status=503), "Unavailable", id="503"),
    pytest.param(Fault("truncated"), "Unavailable", id="an answer that breaks off"),
    pytest.param(Fault("stuck"), "Unavailable", id="a cursor that leads nowhere"),
]


@pytest.mark.parametrize(("fault", "kind"), PASSING)
def test_a_passing_fault_keeps_what_was_taken_in_and_asks_for_another_attempt(
    light_miner: Miner, zendesk: ZendeskServer, fault: Fault, kind: str
) -> None:
    zendesk.put(*made_up(60, seed=1))
    zendesk.fault = Fault(fault.kind, fault.status, fault.retry_after, after=1)
    ended = light_miner.run(*ALL)
    assert ended.exit_code == 75
    assert (ended.error["class"], ended.error["retryable"]) == (kind, True)
    assert len(light_miner.rows(Ticket, "id")) == 25
    zendesk.fault = None
    again = light_miner.run(*ALL)
    assert (again.result["new"], again.result["unchanged"]) == (35, 0)
    assert has_all(light_miner, zendesk)


LASTING = [
    pytest.param(Fault("expired"), 77, "expired, revoked", id="an expired token"),
    pytest.param(Fault("status", status=403), 77, "You do not have access", id="403"),
    pytest.param(Fault("echo"), 77, "Are ZENDESK_EMAIL and ZENDESK_TOKEN right", id="403 that repeats the token"),
    pytest.param(Fault("status", status=400), 65, "answered 400", id="400"),
    pytest.param(Fault("status", status=404), 66, "answered 404", id="404"),
    pytest.param(Fault("garbage"), 65, "answered no page of an export", id="garbage"),
    pytest.param(Fault("huge"), 65, "a ZENDESK_PAGE_SIZE below 25 makes answers smaller", id="a huge answer"),
    pytest.param(Fault("half"), 65, "answered no page of an export", id="half a JSON document"),
]


@pytest.mark.parametrize(("fault", "exit_code", "said"), LASTING)
def test_a_lasting_fault_ends_the_run_with_what_is_to_mend(
    miner: Miner, zendesk: ZendeskServer, fault: Fault, exit_code: int, said: str
) -> None:
    zendesk.put(*made_up(5, seed=1))
    zendesk.fault = fault
    ended = miner.run(*ALL)
    assert ended.exit_code == exit_code
    assert ended.error["retryable"] is False
    assert said in ended.error["message"]


def test_a_wrong_token_is_told_with_the_mend(miner: Miner) -> None:
    ended = miner.run("sync", ZENDESK_TOKEN="zd-some-other")
    assert ended.exit_code == 77
    assert "Couldn't authenticate you. Are ZENDESK_EMAIL and ZENDESK_TOKEN right" in ended.error["message"]


def test_a_cursor_that_zendesk_no_longer_takes_is_told_with_the_way_out(
    light_miner: Miner, zendesk: ZendeskServer
) -> None:
    zendesk.put(*made_up(5, seed=1))
    light_miner.run(*ALL)
    zendesk.fault = Fault("status", status=400)
    ended = light_miner.run("sync")
    assert ended.exit_code == 65
    assert "a run with backfill_days=91 begins anew" in ended.error["message"]
    zendesk.fault = None
    assert light_miner.run("sync", "--backfill-days", "91").exit_code == 0
    assert "start_time" in asked(zendesk)[-1]


def test_a_short_retry_after_is_waited_for(miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(30, seed=1))
    zendesk.fault = Fault("status", status=429, retry_after="1", after=1, times=1)
    ended = miner.run(*ALL)
    assert ended.exit_code == 0
    assert ended.result["duration_seconds"] >= 1
    assert len(zendesk.requests) == 3


def test_a_server_that_is_not_there_is_a_passing_fault(miner: Miner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    ended = miner.run("sync", ZENDESK_URL=url)
    assert (ended.exit_code, ended.error["class"]) == (75, "Unavailable")


@pytest.mark.parametrize(
    ("settings", "exit_code", "said"),
    [
        ({"ZENDESK_URL": ""}, 78, "ZENDESK_URL"),
        ({"ZENDESK_URL": "zendesk"}, 78, "ZENDESK_URL: 'zendesk' is not an address"),
        ({"ZENDESK_TOKEN": ""}, 78, "ZENDESK_TOKEN"),
        ({"ZENDESK_PAGE_SIZE": "5000"}, 78, "ZENDESK_PAGE_SIZE"),
        ({"TASK_PARAMETERS": '{"backfill_days": -1}'}, 65, "backfill_days"),
    ],
)
def test_a_wrong_setting_is_named(light_miner: Miner, settings: dict[str, str], exit_code: int, said: str) -> None:
    ended = light_miner.run("sync", **settings)
    assert ended.exit_code == exit_code
    assert said in ended.error["message"]


def test_sigterm_ends_a_wait_and_the_next_run_goes_on(light_miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(60, seed=1))
    zendesk.fault = Fault("slow", after=1)
    process = light_miner.start(*ALL, ZENDESK_TIMEOUT="30")
    while len(zendesk.requests) < 2:
        time.sleep(0.02)
    assert process.pid is not None
    process.terminate()
    ended = light_miner.ended(process)
    assert (ended.exit_code, ended.error["class"]) == (75, "Interrupted")
    assert len(light_miner.rows(Ticket, "id")) == 25
    zendesk.fault = None
    assert light_miner.run(*ALL).result["new"] == 35
    assert has_all(light_miner, zendesk)
    assert process.exitcode != -signal.SIGKILL
