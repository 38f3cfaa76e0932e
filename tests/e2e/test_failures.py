"""Runs that go wrong in a real container: what the task then says, and how often it was tried."""

import pytest

from tests.e2e.programs import ProgramTasks, failures_told
from tests.integration.operator_process import eventually
from tests.integration.tasks import condition

TRACEBACK = """
import sys
def lookup(champion):
    raise ValueError(f"no such champion: {champion}")
print("looking up 3 champions")
lookup("Zzz")
"""
REFUSED = "import sys; print('the key is refused', file=sys.stderr); sys.exit(77)"
SECOND_TIME_LUCKY = """
import json, os, sys
failed = os.environ["TASK_FAILED_ATTEMPTS"]
json.dump({"result": {"failed": failed}}, open("/dev/termination-log", "w"))
sys.exit(75 if failed == "0" else 0)
"""
ON_SIGTERM = """
import signal, sys, time
def stop(*_):
    open("/dev/termination-log", "w").write("committed 20 of 500 tickets")
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
time.sleep(300)
"""

QUICKLY = {"backoff": ["10s"]}


@pytest.fixture(scope="module", autouse=True)
def runs(tasks: ProgramTasks) -> None:
    """One run of each task, all started at the same time."""
    tasks.apply_program("traceback", TRACEBACK, retry={"maxAttempts": 2, **QUICKLY}, alerts={"consecutiveFailures": 1})
    tasks.apply_program("refused", REFUSED, retry={"maxAttempts": 5})
    tasks.apply_program("greedy", "held = bytearray(400_000_000)", memory="48Mi", retry={"maxAttempts": 1})
    tasks.apply_program("endless", ON_SIGTERM, timeouts={"attempt": "20s"}, retry={"maxAttempts": 1})
    tasks.apply_program("overdue", ON_SIGTERM, timeouts={"run": "4s"}, retry={"maxAttempts": 3})
    tasks.apply_program("lucky", SECOND_TIME_LUCKY, retry={"maxAttempts": 3, **QUICKLY})
    names = ("traceback", "refused", "greedy", "endless", "overdue", "lucky")
    for name in names:
        tasks.await_ready(name)
    for name in names:
        tasks.start_run(name, f"{name}-1")


def test_a_traceback_is_told_with_reason_exit_code_and_its_tail(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("traceback", "traceback-1")
    status = tasks.status("traceback")

    error = status["lastError"]
    assert (error["run"], error["reason"], error["exitCode"]) == ("traceback-1", "NonZeroExit", 1)
    assert "Traceback (most recent call last)" in error["message"]
    assert error["message"].endswith("ValueError: no such champion: Zzz")
    assert (entry["outcome"], entry["exitCode"], entry["trigger"]) == ("Failed", 1, "Manual")
    assert condition(status, "Healthy")["status"] == "False"


def test_a_failed_attempt_is_tried_again_as_often_as_the_task_says(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("traceback", "traceback-1")

    assert entry["attempts"] == 2
    assert len(tasks.listed("pod", "job-name=traceback-1")) == 2
    assert tasks.status("traceback")["retryCount"] == 1
    assert tasks.status("traceback")["failureCount"] == 1


def test_a_second_attempt_knows_that_one_has_failed_and_its_success_is_the_run_s(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("lucky", "lucky-1")
    status = tasks.status("lucky")

    assert (entry["outcome"], entry["attempts"], entry["result"]) == ("Succeeded", 2, {"failed": "1"})
    assert (status["successCount"], status["failureCount"], status["retryCount"]) == (1, 0, 1)
    assert "lastError" not in status


def test_an_event_tells_of_the_failure_once(tasks: ProgramTasks) -> None:
    tasks.await_run("traceback", "traceback-1")

    events = eventually(lambda: failures_told(tasks, "traceback"), bool, "an Event about the failure")
    assert len(events) == 1
    assert events[0].get("count", 1) == 1
    assert "traceback-1" in events[0]["message"]
    assert "exit code 1" in events[0]["message"]
    assert "ValueError: no such champion: Zzz" in events[0]["message"]


def test_describe_tells_conditions_counters_the_last_error_and_events(tasks: ProgramTasks) -> None:
    tasks.await_run("traceback", "traceback-1")

    told = tasks.kubectl("describe", "stask", "traceback")

    status = told.partition("\nStatus:")[2]
    for words in (
        "Failure Count:",
        "Consecutive Failures:",
        "Retry Count:",
        "Exit Code:",
        "ValueError: no such champion: Zzz",
        "Type:                  Ready",
        "Type:                  Healthy",
        "ConsecutiveFailures",
    ):
        assert words in status, told
    assert "RunFailed" in status.partition("\nEvents:")[2], told


def test_a_non_retryable_exit_code_ends_the_run_after_one_attempt(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("refused", "refused-1")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1)
    assert tasks.status("refused")["lastError"]["exitCode"] == 77
    assert tasks.status("refused")["lastError"]["message"] == "the key is refused"


def test_a_container_killed_for_its_memory_is_out_of_memory(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("greedy", "greedy-1")

    assert (entry["outcome"], entry["reason"], entry["exitCode"]) == ("Failed", "OutOfMemory", 137)


def test_an_attempt_beyond_its_timeout_gets_sigterm_and_its_last_words_are_kept(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("endless", "endless-1")

    assert (entry["outcome"], entry["reason"]) == ("Failed", "AttemptTimeout")
    assert tasks.status("endless")["lastError"]["message"] == "committed 20 of 500 tickets"


def test_a_run_beyond_its_timeout_is_ended_with_attempts_left(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("overdue", "overdue-1")

    assert (entry["outcome"], entry["reason"]) == ("Failed", "RunTimeout")
    assert entry["attempts"] == 1
