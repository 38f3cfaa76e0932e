"""Retries on a real control plane: the Job controller's own clock, and the operator's on top of it."""

import time
from datetime import datetime, timedelta

from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.pod_hands import end_pod, pods_of
from tests.integration.tasks import Tasks


def test_the_next_attempt_comes_when_the_backoff_says(tasks: Tasks) -> None:
    tasks.apply("patient", retry={"maxAttempts": 3, "backoff": ["25s"]})
    tasks.await_ready("patient")
    tasks.start_run("patient", "run")
    end_pod(tasks.cluster, tasks.namespace, "run", 1, "connection refused")

    waiting = tasks.await_status("patient", lambda status: status["active"][0]["nextAttemptTime"], "it waits")
    assert tasks.get("job", "run")["spec"]["suspend"] is True
    failed_at = datetime.fromisoformat(
        pods_of(tasks.cluster, tasks.namespace, "run")[0]["status"]["containerStatuses"][0]["state"]["terminated"][
            "finishedAt"
        ]
    )
    due = datetime.fromisoformat(waiting["active"][0]["nextAttemptTime"])
    assert due == failed_at + timedelta(seconds=25)
    assert (waiting["state"], waiting["active"][0]["attempt"]) == ("Retrying", 2)
    failure = {"reason": "NonZeroExit", "message": "connection refused", "exitCode": 1}
    assert waiting["active"][0]["lastFailure"] == failure

    eventually(lambda: len(pods_of(tasks.cluster, tasks.namespace, "run")), lambda count: count == 2, "attempt 2")
    created = datetime.fromisoformat(pods_of(tasks.cluster, tasks.namespace, "run")[1]["metadata"]["creationTimestamp"])
    assert timedelta(0) <= created - due <= timedelta(seconds=10)

    end_pod(tasks.cluster, tasks.namespace, "run", 0)
    status = tasks.await_status("patient", lambda status: status["successCount"], "it is counted")
    assert (status["retryCount"], status["history"][0]["attempts"]) == (1, 2)


def test_words_that_make_another_attempt_pointless_end_the_run_and_keep_its_pod(tasks: Tasks) -> None:
    tasks.apply("lost", retry={"maxAttempts": 5})
    tasks.await_ready("lost")
    tasks.start_run("lost", "run")

    end_pod(tasks.cluster, tasks.namespace, "run", 1, "HTTP 404: no such page")
    status = tasks.await_status("lost", lambda status: status["failureCount"], "it is counted")

    assert status["lastError"]["reason"] == "NonRetryableMessage"
    assert status["lastError"]["message"].endswith("HTTP 404: no such page")
    assert status["history"][0]["attempts"] == 1
    assert len(pods_of(tasks.cluster, tasks.namespace, "run")) == 1


def test_a_run_is_given_up_when_its_next_attempt_would_not_come_before_the_next_slot(tasks: Tasks) -> None:
    tasks.apply("hasty", schedule="*/2 * * * *", retry={"maxAttempts": 5, "backoff": ["10m"]})
    tasks.await_ready("hasty")
    tasks.start_run("hasty", "run")

    end_pod(tasks.cluster, tasks.namespace, "run", 1, "busy")
    status = tasks.await_status("hasty", lambda status: status["failureCount"], "it is counted")

    assert status["lastError"]["reason"] == "NextSlotFirst"
    assert "busy" in status["lastError"]["message"]


def test_an_operator_that_returns_after_the_time_resumes_at_once(tasks: Tasks, operator: OperatorProcess) -> None:
    tasks.apply("interrupted", retry={"maxAttempts": 2, "backoff": ["15s"]})
    tasks.await_ready("interrupted")
    tasks.start_run("interrupted", "run")
    end_pod(tasks.cluster, tasks.namespace, "run", 1, "busy")
    waiting = tasks.await_status("interrupted", lambda status: status["active"][0]["nextAttemptTime"], "it waits")
    due = datetime.fromisoformat(waiting["active"][0]["nextAttemptTime"])

    operator.kill()
    eventually(time.time, lambda now: now > due.timestamp(), "the time has come", 30)
    assert tasks.get("job", "run")["spec"]["suspend"] is True
    operator.start()

    eventually(lambda: len(pods_of(tasks.cluster, tasks.namespace, "run")), lambda count: count == 2, "attempt 2")
    end_pod(tasks.cluster, tasks.namespace, "run", 0)
    tasks.await_status("interrupted", lambda status: status["successCount"], "it is counted")


def test_without_the_operator_failed_attempts_are_retried_all_the_same(tasks: Tasks, operator: OperatorProcess) -> None:
    tasks.apply("alone", retry={"maxAttempts": 3, "backoff": ["30m"]})
    tasks.await_ready("alone")
    operator.kill()

    tasks.start_run("alone", "run")
    end_pod(tasks.cluster, tasks.namespace, "run", 1, "busy")
    end_pod(tasks.cluster, tasks.namespace, "run", 0)
    tasks.kubectl("wait", "--for=condition=Complete", "job/run", "--timeout=60s")
    operator.start()

    status = tasks.await_status("alone", lambda status: status["successCount"], "it is counted")
    assert (status["failureCount"], status["retryCount"]) == (0, 1)
