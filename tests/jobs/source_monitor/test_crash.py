"""A run that is killed anywhere, and the one after it: no change is lost or recorded twice, and every alert arrives,
at most once more than once, under one id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from source_monitor.models import Change, Check, FetchRun
from tests.jobs.source_monitor.conftest import ROOT, Monitor, Program
from tests.receiver import Receiver
from tests.upstreams.watched_pages import Fault, Page, PageServer

Rounds = Callable[..., int]


@pytest.fixture(scope="module")
def killer() -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join(str(ROOT / part) for part in ("job_images/sdk", "job_images/source_monitor", ""))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.source_monitor.killing"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
    )  # fmt: skip
    yield process
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    process.stdout.close()
    process.wait()


@pytest.fixture
def rounds(killer: subprocess.Popen[str], monitor: Monitor, hooks: Receiver) -> Rounds:
    """Do a round in a process of its own, killed at a moment, or at none for 0; its exit code."""

    def do(run: str, attempt: int, kill_at: int = 0) -> int:
        environment = {
            "DATABASE_URL": monitor.url, "TASK_NAME": "daily-fetch", "TASK_RUN": run,
            "TASK_FAILED_ATTEMPTS": str(attempt - 1), "ALLOWED_INTERNAL_NETWORKS": "127.0.0.1", "FETCH_HOST_PAUSE": "0",
            "ALERT_WEBHOOK_URL": hooks.url("/hook"), "TERMINATION_LOG": os.devnull,
        }  # fmt: skip
        order: dict[str, Any] = {
            "environment": environment,
            "arguments": ["daily-fetch", "--force"],
            "kill_at": kill_at,
        }
        assert killer.stdin
        assert killer.stdout
        killer.stdin.write(json.dumps(order) + "\n")
        killer.stdin.flush()
        return int(killer.stdout.readline())

    return do


def test_killed_at_one_moment_after_the_other_and_done_again_it_ends_as_if_undisturbed(
    monitor: Monitor, pages: PageServer, hooks: Receiver, rounds: Rounds
) -> None:
    # Every fifth moment on SQLite, every seventh on PostgreSQL: enough of each kind, in a sixth of the time.
    moment, step = (-3, 5) if monitor.url.startswith("sqlite") else (-3, 7)
    names = ("terms", "prices")
    for name in names:
        pages.pages[f"/{name}"] = Page.html(f"<p>{name} as of round zero")
        monitor.add(f"{pages.url}/{name}")
    assert rounds("run-0", 1) == 0
    exit_code, killed = -signal.SIGKILL, 0
    while exit_code == -signal.SIGKILL:
        killed, moment = killed + 1, moment + step
        for name in names:
            pages.pages[f"/{name}"] = Page.html(f"<p>{name} as of round {killed}x")
        exit_code = rounds(f"run-{killed}", 1, kill_at=moment)
        assert rounds(f"run-{killed}", 2) == 0
    assert exit_code == 0
    assert moment > 40, "the moments of a run are fewer than its statements: is nothing killed any more?"

    changes = monitor.all(Change)
    assert Counter(change.run for change in changes) == {f"run-{number}": 2 for number in range(1, killed + 1)}
    assert {change.account for change in changes if change.run == "run-7"} == {
        f"~ {name} as of round [-6x-]{{+7x+}}" for name in names
    }
    assert all(change.number == number + 2 for name in (1, 2) for number, change in enumerate(of(changes, name)))
    alerts = monitor.alerts()
    assert len(alerts) == len(changes)
    assert not any(alert.outstanding for alert in alerts)
    received = Counter(request.id for request in hooks.on("/hook"))
    assert set(received) == {alert.id for alert in alerts}
    assert max(received.values()) <= 2
    assert len(monitor.all(FetchRun)) == killed + 1
    assert not [check for check in monitor.all(Check) if check.error]


def of(changes: list[Change], source: int) -> list[Change]:
    return sorted((change for change in changes if change.source_id == source), key=lambda change: change.number)


def test_sigterm_ends_a_run_which_the_next_attempt_completes(
    program: Program, on_sqlite: Monitor, pages: PageServer
) -> None:
    monitor = on_sqlite
    for number in range(4):
        pages.pages[f"/{number}"] = Page.html(f"<p>page {number}")
        monitor.add(f"{pages.url}/{number}")
    pages.fault = Fault("slow", seconds=30, path="/2")
    named = {"TASK_NAME": "daily-fetch", "TASK_RUN": "run-1"}
    process = program.start("daily-fetch", **named)
    assert process.stderr
    awaited = {"Source 2 processed", "Processing source 3"}
    while awaited:
        line = process.stderr.readline()
        assert line, "the run ended by itself"
        awaited = {words for words in awaited if words not in line}
    process.send_signal(signal.SIGTERM)

    ended = program.ended(process)

    assert ended.exit_code == 75
    assert ended.termination["error"]["class"] == "Interrupted"
    assert len(monitor.all(Check)) == 2
    pages.fault = None
    ended = program.run("daily-fetch", **named, TASK_FAILED_ATTEMPTS="1")
    assert ended.exit_code == 0
    assert ended.termination["result"]["sources_succeeded"] == 4
    assert len(pages.asked("/0")) == 1


def test_a_run_by_its_own_exit_code_and_termination_message(
    program: Program, on_sqlite: Monitor, pages: PageServer
) -> None:
    on_sqlite.add(f"{pages.url}/terms")
    pages.fault = Fault("status", status=503)
    ended = program.run("daily-fetch")
    assert ended.exit_code == 75
    error = ended.termination["error"]
    assert (error["class"], error["retryable"], error["context"]["sources_failed"]) == ("Unavailable", True, 1)
    assert error["message"] == "all 1 sources failed; the first: answered 503"
    pages.fault = Fault("status", status=404)
    assert program.run("daily-fetch").exit_code == 66
