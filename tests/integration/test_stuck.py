"""Attempts that do not start, on a real control plane: ended, told in Kubernetes' words, cheap where all is well."""

import json
import time
from datetime import datetime, timedelta

from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.pod_hands import begin_pod, end_pod, hold_pod, image_error, pods_of
from tests.integration.tasks import Body, Tasks

PULL_ERROR = 'failed to pull and unpack image "none.invalid/none": no such host'
NO_NODE = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."


def test_an_image_that_cannot_be_pulled_ends_each_attempt_and_then_the_run(tasks: Tasks) -> None:
    tasks.apply("unpulled", timeouts={"pending": "4s"}, retry={"maxAttempts": 2, "backoff": ["3s"]})
    tasks.await_ready("unpulled")
    tasks.start_run("unpulled", "run")
    first = hold_pod(tasks.cluster, tasks.namespace, "run", image_error("ErrImagePull", PULL_ERROR))
    created = datetime.fromisoformat(pods_of(tasks.cluster, tasks.namespace, "run")[0]["metadata"]["creationTimestamp"])

    waiting = tasks.await_status("unpulled", waits, "it waits")
    assert (waiting["state"], waiting["active"][0]["attempt"]) == ("Retrying", 2)
    assert waiting["active"][0]["lastFailure"]["reason"] == "ErrImagePull"
    noted = tasks.get("job", "run")["metadata"]["annotations"]
    assert noted["scheduledtask.dev/stuck-attempts"] == "1"
    ended = datetime.fromisoformat(noted["scheduledtask.dev/stuck-time"])
    assert timedelta(seconds=4) <= ended - created <= timedelta(seconds=6)
    due = datetime.fromisoformat(waiting["active"][0]["nextAttemptTime"])
    assert due == ended + timedelta(seconds=3)

    second = await_other_pod(tasks, first)
    came = datetime.fromisoformat(second["metadata"]["creationTimestamp"])
    assert timedelta(0) <= came - due <= timedelta(seconds=2)
    assert tasks.get("job", "run")["status"].get("failed", 0) == 0
    hold_pod(tasks.cluster, tasks.namespace, "run", image_error("ImagePullBackOff", f"Back-off: {PULL_ERROR}"))

    entry = tasks.await_outcome("unpulled", "run")
    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "ImagePullBackOff", 2)
    assert entry["message"] == f"Not started within timeouts.pending (4s): Back-off: {PULL_ERROR}"
    assert "exitCode" not in entry
    status = tasks.status("unpulled")
    assert (status["lastError"]["reason"], status["failureCount"], status["retryCount"]) == ("ImagePullBackOff", 1, 1)
    assert pods_of(tasks.cluster, tasks.namespace, "run") == [], "the end of the run brings no third pod"
    (told,) = [event["message"] for event in tasks.events("unpulled") if event["reason"] == "RunFailed"]
    assert told == f"Run run failed after 2 attempts (ImagePullBackOff): {entry['message']}"


def test_a_pod_that_no_node_takes_is_told_with_the_schedulers_words(tasks: Tasks) -> None:
    tasks.apply("homeless", timeouts={"pending": "3s"})
    tasks.await_ready("homeless")
    tasks.start_run("homeless", "run")
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_NODE}
    hold_pod(tasks.cluster, tasks.namespace, "run", {"conditions": [scheduled]})

    entry = tasks.await_outcome("homeless", "run")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "Unschedulable", 1)
    assert entry["message"] == f"Not started within timeouts.pending (3s): {NO_NODE}"


def test_a_pod_of_which_kubernetes_says_nothing_is_ended_all_the_same(tasks: Tasks) -> None:
    tasks.apply("silent", timeouts={"pending": "2s"})
    tasks.await_ready("silent")
    tasks.start_run("silent", "run")

    entry = tasks.await_outcome("silent", "run")

    assert (entry["reason"], entry["attempts"]) == ("PendingTimeout", 1)
    assert "Kubernetes gives no reason" in entry["message"]


def test_a_run_whose_image_comes_in_time_for_the_next_attempt_succeeds(tasks: Tasks) -> None:
    tasks.apply("lucky", timeouts={"pending": "8s"}, retry={"maxAttempts": 3, "backoff": ["1s"]})
    tasks.await_ready("lucky")
    tasks.start_run("lucky", "run")
    first = hold_pod(tasks.cluster, tasks.namespace, "run", image_error("ErrImagePull", "manifest not found"))
    await_other_pod(tasks, first)
    begin_pod(tasks.cluster, tasks.namespace, "run")
    end_pod(tasks.cluster, tasks.namespace, "run", 0)

    entry = tasks.await_outcome("lucky", "run")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), "`not found` is no reason to give up: it may come"
    assert tasks.status("lucky")["retryCount"] == 1


def test_stuck_and_failed_attempts_count_together(tasks: Tasks) -> None:
    tasks.apply("both", timeouts={"pending": "8s"}, retry={"maxAttempts": 2, "backoff": ["1s"]})
    tasks.await_ready("both")
    tasks.start_run("both", "run")
    first = hold_pod(tasks.cluster, tasks.namespace, "run", image_error("ErrImagePull", PULL_ERROR))
    await_other_pod(tasks, first)

    end_pod(tasks.cluster, tasks.namespace, "run", 3, "busy")

    entry = tasks.await_outcome("both", "run")
    assert (entry["reason"], entry["attempts"], entry["exitCode"]) == ("NonZeroExit", 2, 3)
    assert entry["message"] == "busy"
    assert len(pods_of(tasks.cluster, tasks.namespace, "run")) == 1, "the failed pod stays, and no other came"


def test_a_run_cancelled_while_it_waits_gets_no_other_pod(tasks: Tasks) -> None:
    tasks.apply("unwanted", timeouts={"pending": "2s"}, retry={"maxAttempts": 3, "backoff": ["1h"]})
    tasks.await_ready("unwanted")
    tasks.start_run("unwanted", "run")
    tasks.await_status("unwanted", waits, "it waits")
    eventually(lambda: pods_of(tasks.cluster, tasks.namespace, "run"), lambda pods: not pods, "the stuck pod is gone")

    tasks.kubectl("annotate", "stask", "unwanted", "cancel.scheduledtask.dev/run=enough")

    entry = tasks.await_outcome("unwanted", "run")
    assert (entry["outcome"], entry["attempts"]) == ("Cancelled", 1)
    assert tasks.get("job", "run")["status"].get("failed", 0) == 0, "no pod came and went"


def test_a_runs_timeout_tells_what_its_pod_waited_for(tasks: Tasks) -> None:
    tasks.apply("late", timeouts={"run": "20s", "pending": "10m"}, retry={"maxAttempts": 3})
    tasks.await_ready("late")
    tasks.start_run("late", "run")
    hold_pod(tasks.cluster, tasks.namespace, "run", image_error("ErrImagePull", PULL_ERROR))

    entry = tasks.await_outcome("late", "run")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "RunTimeout", 1)
    assert entry["message"] == f"Not started within timeouts.run (20s): {PULL_ERROR}"


def test_pods_are_read_once_where_an_attempt_is_late_and_else_never(tasks: Tasks) -> None:
    for name in ("ready", "unready", "stuck"):
        tasks.apply(name, timeouts={"pending": "12s"})
        tasks.await_ready(name)
    tasks.start_run("ready", "run-ready")
    begin_pod(tasks.cluster, tasks.namespace, "run-ready")
    tasks.start_run("unready", "run-unready")
    hold_pod(tasks.cluster, tasks.namespace, "run-unready", {"phase": "Running"})
    tasks.start_run("stuck", "run-stuck")
    tasks.await_outcome("stuck", "run-stuck")
    eventually(lambda: reads_of_pods(tasks), lambda reads: "run-unready" in reads, "the unready one is late")

    # A promise about a time in which nothing happens: there is no condition to await.
    time.sleep(15)
    tasks.patch("unready", history={"runs": 7})
    tasks.await_status("unready", lambda status: status["observedGeneration"] == 2, "it was looked at again")
    assert sorted(reads_of_pods(tasks)) == ["run-stuck", "run-unready"]

    end_pod(tasks.cluster, tasks.namespace, "run-ready", 1, "busy")
    tasks.await_outcome("ready", "run-ready")
    assert sorted(reads_of_pods(tasks)) == ["run-stuck", "run-unready"]


def test_an_operator_that_was_away_ends_a_stuck_attempt_when_it_is_back(
    tasks: Tasks, operator: OperatorProcess
) -> None:
    tasks.apply("forgotten", timeouts={"pending": "8s"}, retry={"maxAttempts": 2, "backoff": ["1s"]})
    tasks.await_ready("forgotten")
    operator.kill()
    tasks.start_run("forgotten", "run")
    first = hold_pod(tasks.cluster, tasks.namespace, "run", image_error("ErrImagePull", PULL_ERROR))
    created = datetime.fromisoformat(pods_of(tasks.cluster, tasks.namespace, "run")[0]["metadata"]["creationTimestamp"])
    eventually(time.time, lambda now: now > created.timestamp() + 10, "it is late")
    assert not tasks.get("job", "run")["spec"]["suspend"]

    operator.start()

    await_other_pod(tasks, first)
    end_pod(tasks.cluster, tasks.namespace, "run", 0)
    assert tasks.await_outcome("forgotten", "run")["attempts"] == 2


def waits(status: Body) -> bool:
    """Whether the run waits for its next attempt."""
    return any("nextAttemptTime" in run for run in status["active"])


def await_other_pod(tasks: Tasks, first: str) -> Body:
    """The pod that follows the first one, once that is gone."""
    (pod,) = eventually(
        lambda: pods_of(tasks.cluster, tasks.namespace, "run"),
        lambda pods: len(pods) == 1 and pods[0]["metadata"]["name"] != first,
        "another attempt",
        40,
    )
    return pod


def reads_of_pods(tasks: Tasks) -> list[str]:
    """The Jobs of this namespace whose pods the operator read, once for each time, by the audit log."""
    reads = []
    for line in tasks.cluster.audit_log.read_text().splitlines():
        event = json.loads(line)
        about = event.get("objectRef", {})
        if (event["stage"], event["verb"], about.get("resource")) != ("ResponseComplete", "list", "pods"):
            continue
        if about.get("namespace") == tasks.namespace and "scheduledtask" in event["user"]["username"]:
            reads.append(event["requestURI"].rpartition("job-name%3D")[2])
    return reads
