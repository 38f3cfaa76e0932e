"""Attempts that a real node can't start, and timeouts that end what did: each with a reason of its own."""

import pytest

from tests.e2e.programs import ProgramTasks, failures_told
from tests.integration.operator_process import eventually
from tests.integration.tasks import Body

NO_IMAGE = "nowhere.invalid/none:1"
WAIT = "import time; time.sleep(300)"
FINE = "print('well')"


@pytest.fixture(scope="module", autouse=True)
def runs(tasks: ProgramTasks) -> None:
    """One run of each task, all started at the same time. No node has a disk yet."""
    tasks.kubectl("label", "nodes", "--all", "disk-")
    twice: Body = {"maxAttempts": 2, "backoff": ["5s"]}
    long: Body = {"maxAttempts": 9, "backoff": ["5s"]}
    once: Body = {"maxAttempts": 1}
    soon: Body = {"pending": "15s"}
    unpulled = pod(tasks, image=NO_IMAGE)
    absent = {"secretKeyRef": {"name": "absent", "key": "token"}}
    tasks.apply("unpulled", template=unpulled, timeouts=soon, retry=twice)
    tasks.apply("homeless", template=pod(tasks, {"nodeSelector": {"disk": "gold"}}), timeouts=soon, retry=once)
    tasks.apply("keyless", template=pod(tasks, env=[{"name": "TOKEN", "valueFrom": absent}]), timeouts=soon, retry=once)
    volume = {"volumes": [{"name": "keys", "secret": {"secretName": "absent"}}]}
    mount = [{"name": "keys", "mountPath": "/keys"}]
    tasks.apply("unmounted", template=pod(tasks, volume, volumeMounts=mount), timeouts=soon, retry=once)
    tasks.apply("unpulled-attempt", template=unpulled, timeouts={"attempt": "25s"}, retry=once)
    tasks.apply("unpulled-run", template=unpulled, timeouts={"run": "25s"}, retry=twice)
    tasks.apply("awaited", template=pod(tasks, {"nodeSelector": {"disk": "silver"}}), timeouts=soon, retry=long)
    tasks.apply_program("overlong", WAIT, timeouts={"attempt": "15s"}, retry={"maxAttempts": 2, "backoff": ["10s"]})
    tasks.apply_program("overrun", WAIT, timeouts={"run": "6s"}, retry=twice)
    names = ("unpulled", "homeless", "keyless", "unmounted", "unpulled-attempt", "unpulled-run", "awaited")
    for name in (*names, "overlong", "overrun"):
        tasks.await_ready(name)
    for name in (*names, "overlong", "overrun"):
        tasks.start_run(name, f"{name}-1")


def pod(tasks: ProgramTasks, spec: Body | None = None, **container: object) -> Body:
    """A pod template that would run well, but for what is said here of it."""
    template = tasks.template(FINE)
    template["spec"].update(spec or {})
    template["spec"]["containers"][0].update(container)
    return template


def test_an_image_that_cannot_be_pulled_ends_each_attempt_with_the_runtimes_words(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("unpulled", "unpulled-1")
    status = tasks.status("unpulled")

    assert (entry["outcome"], entry["attempts"]) == ("Failed", 2)
    assert entry["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert entry["message"].startswith("Not started within timeouts.pending (15s): ")
    assert NO_IMAGE in entry["message"]
    assert (status["lastError"]["reason"], status["retryCount"]) == (entry["reason"], 1)
    (event,) = eventually(lambda: failures_told(tasks, "unpulled"), bool, "an Event about the failure")
    assert NO_IMAGE in event["message"]


def test_a_pod_that_fits_no_node_is_told_with_the_schedulers_words(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("homeless", "homeless-1")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "Unschedulable", 1)
    assert "0/1 nodes are available" in entry["message"]


def test_a_secret_that_is_missing_is_named(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("keyless", "keyless-1")

    assert (entry["outcome"], entry["reason"]) == ("Failed", "CreateContainerConfigError")
    assert 'secret "absent" not found' in entry["message"]


def test_for_a_volume_that_is_missing_the_pods_events_are_named(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("unmounted", "unmounted-1")

    assert (entry["outcome"], entry["reason"]) == ("Failed", "PendingTimeout")
    command = entry["message"].split("`")[1].removeprefix("kubectl ")
    assert 'secret "absent" not found' in tasks.kubectl(*command.split())


def test_a_pod_that_cannot_start_is_told_before_the_attempts_own_timeout_ends_it(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("unpulled-attempt", "unpulled-attempt-1")

    assert (entry["outcome"], entry["attempts"]) == ("Failed", 1)
    assert entry["message"].startswith("Not started within timeouts.attempt (25s): ")
    assert NO_IMAGE in entry["message"]


def test_a_runs_timeout_tells_what_its_pod_waited_for(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("unpulled-run", "unpulled-run-1")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "RunTimeout", 1)
    assert NO_IMAGE in entry["message"]


def test_what_it_waits_for_may_come_for_the_next_attempt(tasks: ProgramTasks) -> None:
    def on(status: Body) -> bool:
        return any(run["attempt"] > 1 for run in status["active"])

    tasks.await_status("awaited", on, "the first attempt is ended", 60)
    tasks.kubectl("label", "nodes", "--all", "disk=silver")

    entry = tasks.await_run("awaited", "awaited-1")
    assert entry["outcome"] == "Succeeded"
    assert tasks.status("awaited")["retryCount"] == entry["attempts"] - 1 > 0


def test_an_attempt_beyond_its_timeout_is_tried_again(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("overlong", "overlong-1")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "AttemptTimeout", 2)


def test_a_run_beyond_its_timeout_is_ended(tasks: ProgramTasks) -> None:
    entry = tasks.await_run("overrun", "overrun-1")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "RunTimeout", 1)
