"""The four tasks of ticket_miner from their own manifests, on a volume, with stand-ins for Zendesk and Anthropic."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import await_run, time_of
from tests.install import REPOSITORY
from tests.integration.operator_process import eventually
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import Body, Tasks
from tests.upstreams import anthropic_messages, zendesk
from tests.upstreams.anthropic_messages import AnthropicServer
from tests.upstreams.zendesk import PROBLEMS, ZendeskServer, made_up

NAMESPACE = "ticket-miner"
SYSTEM = REPOSITORY / "manifests/systems/ticket_miner"
IMAGE = "scheduledtask/ticket-miner:0.1.0"
NAMES = ("daily-sync", "hourly-trends", "analyze", "full-pipeline")
TOKEN, KEY = "zd-e2e-secret", "sk-ant-e2e-secret"
TICKETS = 160
ALL = {"backfill_days": 90}


@dataclass(frozen=True)
class System:
    """The system at work: its tasks, its volume as a folder, and the stand-ins."""

    tasks: Tasks
    volume: Path
    zendesk: ZendeskServer
    claude: AnthropicServer

    def begin(self, task: str, run: str, **parameters: object) -> str:
        """Ask for a run, as any client can; its name."""
        command = f"run.scheduledtask.dev/{run}={json.dumps({'parameters': parameters} if parameters else {})}"
        self.tasks.kubectl("annotate", "stask", task, command)
        return f"{task}-{run}"

    def run(self, task: str, run: str, **parameters: object) -> Body:
        """Ask for a run, and await its end."""
        return await_run(self.tasks, task, self.begin(task, run, **parameters), 240)

    def last_result(self, task: str) -> Body:
        """What the task's last good run has answered."""
        result: Body = self.tasks.status(task)["lastResult"]
        return result

    def rows(self, query: str) -> list[Any]:
        """From the database on the volume, between runs."""
        uri = f"file:{self.volume / 'ticket_miner.sqlite'}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(query).fetchall()

    def has_all(self) -> bool:
        """Whether the database holds what Zendesk has, each ticket once and in its last version."""
        wanted = [(ticket["id"], ticket["subject"], ticket["generated_timestamp"]) for ticket in self.zendesk.tickets]
        return self.rows("SELECT id, subject, generated_timestamp FROM miner_tickets ORDER BY id") == wanted

    def retry_soon(self, task: str) -> None:
        """Let the next attempt come after seconds instead of a minute."""
        self.tasks.patch(task, retry={"backoff": ["5s"]})
        self.tasks.await_ready(task)


@pytest.fixture(scope="module")
def system(operator: InstalledOperator) -> Iterator[System]:
    """ticket_miner as a user sets it up, after a first run of each step."""
    cluster = operator.cluster
    if cluster.provider != "local":
        pytest.skip(f"pods of a cluster of the provider {cluster.provider} cannot reach the stand-ins on this host")
    cluster.build_image(REPOSITORY / "job_images/ticket_miner/Dockerfile", IMAGE, REPOSITORY / "job_images")
    cluster.load_image(IMAGE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")
    volume = cluster.make_volume(NAMESPACE, "2Gi")
    for left in volume.glob("ticket_miner.sqlite*"):
        left.unlink()
    with (
        ZendeskServer(TOKEN) as tickets,
        AnthropicServer(KEY) as claude,
        cluster.pods_to_host(urlsplit(tickets.url).port or 0) as tickets_address,
        cluster.pods_to_host(urlsplit(claude.url).port or 0) as claude_address,
    ):
        tickets.put(*made_up(TICKETS, seed=4))
        tasks = Tasks(cluster, NAMESPACE)
        # The secrets first: the schedule of hourly-trends may be due at once.
        cluster.kubectl("apply", "-f", str(SYSTEM / "namespace.yaml"))
        tasks.kubectl("create", "secret", "generic", "zendesk", f"--from-literal=ZENDESK_TOKEN={TOKEN}")
        tasks.kubectl("create", "secret", "generic", "anthropic", f"--from-literal=ANTHROPIC_API_KEY={KEY}")
        cluster.kubectl("apply", "-k", str(SYSTEM))
        settings = {
            "ZENDESK_URL": f"http://{tickets_address}",
            "ZENDESK_EMAIL": zendesk.EMAIL,
            "ZENDESK_PAGE_SIZE": "50",
            "ANTHROPIC_BASE_URL": f"http://{claude_address}",
        }
        tasks.kubectl("patch", "configmap", "ticket-miner", "--type=merge", "-p", json.dumps({"data": settings}))
        # The stand-ins are at other ports than the real ones.
        open_egress = json.dumps([{"op": "add", "path": "/spec/egress/-", "value": {}}])
        tasks.kubectl("patch", "networkpolicy", "ticket-miner", "--type=json", "-p", open_egress)
        for name in NAMES:
            tasks.await_ready(name)
        made = System(tasks, volume, tickets, claude)
        for number, name in enumerate(("daily-sync", "analyze", "hourly-trends")):
            entry = made.run(name, f"first{number}", **(ALL if name == "daily-sync" else {}))
            assert entry["outcome"] == "Succeeded", entry
        yield made
        for name in NAMES:
            tasks.patch(name, suspend=True)


def test_a_sync_takes_every_ticket_in(system: System) -> None:
    assert system.last_result("daily-sync")["tickets"] == TICKETS
    assert system.has_all()


def test_an_analysis_classifies_each_ticket_once(system: System) -> None:
    assert system.last_result("analyze")["analyzed"] == TICKETS
    assert system.rows("SELECT count(*) FROM miner_analyses") == [(TICKETS,)]


def test_the_trends_name_what_customers_report(system: System) -> None:
    reported = {re.sub(r" \d+", "", subject) for _, subject, _ in PROBLEMS}
    assert {title for (title,) in system.rows("SELECT title FROM miner_issues")} == reported
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


@pytest.mark.long
def test_zendesk_that_is_down_for_a_moment_costs_one_retry(system: System) -> None:
    system.retry_soon("daily-sync")
    system.zendesk.fault = zendesk.Fault("status", status=503, times=1)

    entry = system.run("daily-sync", "retried")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)


@pytest.mark.long
def test_an_overloaded_model_costs_one_retry_and_no_answer_twice(system: System) -> None:
    system.retry_soon("analyze")
    for number in range(10, 30):
        system.zendesk.change(number, description="Still the same.")
    system.run("daily-sync", "before-overload")
    asked = len(system.claude.requests)
    # Longer than the job waits itself: one refusal ends the attempt, when what is under way beside it is answered.
    system.claude.fault = anthropic_messages.Fault("status", status=529, retry_after="600", after=12, times=1)

    entry = system.run("analyze", "overloaded")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
    assert 5 <= system.last_result("analyze")["analyzed"] <= 8
    assert len(system.claude.requests) - asked == 20 + 1


@pytest.mark.long
def test_a_locked_database_costs_the_trends_one_retry(system: System) -> None:
    system.retry_soon("hourly-trends")
    before = len(system.rows("SELECT * FROM miner_issues WHERE active"))
    with closing(sqlite3.connect(system.volume / "ticket_miner.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        run = system.begin("hourly-trends", "locked")
        eventually(
            lambda: system.tasks.status("hourly-trends").get("active", ()),
            lambda active: any(run == entry["run"] and entry.get("nextAttemptTime") for entry in active),
            "the first attempt gave up",
            150,
        )
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


@pytest.mark.parametrize(("task", "stopped_at"), [("daily-sync", "sync"), ("full-pipeline", "analyze")])
@pytest.mark.long
def test_what_is_stopped_in_its_midst_is_continued_by_the_next_run(system: System, task: str, stopped_at: str) -> None:
    for ticket in list(system.zendesk.tickets)[:110]:
        system.zendesk.change(ticket["id"], description=f"Ticket {ticket['id']} changed before {task}.")
    asked = len(system.claude.requests)
    if stopped_at == "sync":
        system.zendesk.fault = zendesk.Fault("slow", seconds=50, after=1, times=1)
    else:
        system.claude.delay = 0.5
    run = system.begin(task, "stopped")
    if stopped_at == "sync":
        eventually(lambda: system.zendesk.fault, lambda fault: fault is None, "the second page is asked for", 90)
    else:
        eventually(lambda: len(system.claude.requests), lambda now: now >= asked + 10, "the model is asked", 120)

    system.tasks.kubectl("annotate", "stask", task, f"cancel.scheduledtask.dev/{run}=enough")
    entry = await_run(system.tasks, task, run, 120)
    system.claude.delay = 0
    again = system.run(task, "continued")

    assert (entry["outcome"], again["outcome"]) == ("Cancelled", "Succeeded")
    assert system.has_all()
    result = system.last_result(task)
    if stopped_at == "sync":
        assert (result["changed"], result["unchanged"]) == (60, 0), "the first page was taken in before the stop"
    else:
        texts = system.claude.asked[asked:]
        assert len(texts) >= 110
        assert len(texts) == len(set(texts)), "no answer was paid for twice"
        assert 0 < result["analyze"]["analyzed"] < len(texts)
        assert result["analyze"]["remaining"] == 0
        assert result["sync"]["changed"] == 0


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
