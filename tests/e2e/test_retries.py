"""Attempts of a real container: when each comes, and what makes another one pointless. Without the operator, see
test_absence.
"""

from datetime import datetime, timedelta

import pytest

from tests.e2e.attempts import log_of
from tests.e2e.conftest import Watched
from tests.e2e.programs import ProgramTasks, time_of
from tests.integration.administrator import administrator
from tests.integration.operator_process import eventually
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import Body

WAITS = [timedelta(seconds=seconds) for seconds in (15, 25, 40, 80)]
"""Before attempts 2 to 5: twice what `backoff` says, 15 s and 25 s, then what the Job controller waits at least."""
PROMPT = timedelta(seconds=30)
"""How late an attempt may start on a machine that builds and tests other things meanwhile."""

GONE = "raise SystemExit('GET /matches/1: HTTP 404')"
UNTIL_TOLD = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
print("begun", flush=True)
time.sleep(300)
"""
TELL = "import os, signal; os.kill(1, signal.SIGUSR1)"


@pytest.fixture(scope="module", autouse=True)
def gone(tasks: ProgramTasks) -> None:
    tasks.apply_program("gone", GONE, retry={"maxAttempts": 5})
    tasks.await_ready("gone")
    tasks.start_run("gone", "gone-1")


@pytest.fixture(scope="module")
def ends(tasks: ProgramTasks, unavailable: Watched) -> list[Body]:
    """How the container of each attempt has ended, once one has succeeded."""
    tasks.await_status(unavailable.task, lambda status: status["successCount"], "a run has succeeded", 240)
    pods = tasks.listed("pod", f"job-name={unavailable.run}")
    states = [pod["status"]["containerStatuses"][0]["state"]["terminated"] for pod in pods]
    return sorted(states, key=lambda end: time_of(end["startedAt"]))


def test_words_that_make_another_attempt_pointless_end_the_run_after_one(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("gone", "gone-1")
    error = tasks.status("gone")["lastError"]

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableMessage", 1)
    assert (error["reason"], error["exitCode"]) == ("NonRetryableMessage", 1)
    assert 'after "404"' in error["message"]
    assert error["message"].endswith("GET /matches/1: HTTP 404")
    assert len(tasks.listed("pod", "job-name=gone-1")) == 1


def test_what_says_503_four_times_succeeds_in_its_fifth_attempt(
    tasks: ProgramTasks, unavailable: Watched, ends: list[Body]
) -> None:
    status = tasks.status(unavailable.task)
    (entry,) = status["history"]

    assert [end["exitCode"] for end in ends] == [1, 1, 1, 1, 0]
    assert {end["message"].strip() for end in ends[:4]} == {"GET /matches: HTTP 503"}
    assert (entry["run"], entry["outcome"], entry["attempts"]) == (unavailable.run, "Succeeded", 5)
    assert (status["successCount"], status["failureCount"], status["retryCount"]) == (1, 0, 4)


def test_while_it_waits_the_status_says_which_attempt_is_next_and_when(unavailable: Watched, ends: list[Body]) -> None:
    due = next_attempts(unavailable)

    assert due == {
        attempt: {time_of(end["finishedAt"]) + wait}
        for attempt, end, wait in zip((2, 3, 4, 5), ends[:4], WAITS, strict=True)
    }


def test_no_attempt_comes_before_its_time_or_long_after_it(unavailable: Watched, ends: list[Body]) -> None:
    late = [
        time_of(end["startedAt"]) - max(due)
        for end, (_, due) in zip(ends[1:], sorted(next_attempts(unavailable).items()), strict=True)
    ]
    print(f"late by: {[wait.total_seconds() for wait in late]} s")

    assert min(late) >= timedelta(0)
    assert max(late) <= PROMPT


def test_a_pod_that_a_drain_evicts_is_no_attempt(tasks: ProgramTasks) -> None:
    tasks.apply_program("drained", UNTIL_TOLD, retry={"maxAttempts": 1})
    tasks.await_ready("drained")
    tasks.start_run("drained", "drained-1")
    evicted = begun_pod(tasks, "drained-1")

    path = f"/api/v1/namespaces/{tasks.namespace}/pods/{evicted}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": evicted}}
    administrator(tasks.cluster).post(path, json=body).raise_for_status()

    follower = begun_pod(tasks, "drained-1", other_than=evicted)
    (active,) = tasks.status("drained")["active"]
    assert (active["attempt"], "lastFailure" in active) == (1, False)
    tasks.kubectl("exec", follower, "--", "python3", "-c", TELL)
    entry = tasks.await_run("drained", "drained-1")
    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 1)
    assert tasks.status("drained")["retryCount"] == 0


def begun_pod(tasks: ProgramTasks, run: str, other_than: str = "") -> str:
    """The pod of a run whose program has begun, by its name."""

    def begun() -> str:
        names = [pod["metadata"]["name"] for pod in pods_of(tasks.cluster, tasks.namespace, run)]
        return names[-1] if names and names[-1] != other_than and "begun" in log_of(tasks, run) else ""

    return eventually(begun, bool, f"a pod of {run} has begun", 90)


def next_attempts(run: Watched) -> dict[int, set[datetime]]:
    """All that the status has said of when which attempt is due."""
    said: dict[int, set[datetime]] = {}
    for event in run.versions:
        status = event["object"].get("status", {})
        for active in status.get("active", ()):
            if "nextAttemptTime" in active:
                assert status["state"] == "Retrying"
                assert active["lastFailure"]["message"] == "GET /matches: HTTP 503"
                said.setdefault(active["attempt"], set()).add(time_of(active["nextAttemptTime"]))
    return said
