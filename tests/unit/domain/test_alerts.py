"""Healthy: the rules, what they say, and that time alone is enough for the dead man's switch."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.api.status import Condition
from scheduledtask.domain.alerts import health, success_awaited_since
from scheduledtask.domain.conditions import find
from scheduledtask.domain.values import Task
from tests.unit.builders import NOON, a_job, a_task, at, failed, succeeded
from tests.unit.world import World, is_quiet

CREATED = NOON - timedelta(days=1)
DEAD_MAN = {"noSuccessFor": "26h"}


def task_with(alerts: dict[str, Any], **counters: Any) -> Task:
    """A task made at noon of the day before, with these counters."""
    task = a_task(alerts=alerts)
    return replace(task, status=task.status.model_copy(update={"success_awaited_since": CREATED, **counters}))


def healthy_of(world: World) -> Condition:
    found = find(world.status().conditions, "Healthy")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("alerts", "counters", "status", "reason", "words"),
    [
        ({}, {}, "Unknown", "NoRunYet", "No run has ended yet."),
        ({}, {"success_count": 1}, "True", "RunsSucceed", "Fewer than 3 failed runs in a row."),
        ({}, {"failure_count": 2, "consecutive_failures": 2}, "True", "RunsSucceed", "Fewer than 3"),
        ({}, {"failure_count": 3, "consecutive_failures": 3}, "False", "ConsecutiveFailures", "The last 3 runs in a"),
        (
            {"consecutiveFailures": 1},
            {"consecutive_failures": 1},
            "False",
            "ConsecutiveFailures",
            "The last run failed",
        ),
        ({"noSuccessFor": "25h"}, {}, "Unknown", "NoRunYet", "No run has ended yet."),
        ({"noSuccessFor": "24h"}, {}, "False", "NoSuccess", "for 24h (none ever): see whether the task is Ready"),
        ({"noSuccessFor": "24h"}, {"failure_count": 1, "consecutive_failures": 1}, "False", "NoSuccess", "lastError"),
        (
            {"noSuccessFor": "2h"},
            {"success_count": 1, "last_success_time": at("10:00")},
            "False",
            "NoSuccess",
            "the last success was at 2026-11-22T10:00:00Z",
        ),
        ({"noSuccessFor": "2h"}, {"success_count": 1, "last_success_time": at("10:01")}, "True", "RunsSucceed", "2h"),
        (
            {"noSuccessFor": "2h"},
            {"failure_count": 4, "consecutive_failures": 4},
            "False",
            "NoSuccess",
            "Also (ConsecutiveFailures): The last 4 runs in a row failed: see lastError.",
        ),
        ({}, {"success_count": 1, "consecutive_missed": 5}, "True", "RunsSucceed", "Fewer than 3"),
        ({"missedSlots": 2}, {"success_count": 1, "consecutive_missed": 1}, "True", "RunsSucceed", "Fewer than 3"),
        (
            {"missedSlots": 2},
            {"consecutive_missed": 2},
            "False",
            "MissedSlots",
            "The last 2 slots in a row were missed",
        ),
        ({"missedSlots": 1}, {"consecutive_missed": 1}, "False", "MissedSlots", "slot was missed: status.history says"),
        (
            {"missedSlots": 1},
            {"consecutive_missed": 1, "consecutive_failures": 3},
            "False",
            "ConsecutiveFailures",
            "Also (MissedSlots): The last slot was missed",
        ),
    ],
)
def test_a_task_is_healthy_as_its_rules_say(
    alerts: dict[str, Any], counters: dict[str, Any], status: str, reason: str, words: str
) -> None:
    task = task_with(alerts, **counters)
    told = health(task, task.status, NOON).condition
    assert (told.status, told.reason) == (status, reason)
    assert words in told.message


@pytest.mark.parametrize("failures", [0, 7])
def test_it_is_judged_again_when_a_success_is_overdue_and_then_no_more(failures: int) -> None:
    task = task_with(DEAD_MAN, consecutive_failures=failures)
    due = CREATED + timedelta(hours=26)
    assert health(task, task.status, NOON).again_at == due
    assert health(task, task.status, due).again_at is None


class TestTheDeadMansSwitch:
    def test_it_fires_though_nothing_runs_and_a_success_ends_it(self) -> None:
        world = World(a_task(schedule=None, alerts={"noSuccessFor": "25h"}))
        assert world.settle(NOON).requeue_at == at("13:00")
        world.settle(at("13:00"))
        assert (healthy_of(world).reason, healthy_of(world).last_transition_time) == ("NoSuccess", at("13:00"))
        assert world.plan(at("15:00")).requeue_at is None

        world.jobs = (succeeded(a_job(creation_time=at("15:10")), at("15:20")),)
        assert world.settle(at("15:20")).requeue_at == at("15:20") + timedelta(hours=25)
        assert healthy_of(world).reason == "RunsSucceed"

    @pytest.mark.parametrize("rest", [{"suspend": True}, {"pauseUntil": "2026-11-22T20:00:00Z"}])
    def test_it_rests_while_slots_are_passed_over_and_then_counts_anew(self, rest: dict[str, Any]) -> None:
        alerts = {"noSuccessFor": "25h"}
        world = World(a_task(schedule=None, alerts=alerts, **rest))
        world.settle(NOON)
        world.settle(at("19:59"))
        assert (healthy_of(world).status, world.status().success_awaited_since) == ("Unknown", None)

        world.edit(a_task(schedule=None, alerts=alerts))
        assert world.settle(at("20:00")).requeue_at == at("20:00") + timedelta(hours=25)
        assert world.status().success_awaited_since == at("20:00")

    def test_a_pause_that_ends_by_itself_is_noticed_even_with_a_schedule_that_is_no_longer_valid(self) -> None:
        world = World(a_task(schedule="61 * * * *", pauseUntil="2026-11-22T13:00:00Z", alerts=DEAD_MAN))
        assert world.settle(NOON).requeue_at == at("13:00")
        assert world.settle(at("13:00")).requeue_at == at("13:00") + timedelta(hours=26)

    def test_a_suspension_ends_an_alert_that_is_its_alone(self) -> None:
        world = World(a_task(schedule=None, alerts={"noSuccessFor": "1h"}))
        world.settle(NOON)
        assert healthy_of(world).status == "False"
        world.edit(a_task(schedule=None, alerts={"noSuccessFor": "1h"}, suspend=True))
        world.settle(NOON)
        assert healthy_of(world).status == "Unknown"

    def test_a_spec_that_cannot_be_read_changes_nothing(self) -> None:
        task = replace(task_with({}), spec=None, invalid="spec.schedule: no")
        assert success_awaited_since(task, NOON) == CREATED
        assert health(task, task.status, NOON).condition.reason == "NoRunYet"


class TestMissedSlots:
    def test_those_of_an_absence_make_a_task_unhealthy_until_a_run_of_a_slot_ends(self) -> None:
        spec: dict[str, Any] = {"catchUp": "None", "alerts": {"missedSlots": 3}}
        world = World(replace(a_task(**spec), creation_time=at("11:30")))
        world.settle(at("11:30"))
        world.settle(at("14:30"))
        assert healthy_of(world).reason == "MissedSlots"
        assert world.status().consecutive_missed == world.status().missed_count == 3

        world.jobs = (succeeded(a_job("manual", creation_time=at("14:40"), scheduled_time=None), at("14:45")),)
        world.settle(at("14:45"))
        assert healthy_of(world).status == "False", "a manual run says nothing of slots"
        world.jobs += (failed(a_job("report-29730180", creation_time=at("15:00")), at("15:05")),)
        world.settle(at("15:05"))
        assert (healthy_of(world).status, world.status().consecutive_missed) == ("True", 0)


@given(
    runs=st.lists(st.tuples(st.integers(1, 500), st.booleans()), max_size=8, unique_by=lambda run: run[0]),
    limit=st.integers(1, 4),
    hours=st.integers(1, 8),
    look=st.integers(0, 600),
)
def test_healthy_is_what_the_runs_and_the_clock_say_whenever_one_looks(
    runs: list[tuple[int, bool]], limit: int, hours: int, look: int
) -> None:
    """Against the rules written a second time, over the plain list of runs."""
    now = NOON + timedelta(minutes=look)
    task = replace(
        a_task(schedule=None, alerts={"consecutiveFailures": limit, "noSuccessFor": f"{hours}h"}), creation_time=NOON
    )
    world = World(task)
    world.settle(NOON)
    past = sorted((minute, well) for minute, well in runs if minute <= look)
    for minute, well in past:
        end = NOON + timedelta(minutes=minute)
        job = a_job(f"run-{minute}", creation_time=NOON)
        world.jobs += (succeeded(job, end) if well else failed(job, end),)
    world.settle(now)

    tail = [well for _, well in past][-limit:]
    all_failed = len(tail) == limit and not any(tail)
    last_success = max((minute for minute, well in past if well), default=0)
    overdue = look - last_success >= hours * 60
    assert (healthy_of(world).status == "False") == (all_failed or overdue)
    assert (healthy_of(world).reason == "NoSuccess") == overdue
    assert is_quiet(world.plan(now))
