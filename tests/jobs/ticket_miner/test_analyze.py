"""analyze: each text is classified once, within the bounds, whatever the API and the model do."""

from __future__ import annotations

import time

import pytest

from tests.jobs.ticket_miner.miner import Miner
from tests.upstreams.anthropic_messages import AnthropicServer, Fault
from tests.upstreams.zendesk import ZendeskServer, made_up, ticket
from ticket_miner.models import Analysis, SetAside, Spending

LONG_AGO = 1_790_000_000


@pytest.fixture(autouse=True)
def _tickets(zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(14, seed=1), ticket(15, "Where is the manual?", "I look for the manual.", LONG_AGO))


def synced(miner: Miner) -> Miner:
    assert miner.run("sync", "--backfill-days", "90").result["tickets"] == 15
    return miner


def test_each_ticket_is_classified_once(miner: Miner, claude: AnthropicServer, zendesk: ZendeskServer) -> None:
    ended = synced(miner).run("analyze")
    assert ended.exit_code == 0, ended.log
    assert (ended.result["analyzed"], ended.result["remaining"], ended.result["requests"]) == (15, 0, 15)
    [manual] = [row for row in miner.rows(Analysis, "ticket_id", "issue", "category", "product_issue") if row[0] == 15]
    assert manual == (15, "Where is the manual?", "question", False)
    subjects = {t["id"]: t["subject"] for t in zendesk.tickets}
    assert {number for number, *_ in miner.rows(Analysis, "ticket_id")} == set(subjects)
    assert miner.run("analyze").message == "0 tickets analyzed, 0 set aside, 0 remaining (0 tokens in 0 requests)"
    assert len(claude.requests) == 15


def test_only_a_changed_text_is_classified_again(miner: Miner, claude: AnthropicServer, zendesk: ZendeskServer) -> None:
    synced(miner).run("analyze")
    zendesk.change(3, status="solved", priority="low")
    zendesk.change(4, subject="Search finds the wrong customer")
    miner.run("sync")
    assert miner.run("analyze").result["analyzed"] == 1
    assert "Search finds the wrong customer" in claude.asked[-1]
    assert (4, "Search finds the wrong customer") in miner.rows(Analysis, "ticket_id", "issue")


def test_the_request_has_the_wire_format_and_holds_the_ticket(light_miner: Miner, claude: AnthropicServer) -> None:
    synced(light_miner).run("analyze", "--batch-size", "1", ANTHROPIC_MODEL="claude-other")
    [request] = claude.requests
    assert request["model"] == "claude-other"
    assert request["max_tokens"] == 400
    assert set(request["output_config"]["format"]["schema"]["required"]) >= {"issue", "severity", "product_issue"}
    assert "classify support tickets" in request["system"]
    assert claude.asked[0].startswith("<ticket>\nSubject: ")


def test_a_batch_bounds_the_tickets_of_a_run(light_miner: Miner) -> None:
    ended = synced(light_miner).run("analyze", TASK_PARAMETERS='{"batch_size": 10}')
    assert (ended.result["analyzed"], ended.result["remaining"]) == (10, 5)
    assert light_miner.run("analyze", "--batch-size", "0").result["analyzed"] == 5


def test_so_many_requests_are_under_way_at_once_and_no_more(light_miner: Miner, claude: AnthropicServer) -> None:
    claude.delay = 0.05
    synced(light_miner).run("analyze", ANALYZE_CONCURRENCY="5")
    assert claude.most_at_once == 5


def test_no_run_goes_beyond_the_tokens_of_the_day(miner: Miner, claude: AnthropicServer) -> None:
    bound = 8_000
    ended = synced(miner).run("analyze", ANALYZE_DAILY_TOKENS=str(bound))
    assert ended.exit_code == 0
    assert ended.result["out_of_budget"] is True
    assert 0 < ended.result["analyzed"] < 15
    assert "stopped at the day's token budget" in ended.message
    assert 0 < claude.input_tokens + claude.output_tokens <= bound
    assert miner.rows(Spending, "requests", "input_tokens", "output_tokens") == [
        (len(claude.requests), claude.input_tokens, claude.output_tokens)
    ]
    before = len(claude.requests)
    for _ in range(2):
        miner.run("analyze", ANALYZE_DAILY_TOKENS=str(bound))
    assert claude.input_tokens + claude.output_tokens <= bound, "the day is one, however many runs it has"
    assert len(claude.requests) <= before + 4
    assert miner.run("analyze").result["remaining"] == 0


UNUSABLE = [
    (Fault("prose", containing="manual"), "answer: Invalid JSON"),
    (Fault("wrong", containing="manual"), "category: Input should be 'bug'"),
    (Fault("refusal", containing="manual"), "the model refused to answer"),
    (Fault("max_tokens", containing="manual"), "the answer was longer than 400 tokens"),
]


@pytest.mark.parametrize(("fault", "reason"), UNUSABLE, ids=[fault.kind for fault, _ in UNUSABLE])
def test_an_unusable_answer_is_asked_for_once_more_and_then_the_ticket_is_set_aside(
    light_miner: Miner, claude: AnthropicServer, zendesk: ZendeskServer, fault: Fault, reason: str
) -> None:
    claude.fault = fault
    ended = synced(light_miner).run("analyze")
    assert (ended.exit_code, ended.result["analyzed"], ended.result["set_aside"]) == (0, 14, 1)
    [(number, why)] = light_miner.rows(SetAside, "ticket_id", "reason")
    assert number == 15
    assert reason in why
    assert sum("manual" in text for text in claude.asked) == 2
    claude.fault = None
    assert light_miner.run("analyze").result["requests"] == 0, "the same text would get the same answer"
    zendesk.change(15, subject="The manual is missing")
    light_miner.run("sync")
    assert light_miner.run("analyze").result["analyzed"] == 1
    assert light_miner.rows(SetAside) == []


def test_an_answer_that_is_unusable_once_is_no_matter(miner: Miner, claude: AnthropicServer) -> None:
    claude.fault = Fault("prose", containing="manual", times=1)
    ended = synced(miner).run("analyze")
    assert (ended.result["analyzed"], ended.result["requests"]) == (15, 16)


PASSING = [
    pytest.param(Fault("slow", after=9), "Timeout", id="no answer in time"),
    pytest.param(Fault("status", status=429, retry_after="3600", after=9), "RateLimited", id="429, long Retry-After"),
    pytest.param(Fault("status", status=529, retry_after="0", after=9), "Unavailable", id="529 overloaded"),
    pytest.param(Fault("status", status=500, retry_after="0", after=9), "Unavailable", id="500"),
]


@pytest.mark.parametrize(("fault", "kind"), PASSING)
def test_a_passing_fault_keeps_what_was_answered_and_asks_for_another_attempt(
    miner: Miner, claude: AnthropicServer, fault: Fault, kind: str
) -> None:
    claude.fault = fault
    ended = synced(miner).run("analyze", ANALYZE_CONCURRENCY="2")
    assert (ended.exit_code, ended.error["class"], ended.error["retryable"]) == (75, kind, True)
    assert len(miner.rows(Analysis)) == 9
    claude.fault = None
    assert miner.run("analyze").result["analyzed"] == 6


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("status", status=429, retry_after="1", after=3, times=2), id="429, short Retry-After"),
        pytest.param(Fault("status", status=529, after=3, times=1), id="529 once"),
        pytest.param(Fault("truncated", after=3, times=1), id="an answer that broke off once"),
    ],
)
def test_a_moment_of_trouble_is_waited_out(miner: Miner, claude: AnthropicServer, fault: Fault) -> None:
    claude.fault = fault
    assert synced(miner).run("analyze").result["analyzed"] == 15


LASTING = [
    pytest.param(Fault("status", status=401), 77, "Is ANTHROPIC_API_KEY right", id="401"),
    pytest.param(Fault("echo"), 77, "answered 403", id="403 that repeats the key"),
    pytest.param(Fault("status", status=402), 77, "credit", id="no credit"),
    pytest.param(Fault("status", status=404), 78, "ANTHROPIC_MODEL=claude-haiku-4-5", id="no such model"),
    pytest.param(Fault("status", status=400), 65, "answered 400", id="400"),
    pytest.param(Fault("garbage"), 65, "answered something else than a message", id="garbage"),
    pytest.param(Fault("half"), 65, "answered something else than a message", id="half a JSON document"),
]


@pytest.mark.parametrize(("fault", "exit_code", "said"), LASTING)
def test_a_lasting_fault_ends_the_run_with_what_is_to_mend(
    miner: Miner, claude: AnthropicServer, fault: Fault, exit_code: int, said: str
) -> None:
    claude.fault = fault
    ended = synced(miner).run("analyze", ANALYZE_CONCURRENCY="1")
    assert ended.exit_code == exit_code
    assert said in ended.error["message"]
    assert len(claude.requests) == 1
    assert miner.rows(SetAside) == [], "what is wrong is not the ticket"


def test_without_a_key_nothing_is_asked(light_miner: Miner, claude: AnthropicServer) -> None:
    ended = light_miner.run("analyze", ANTHROPIC_API_KEY="")
    assert ended.exit_code == 78
    assert "ANTHROPIC_API_KEY" in ended.error["message"]
    assert claude.requests == []


def test_sigterm_keeps_the_answers_that_are_under_way(light_miner: Miner, claude: AnthropicServer) -> None:
    claude.delay = 0.3
    process = synced(light_miner).start("analyze", ANALYZE_CONCURRENCY="3")
    while len(claude.requests) < 4:
        time.sleep(0.02)
    process.terminate()
    ended = light_miner.ended(process)
    assert (ended.exit_code, ended.error["class"]) == (75, "Interrupted")
    assert len(light_miner.rows(Analysis)) == len(claude.requests) < 15
    claude.delay = 0
    light_miner.run("analyze")
    assert len(claude.requests) == 15, "no answer was paid for twice"
