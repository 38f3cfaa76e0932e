"""The four tasks of ticket_miner from their own manifests, on a volume, with stand-ins for Zendesk and Anthropic."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from tests.e2e.attempts import await_failure, log_of, stop_attempt
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import await_run, time_of
from tests.e2e.ticket_miner_system import KEY, NAMES, NAMESPACE, TICKETS, TOKEN, System, mining
from tests.integration.operator_process import eventually
from tests.integration.pod_hands import pods_of
from tests.upstreams import anthropic_messages, zendesk
from tests.upstreams.zendesk import PROBLEMS


@pytest.fixture(scope="module")
def system(operator: InstalledOperator) -> Iterator[System]:
    provider = operator.cluster.provider
    if provider != "local":
        pytest.skip(f"pods of a cluster of the provider {provider} cannot reach the stand-ins on this host")
    with mining(operator.cluster) as made:
        yield made


def test_a_sync_takes_every_ticket_in(system: System) -> None:
    assert system.last_result("daily-sync")["tickets"] == TICKETS
    assert system.has_all()


def test_an_analysis_classifies_each_ticket_once(system: System) -> None:
    assert system.last_result("analyze")["analyzed"] == TICKETS
    assert system.rows("SELECT count(*) FROM miner_analyses") == [(TICKETS,)]


def test_the_trends_name_what_customers_report(system: System) -> None:
    reported = {re.sub(r" \d+", "", subject) for _, subject, _ in PROBLEMS}
    assert {title for (title,) in system.rows("SELECT title FROM miner_issues")} == reported
    assert system.last_result("hourly-trends")["issues"] == len(reported)
    report = (system.volume / "reports" / "trends.html").read_text()
    assert "Invoice PDF shows the wrong VAT" in report
    assert report.count("<svg") == 2


@pytest.mark.long
def test_a_pipeline_takes_its_parameters_and_tells_of_its_three_steps(system: System) -> None:
    system.zendesk.change(1, subject="Printing prints nothing")
    system.zendesk.delete(2)

    entry = system.run("full-pipeline", "all", backfill_days=1, batch_size=7)

    assert entry["outcome"] == "Succeeded", entry
    result = system.last_result("full-pipeline")
    assert (result["sync"]["changed"], result["sync"]["deleted"]) == (1, 1)
    assert result["analyze"]["analyzed"] == 1
    assert result["trends"]["issues"] >= len(PROBLEMS)
    assert system.has_all()


@pytest.mark.parametrize("task", ["daily-sync", "full-pipeline"])
@pytest.mark.long
def test_zendesk_that_is_down_for_a_moment_costs_one_retry(system: System, task: str) -> None:
    system.retry_soon(task)
    system.zendesk.fault = zendesk.Fault("status", status=503, times=1)

    entry = system.run(task, "retried")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)


@pytest.mark.long
def test_an_overloaded_model_costs_one_retry_and_no_answer_twice(system: System) -> None:
    system.retry_soon("analyze")
    for number in range(10, 30):
        system.zendesk.change(number, description="Still the same.")
    system.run("daily-sync", "before-overload")
    asked = len(system.claude.requests)
    # Longer than the job waits itself: one refusal ends the attempt, once what is under way beside it is answered.
    system.claude.fault = anthropic_messages.Fault("status", status=529, retry_after="600", after=12, times=1)

    entry = system.run("analyze", "overloaded")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
    # The refused ticket at least; how many were under way when the refusal was read differs.
    assert 1 <= system.last_result("analyze")["analyzed"] <= 20 - 12
    assert len(system.claude.requests) - asked == 20 + 1


@pytest.mark.long
def test_a_locked_database_costs_the_trends_one_retry(system: System) -> None:
    system.retry_soon("hourly-trends")
    before = len(system.rows("SELECT * FROM miner_issues WHERE active"))
    with closing(sqlite3.connect(system.volume / "ticket_miner.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        run = system.begin("hourly-trends", "locked")
        await_failure(system.tasks, "hourly-trends", run, 150)
        other.execute("ROLLBACK")

    entry = await_run(system.tasks, "hourly-trends", run, 120)

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
    assert len(system.rows("SELECT * FROM miner_issues WHERE active")) == before


@pytest.mark.parametrize("task", ["daily-sync", "analyze", "full-pipeline"])
@pytest.mark.long
def test_a_refused_secret_ends_the_run_at_once_and_is_shown_nowhere(system: System, task: str) -> None:
    system.zendesk.change(40, description=f"Something for {task} to ask about.")
    if task == "analyze":
        system.run("daily-sync", "before-refusal")
        system.claude.fault = anthropic_messages.Fault("echo")
    else:
        system.zendesk.fault = zendesk.Fault("echo")

    entry = system.run(task, "refused")
    system.zendesk.fault = system.claude.fault = None

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1)
    error = system.tasks.status(task)["lastError"]
    assert error["exitCode"] == 77
    assert error["message"].startswith("PermissionDenied: ")
    logs = system.tasks.kubectl("logs", "-l", f"batch.kubernetes.io/job-name={task}-refused", "--tail=-1")
    shown = json.dumps(system.tasks.get("stask", task)) + logs
    assert "answered 403" in shown
    assert TOKEN not in shown
    assert KEY not in shown


@pytest.mark.long
def test_a_wrong_setting_ends_the_trends_at_once(system: System) -> None:
    def set_window(days: str) -> None:
        patch = json.dumps({"data": {"TRENDS_WINDOW_DAYS": days}})
        system.tasks.kubectl("patch", "configmap", "ticket-miner", "--type=merge", "-p", patch)

    set_window("three months")
    entry = system.run("hourly-trends", "misconfigured")
    set_window("90")

    assert (entry["outcome"], entry["attempts"], entry["exitCode"]) == ("Failed", 1, 78)
    assert "TRENDS_WINDOW_DAYS" in entry["message"]


@pytest.mark.long
def test_a_sync_that_is_stopped_in_its_midst_is_continued_by_the_next_run(system: System) -> None:
    system.change_descriptions(110, "Changed before the sync")
    system.zendesk.fault = zendesk.Fault("slow", seconds=50, after=1, times=1)
    run = system.begin("daily-sync", "stopped")
    eventually(lambda: system.zendesk.fault, lambda fault: fault is None, "the second page is asked for", 90)

    result = system.cancel_and_repeat("daily-sync", run)

    assert system.has_all()
    assert (result["changed"], result["unchanged"]) == (60, 0), "the first page was taken in before the stop"


@pytest.mark.parametrize("task", ["analyze", "full-pipeline"])
@pytest.mark.long
def test_an_analysis_that_is_stopped_in_its_midst_is_continued_and_no_answer_is_paid_for_twice(
    system: System, task: str
) -> None:
    system.change_descriptions(110, f"Changed before {task}")
    if task == "analyze":
        system.run("daily-sync", "before-stop")
    asked = len(system.claude.requests)
    system.claude.delay = 0.5
    run = system.begin(task, "stopped")
    eventually(lambda: len(system.claude.requests), lambda now: now >= asked + 10, "the model is asked", 120)

    result = system.cancel_and_repeat(task, run)

    assert system.has_all()
    texts = system.claude.asked[asked:]
    assert len(texts) >= 110
    assert len(texts) == len(set(texts))
    analysis = result if task == "analyze" else result["analyze"]
    assert 0 < analysis["analyzed"] < len(texts)
    assert analysis["remaining"] == 0
    if task == "full-pipeline":
        assert result["sync"]["changed"] == 0


@pytest.mark.long
def test_trends_that_are_stopped_in_their_midst_stay_as_they_were_until_the_next_attempt(system: System) -> None:
    system.retry_soon("hourly-trends")
    issues = "SELECT id, title, active, tickets FROM miner_issues ORDER BY id"
    before = system.rows(issues)
    system.copy_tickets(75)  # It takes seconds to group so many.
    run = system.begin("hourly-trends", "stopped")
    eventually(lambda: log_of(system.tasks, run), lambda log: "Grouping tickets" in log, "tickets are grouped", 90)

    failure = stop_attempt(system.tasks, "hourly-trends", run)
    left = system.rows(issues)
    entry = await_run(system.tasks, "hourly-trends", run, 180)
    system.drop_copies()

    assert failure["message"].startswith("Interrupted: stopped by SIGTERM"), failure
    assert left == before
    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    after = system.rows(issues)
    assert {row[:2] for row in before} < {row[:2] for row in after}, "issues keep their numbers"
    assert len({title for _, title, *_ in after}) == len(after), "none is there twice"
    assert len(after) - len(before) == system.last_result("hourly-trends")["new"]


@pytest.mark.long
def test_the_four_never_run_at_the_same_time(system: System) -> None:
    runs = {name: system.begin(name, "together") for name in NAMES}
    entries = [await_run(system.tasks, name, run, 300) for name, run in runs.items()]

    assert {entry["outcome"] for entry in entries} == {"Succeeded"}
    spans = []
    for run in runs.values():
        [pod] = pods_of(system.tasks.cluster, NAMESPACE, run)
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        spans.append((time_of(ended["startedAt"]), time_of(ended["finishedAt"])))
    spans.sort()
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), spans


@pytest.mark.long
def test_a_scheduled_slot_succeeds(system: System) -> None:
    minute = int(time.time()) // 60 + 2
    system.tasks.patch("daily-sync", schedule=f"{minute % 60} * * * *")
    status = system.tasks.await_status(
        "daily-sync",
        lambda status: [e for e in status["history"] if e["trigger"] == "Schedule" and e["outcome"] == "Succeeded"],
        "its slot succeeded",
        240,
    )
    assert status["consecutiveFailures"] == 0
