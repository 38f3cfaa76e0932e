"""trends and pipeline: tickets become issues with figures, in the database and in a report."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.jobs.ticket_miner.miner import Miner
from tests.upstreams.anthropic_messages import AnthropicServer, Fault
from tests.upstreams.zendesk import PROBLEMS, ZendeskServer, made_up, ticket
from ticket_miner.models import Issue, IssueDay, IssueTicket, Ticket

PIPELINE = ("pipeline", "--backfill-days", "90")
DAY = 86_400


def title_of_each_ticket(miner: Miner) -> dict[int, str]:
    titles = dict(miner.rows(Issue, "id", "title"))
    return {number: titles[issue] for number, issue in miner.rows(IssueTicket, "ticket_id", "issue_id")}


def test_the_pipeline_finds_the_problems_that_customers_report(miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(160, seed=4))
    ended = miner.run(*PIPELINE)
    assert ended.exit_code == 0, ended.log
    subjects = {number: re.sub(r" \d+", "", subject) for number, subject in miner.rows(Ticket, "id", "subject")}
    reported = {re.sub(r" \d+", "", subject) for _, subject, _ in PROBLEMS}
    grouped = title_of_each_ticket(miner)
    assert set(grouped.values()) == reported
    assert all(subjects[number] == title for number, title in grouped.items())
    assert ended.result["trends"]["issues"] == ended.result["trends"]["new"] == len(PROBLEMS)
    assert ended.result["trends"]["lone"] == sum(subject not in reported for subject in subjects.values())
    assert ended.result["sync"]["new"] == ended.result["analyze"]["analyzed"] == 160
    steps = re.findall(r'message="?([^"]+)"? done=\d+ total=3', ended.log)
    assert steps == ["Step 1 of 3: sync", "Step 2 of 3: analyze", "Step 3 of 3: trends", "Pipeline done"]


def test_issues_keep_their_numbers_while_tickets_come_and_go(light_miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*made_up(160, seed=4))
    light_miner.run(*PIPELINE)
    before = dict(light_miner.rows(Issue, "title", "id"))
    for number in range(1, 40):
        zendesk.delete(number)
    moment = int(time.time()) - 7200
    zendesk.put(*(ticket(1000 + n, "Printing prints nothing", "Nothing comes out.", moment) for n in range(30)))
    zendesk.put(*(ticket(2000 + n, PROBLEMS[3][1], "It is cut.", moment) for n in range(20)))
    ended = light_miner.run(*PIPELINE)
    after = dict(light_miner.rows(Issue, "title", "id"))
    assert {title: after[title] for title in before} == before
    assert set(after) - set(before) == {"Printing prints nothing"}
    assert ended.result["trends"]["new"] == 1


def test_the_figures_of_an_issue(light_miner: Miner, zendesk: ZendeskServer) -> None:
    now = int(time.time())
    ages = [1, 2, 3, 3, 3, 8, 9, 20]
    zendesk.put(*(ticket(n, "Login fails", "It does.", now - age * DAY) for n, age in enumerate(ages, start=1)))
    light_miner.run(*PIPELINE)
    [(title, tickets, recent, previous, growth, first, last)] = light_miner.rows(
        Issue, "title", "tickets", "recent", "previous", "growth", "first_seen", "last_seen"
    )
    assert (title, tickets, recent, previous, growth) == ("Login fails", 8, 5, 2, 1.5)
    assert (int(first.timestamp()), int(last.timestamp())) == (now - 20 * DAY, now - DAY)
    assert [count for _, count in light_miner.rows(IssueDay, "day", "tickets")] == [1, 1, 1, 3, 1, 1]


def test_an_issue_sleeps_when_its_tickets_are_out_of_sight_and_wakes_with_its_number(
    light_miner: Miner, zendesk: ZendeskServer
) -> None:
    now = int(time.time())
    zendesk.put(*(ticket(n, "Login fails on Mondays", "It does.", now - 20 * DAY) for n in range(1, 9)))
    light_miner.run(*PIPELINE)
    zendesk.put(*(ticket(n, "Invoices are in French", "Why?", now - DAY) for n in range(20, 28)))
    ended = light_miner.run(*PIPELINE, TRENDS_WINDOW_DAYS="10")
    assert ended.result["trends"]["asleep"] == 1
    assert light_miner.rows(Issue, "id", "active", "tickets") == [(1, False, 0), (2, True, 8)]
    zendesk.put(*(ticket(n, "Login fails on Mondays", "Again.", now - DAY) for n in range(40, 48)))
    light_miner.run(*PIPELINE, TRENDS_WINDOW_DAYS="10")
    assert light_miner.rows(Issue, "id", "active", "tickets") == [(1, True, 8), (2, True, 8)]
    [(first_seen,), _] = light_miner.rows(Issue, "first_seen")
    assert int(first_seen.timestamp()) == now - 20 * DAY


def test_what_is_no_fault_of_the_product_makes_no_issue(light_miner: Miner, zendesk: ZendeskServer) -> None:
    zendesk.put(*(ticket(n, "Where is the manual?", "?", int(time.time()) - DAY) for n in range(1, 20)))
    assert light_miner.run(*PIPELINE).result["trends"]["tickets"] == 0
    assert light_miner.rows(Issue) == []


def test_the_report_stands_alone_and_shows_tickets_as_text(light_miner: Miner, zendesk: ZendeskServer) -> None:
    subject = "<script>alert()</script> & </title> is broken"
    zendesk.put(*(ticket(n, subject, "?", int(time.time()) - DAY) for n in range(501, 509)))
    zendesk.put(*made_up(100, seed=4, days=20))
    ended = light_miner.run(*PIPELINE)
    report = light_miner.report
    assert ended.result["trends"]["report"] == str(light_miner.folder / "reports" / "trends.html")
    assert "&lt;script&gt;alert()&lt;/script&gt; &amp; &lt;/title&gt; is broken" in report
    assert "<script" not in report
    loads = re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'>]+|url\([^#)]+\)|@import""", report)
    assert loads == [], "nothing is loaded from elsewhere"
    assert report.count("<svg") == 2
    for _, title, _ in PROBLEMS[:2]:
        assert title.replace("'", "&#x27;") in report


def test_without_any_ticket_the_report_says_so(light_miner: Miner) -> None:
    ended = light_miner.run("trends")
    assert ended.message == "0 issues (+0 new, 0 asleep) in 0 tickets, 0 of which tell of nothing common"
    assert "UTC: 0 issues" in light_miner.report


def test_a_pipeline_that_fails_in_its_midst_goes_on_from_there(
    light_miner: Miner, zendesk: ZendeskServer, claude: AnthropicServer
) -> None:
    zendesk.put(*made_up(60, seed=4))
    claude.fault = Fault("status", status=529, retry_after="0", after=20)
    failed = light_miner.run(*PIPELINE)
    assert (failed.exit_code, failed.error["retryable"]) == (75, True)
    claude.fault = None
    ended = light_miner.run(*PIPELINE)
    assert (ended.result["sync"]["new"], ended.result["analyze"]["analyzed"]) == (0, 40)


def test_help_names_the_commands_and_their_settings(light_miner: Miner, tmp_path: Path) -> None:
    ended = light_miner.run("--help")
    assert all(name in ended.log for name in ("sync", "analyze", "trends", "pipeline", "ticket_miner.sqlite"))
    shown = light_miner.run("pipeline", "--help", COLUMNS="200").log
    assert all(name in shown for name in ("--backfill-days", "--batch-size", "ANALYZE_DAILY_TOKENS", "DATABASE_URL"))
