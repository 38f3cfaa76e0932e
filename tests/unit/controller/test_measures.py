"""What /metrics says of tasks and their runs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from scheduledtask.api.status import ActiveRun, HistoryEntry, Outcome, ScheduledTaskStatus, Trigger
from scheduledtask.controller.measures import TaskMeasures, count_runs
from scheduledtask.controller.store import Store
from scheduledtask.domain.outcome import EndedRun
from scheduledtask.domain.plan import Plan
from scheduledtask.kube.wire import Metadata, ScheduledTaskObject
from tests.unit.builders import NOON, a_task
from tests.unit.kube import wire_objects as wire

REPORT = 'name="report",namespace="match-history"'


class Scraped:
    """A store of tasks that is scraped."""

    def __init__(self) -> None:
        self.store = Store(lambda key: None)
        self._registry = CollectorRegistry()
        self._registry.register(TaskMeasures(self.store))

    def put(self, status: dict[str, Any] | None = None, **more: Any) -> None:
        self.store.tasks.put(msgspec.json.decode(wire.task(status, **more), type=ScheduledTaskObject))

    def lines(self) -> set[str]:
        """What is said now, without the lines that explain it."""
        return {line for line in generate_latest(self._registry).decode().splitlines() if line[0] != "#"}


def of_time(clock: str) -> str:
    return f"2026-11-22T{clock}:00Z"


def test_a_task_is_told_as_its_status_has_it() -> None:
    scraped = Scraped()
    scraped.put(
        {
            "successCount": 7,
            "failureCount": 2,
            "cancelledCount": 1,
            "skippedCount": 3,
            "missedCount": 4,
            "lastSuccessTime": of_time("11:00"),
            "successAwaitedSince": of_time("10:00"),
            "nextRunTime": of_time("13:00"),
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Scheduled"},
                {"type": "Healthy", "status": "False", "reason": "ConsecutiveFailures"},
            ],
            "activeRuns": 2,
            "active": [{"run": "a", "nextAttemptTime": of_time("12:30")}, {"run": "b"}],
        }
    )
    eleven = f"{(NOON - timedelta(hours=1)).timestamp():.0f}"
    lines = {whole(line) for line in scraped.lines()}
    assert lines == {
        f'scheduledtask_runs_ended_total{{{REPORT},outcome="Succeeded"}} 7',
        f'scheduledtask_runs_ended_total{{{REPORT},outcome="Failed"}} 2',
        f'scheduledtask_runs_ended_total{{{REPORT},outcome="Cancelled"}} 1',
        f'scheduledtask_slots_unstarted_total{{{REPORT},outcome="Missed"}} 4',
        f'scheduledtask_slots_unstarted_total{{{REPORT},outcome="Skipped"}} 3',
        f"scheduledtask_last_success_timestamp_seconds{{{REPORT}}} {eleven}",
        f"scheduledtask_success_awaited_timestamp_seconds{{{REPORT}}} {eleven}",
        f'scheduledtask_problem{{condition="Healthy",{REPORT},reason="ConsecutiveFailures"}} 1',
        "scheduledtask_active_runs 2",
        "scheduledtask_retries_waiting 1",
    }


def whole(line: str) -> str:
    """The line with its value as a whole number."""
    name, _, value = line.rpartition(" ")
    return f"{name} {float(value):.0f}"


def test_what_alerts_count_is_told_from_zero_and_what_is_not_known_is_absent() -> None:
    scraped = Scraped()
    scraped.put()
    assert {whole(line) for line in scraped.lines()} == {
        f'scheduledtask_runs_ended_total{{{REPORT},outcome="Succeeded"}} 0',
        f'scheduledtask_runs_ended_total{{{REPORT},outcome="Failed"}} 0',
        f'scheduledtask_slots_unstarted_total{{{REPORT},outcome="Missed"}} 0',
        "scheduledtask_active_runs 0",
        "scheduledtask_retries_waiting 0",
    }


@pytest.mark.parametrize(
    ("status", "since"),
    [
        ({"successAwaitedSince": of_time("12:00"), "nextRunTime": of_time("13:00")}, NOON),
        (
            {
                "successAwaitedSince": of_time("12:00"),
                "lastSuccessTime": of_time("11:00"),
                "nextRunTime": of_time("13:00"),
            },
            NOON,
        ),
        ({"lastSuccessTime": of_time("11:00"), "nextRunTime": of_time("13:00")}, None),
        ({"successAwaitedSince": of_time("12:00")}, None),
    ],
    ids=["never succeeded", "after a pause", "paused", "on demand only"],
)
def test_a_success_is_awaited_of_tasks_that_are_due(status: dict[str, Any], since: Any) -> None:
    scraped = Scraped()
    scraped.put(status)
    told = [line for line in scraped.lines() if line.startswith("scheduledtask_success_awaited")]
    assert [float(line.rpartition(" ")[2]) for line in told] == ([since.timestamp()] if since else [])


def test_a_deleted_task_takes_its_series_along() -> None:
    scraped = Scraped()
    scraped.put({"successCount": 1, "missedCount": 1})
    scraped.store.tasks.remove(Metadata(name="report", namespace="match-history", resource_version="6"))
    assert [line for line in scraped.lines() if "match-history" in line] == []


def test_a_status_that_can_not_be_read_hides_no_other_task() -> None:
    scraped = Scraped()
    scraped.put({"successCount": "seven"})
    scraped.put({"successCount": 1}, namespace="other")
    told = [line for line in scraped.lines() if "runs_ended" in line]
    assert [line for line in told if "match-history" in line] == []
    assert 'scheduledtask_runs_ended_total{name="report",namespace="other",outcome="Succeeded"} 1.0' in told


SLOT = NOON


def a_started_run(uid: str, late: int) -> ActiveRun:
    start = SLOT + timedelta(seconds=late)
    return ActiveRun(run=uid, uid=uid, trigger=Trigger.SCHEDULE, slot=SLOT, start_time=start, attempt=1)


def an_ended_run(uid: str | None, late: int, **fields: Any) -> EndedRun:
    start = SLOT + timedelta(seconds=late)
    known = {
        "run": uid,
        "uid": uid,
        "trigger": Trigger.SCHEDULE,
        "slot": SLOT,
        "start_time": start,
        "end_time": start + timedelta(seconds=90),
        "outcome": Outcome.FAILED,
        "reason": "Why",
        "attempts": 3,
    }
    return EndedRun(HistoryEntry(**{**known, **fields}), None)


def status_of(*runs: str) -> ScheduledTaskStatus:
    return ScheduledTaskStatus(active=tuple(a_started_run(run, 7) for run in runs))


@pytest.mark.parametrize(
    ("planned", "counted"),
    [
        (Plan(status=status_of("known", "new")), {"run_lateness_seconds": 7}),
        (Plan(status=status_of("known", "waiting")), {"run_lateness_seconds": 7}),
        (
            Plan(ended=(an_ended_run("short", 5),)),
            {"run_lateness_seconds": 5, "run_duration_seconds": 90, "run_attempts": 3},
        ),
        (Plan(ended=(an_ended_run("known", 5),)), {"run_duration_seconds": 90, "run_attempts": 3}),
        (
            Plan(ended=(an_ended_run("manual", 5, slot=None, trigger=Trigger.MANUAL),)),
            {"run_duration_seconds": 90, "run_attempts": 3},
        ),
        (Plan(ended=(an_ended_run(None, 5, start_time=None, attempts=0, outcome=Outcome.MISSED),)), {}),
    ],
    ids=["started", "waited, and started", "ended before it was seen", "ended after it was seen", "manual", "no run"],
)
def test_each_run_is_counted_once(planned: Plan, counted: dict[str, float]) -> None:
    def sums() -> dict[str, float]:
        families = [family for family in REGISTRY.collect() if family.name.startswith("scheduledtask_run_")]
        found: dict[str, float] = {}
        for sample in (sample for family in families for sample in family.samples if sample.name.endswith("_sum")):
            name = sample.name.removeprefix("scheduledtask_").removesuffix("_sum")
            found[name] = found.get(name, 0) + sample.value
        return found

    waiting = a_started_run("waiting", 0).model_copy(update={"start_time": None})
    task = replace(a_task(), status=ScheduledTaskStatus(active=(a_started_run("known", 0), waiting)))
    before = sums()
    count_runs(task, planned)
    added = {name: value - before.get(name, 0) for name, value in sums().items()}
    assert {name: value for name, value in added.items() if value} == counted
