"""Runs of the schedule, from the slot to the status."""

import re
from datetime import timedelta

import pytest

from tests.e2e.programs import ProgramTasks, time_of
from tests.integration.tasks import Body, condition

PUNCTUAL = timedelta(seconds=30)
"""How late a run may start on a machine that builds and tests other things meanwhile."""

COLUMNS = ["NAME", "SCHEDULE", "STATE", "ACTIVE", "LAST RUN", "OUTCOME", "RETRIES", "OK", "FAILED", "NEXT", "AGE"]


@pytest.fixture(scope="module")
def echo(tasks: ProgramTasks) -> Body:
    """The status of the task `echo` after two runs."""
    return tasks.await_status("echo", lambda status: status["successCount"] >= 2, "two slots have run", 150)


def test_each_run_is_named_after_its_slot_and_starts_on_time(echo: Body) -> None:
    for entry in echo["history"]:
        slot = time_of(entry["slot"])
        assert entry["trigger"] == "Schedule"
        assert entry["run"] == f"echo-{int(slot.timestamp()) // 60}"
        assert slot <= time_of(entry["startTime"]) <= slot + PUNCTUAL
        assert time_of(entry["startTime"]) <= time_of(entry["endTime"])


def test_no_slot_is_left_out(tasks: ProgramTasks, echo: Body) -> None:
    slots = sorted(time_of(entry["slot"]) for entry in echo["history"])

    assert slots == [slots[0] + number * timedelta(minutes=1) for number in range(len(slots))]
    assert slots[0] - time_of(tasks.get("cronjob", "echo")["metadata"]["creationTimestamp"]) <= timedelta(minutes=1)
    assert time_of(echo["nextRunTime"]) == time_of(echo["lastScheduleTime"]) + timedelta(minutes=1)


def test_a_run_that_succeeded_is_told_with_its_result(echo: Body) -> None:
    latest = echo["history"][0]

    assert (latest["outcome"], latest["reason"], latest["attempts"]) == ("Succeeded", "Completed", 1)
    assert (latest["exitCode"], latest["message"]) == (0, "seen")
    assert latest["result"] == echo["lastResult"]
    assert echo["lastSuccessTime"] == latest["endTime"]
    assert condition(echo, "Ready")["status"] == condition(echo, "Healthy")["status"] == "True"


def test_the_program_sees_its_task_its_run_and_its_parameters(tasks: ProgramTasks, echo: Body) -> None:
    latest = echo["history"][0]

    assert latest["result"]["environment"] == {
        "TASK_NAME": "echo",
        "TASK_NAMESPACE": tasks.namespace,
        "TASK_RUN": latest["run"],
        "TASK_FAILED_ATTEMPTS": "0",
        "TASK_MAX_ATTEMPTS": "4",
        "TASK_PARAMETERS": '{"backfill_days": "3"}',
        "PARAM_BACKFILL_DAYS": "3",
    }
    assert latest["result"]["arguments"] == ["--days=3", f"--run={latest['run']}"]


def test_get_prints_a_line_with_every_column_filled(tasks: ProgramTasks, echo: Body) -> None:
    header, line = tasks.kubectl("get", "stask", "echo").splitlines()
    columns = dict(zip(re.split(r" {2,}", header), re.split(r" {2,}", line), strict=True))

    assert list(columns) == COLUMNS
    assert (columns["NAME"], columns["SCHEDULE"], columns["OUTCOME"]) == ("echo", "* * * * *", "Succeeded")
    assert columns["STATE"] in ("Idle", "Running")
    assert (columns["RETRIES"], columns["FAILED"]) == ("0", "0")
    assert int(columns["OK"]) >= echo["successCount"]
    assert re.fullmatch(r"\d+[ms]\w*", columns["LAST RUN"])
    assert time_of(columns["NEXT"]) > time_of(echo["lastScheduleTime"])


def test_what_failed_and_what_succeeded_is_counted_exactly(tasks: ProgramTasks, minutely: tuple[str, ...]) -> None:
    for name in minutely:
        status = tasks.await_balance(name)
        assert status["successCount"] + status["failureCount"] >= 1
