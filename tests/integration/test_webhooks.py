"""Webhooks from a real operator on a real control plane to a real receiver; pods are ended by hand."""

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.cluster import Cluster
from tests.integration.operator_process import OperatorProcess, eventually, operator_kubeconfig
from tests.integration.pod_hands import end_pod
from tests.integration.tasks import Body, Tasks, condition
from tests.receiver import Received, Receiver, hangs, receiving, says

SECRET = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
DEFAULT_PATH = "/default"
ALERTS_NAMESPACE = "scheduledtask-webhooks"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def operator(
    control_plane: Cluster, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that may read Secrets, send to 127.0.0.1, and has a default webhook."""
    folder = tmp_path_factory.mktemp("operator")
    kubeconfig = operator_kubeconfig(control_plane, folder, ALERTS_NAMESPACE, {"webhooks": {"enabled": True}})
    secret = folder / "secret"
    secret.write_text(SECRET)
    process = OperatorProcess(
        kubeconfig,
        folder / "operator.log",
        "--webhook-allow-internal",
        f"--default-webhook-url={receiver.url(DEFAULT_PATH)}",
        f"--default-webhook-secret-file={secret}",
    )
    process.start()
    yield process
    assert process.stop() == 0


def alerts(receiver: Receiver, path: str, *events: str, **more: object) -> Body:
    """`spec.alerts` that tells everything named to a path of the receiver after the first failed run."""
    webhook = {"url": receiver.url(path), "secretRef": {"name": "webhook", "key": "secret"}, "events": events}
    return {"consecutiveFailures": 1, "webhook": webhook, **more}


def make_secret(tasks: Tasks) -> None:
    tasks.kubectl("create", "secret", "generic", "webhook", f"--from-literal=secret={SECRET}")


def fail(tasks: Tasks, task: str, run: str) -> None:
    tasks.start_run(task, run)
    end_pod(tasks.cluster, tasks.namespace, run, 3, "KeyError: 'puuid'")


def await_requests(receiver: Receiver, path: str, number: int, seconds: float = 30) -> list[Received]:
    return eventually(lambda: receiver.on(path), lambda found: len(found) == number, f"{number} on {path}", seconds)


def await_empty_outbox(tasks: Tasks, task: str) -> Body:
    return tasks.await_status(task, lambda status: not status["webhookMessages"], "all is delivered and written so")


def test_a_failure_and_the_recovery_are_told_once_each_and_signed(tasks: Tasks, receiver: Receiver) -> None:
    make_secret(tasks)
    tasks.apply("told", alerts=alerts(receiver, "/told", "Failure", "Recovery"))
    tasks.await_ready("told")

    fail(tasks, "told", "bad")
    [failure] = await_requests(receiver, "/told", 1)
    unhealthy = condition(await_empty_outbox(tasks, "told"), "Healthy")
    tasks.start_run("told", "good")
    end_pod(tasks.cluster, tasks.namespace, "good", 0)
    _, recovery = await_requests(receiver, "/told", 2)
    status = await_empty_outbox(tasks, "told")

    assert Webhook(SECRET).verify(failure.body, failure.headers) == failure.message
    assert Webhook(SECRET).verify(recovery.body, recovery.headers) == recovery.message
    assert [failure.message["type"], recovery.message["type"]] == ["scheduledtask.failure", "scheduledtask.recovery"]
    data = failure.message["data"]
    assert (data["namespace"], data["task"]) == (tasks.namespace, "told")
    assert data["healthy"]["reason"] == unhealthy["reason"] == "ConsecutiveFailures"
    assert data["healthy"]["since"] == unhealthy["lastTransitionTime"]
    run = data["run"]
    assert (run["run"], run["outcome"], run["exitCode"], run["attempts"]) == ("bad", "Failed", 3, 1)
    assert run["message"] == "KeyError: 'puuid'"
    assert recovery.message["data"]["counters"]["consecutiveFailures"] == 0
    assert condition(status, "Healthy")["status"] == "True"


def test_a_kill_in_the_middle_of_a_delivery_delivers_again_the_same(
    tasks: Tasks, operator: OperatorProcess, receiver: Receiver
) -> None:
    make_secret(tasks)
    killed = threading.Event()
    receiver.faults["/killed"] = [hangs(killed)]
    tasks.apply("killed", alerts=alerts(receiver, "/killed", "Failure", "Completion"))
    tasks.await_ready("killed")

    fail(tasks, "killed", "bad")
    [first] = await_requests(receiver, "/killed", 1)
    operator.kill()
    killed.set()
    waiting = [message["id"] for message in tasks.status("killed")["webhookMessages"]]
    operator.start()
    _, *again = await_requests(receiver, "/killed", 3)

    await_empty_outbox(tasks, "killed")
    assert len(set(waiting)) == 2
    assert first.id == waiting[0]
    assert [request.id for request in again] == waiting
    assert again[0].body == first.body
    operator.stop()
    operator.start()
    fail(tasks, "killed", "next")
    later = await_requests(receiver, "/killed", 4)[-1]
    assert later.message["data"]["run"]["run"] == "next", "a restart repeats nothing that is delivered"


def test_a_receiver_that_is_in_trouble_is_tried_again(tasks: Tasks, receiver: Receiver) -> None:
    make_secret(tasks)
    receiver.faults["/trouble"] = [says(500)]
    tasks.apply("trouble", alerts=alerts(receiver, "/trouble", "Failure"))
    tasks.await_ready("trouble")

    fail(tasks, "trouble", "bad")

    first, second = await_requests(receiver, "/trouble", 2)
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) in range(5, 9)
    await_empty_outbox(tasks, "trouble")


def test_a_task_that_never_succeeds_is_told_although_nothing_runs(tasks: Tasks, receiver: Receiver) -> None:
    make_secret(tasks)
    tasks.apply("silent", alerts=alerts(receiver, "/silent", "Failure", noSuccessFor="6s"))
    created = datetime.fromisoformat(tasks.get("stask", "silent")["metadata"]["creationTimestamp"])

    [told] = await_requests(receiver, "/silent", 1)

    healthy = told.message["data"]["healthy"]
    assert healthy["reason"] == "NoSuccess"
    assert timedelta(seconds=6) <= datetime.fromisoformat(healthy["since"]) - created <= timedelta(seconds=8)
    assert "run" not in told.message["data"]


def test_a_task_without_a_webhook_is_told_to_the_operators_own(tasks: Tasks, receiver: Receiver) -> None:
    tasks.apply("plain", alerts={"consecutiveFailures": 1})
    tasks.await_ready("plain")

    fail(tasks, "plain", "bad")

    def of_this_task() -> list[Received]:
        return [entry for entry in receiver.on(DEFAULT_PATH) if entry.message["data"]["namespace"] == tasks.namespace]

    [told] = eventually(of_this_task, bool, "it is told")
    assert Webhook(SECRET).verify(told.body, told.headers)


def test_what_a_task_may_not_do_is_told_in_one_event_and_hinders_no_other(
    tasks: Tasks, operator: OperatorProcess, receiver: Receiver, control_plane: Cluster, tmp_path: Path
) -> None:
    make_secret(tasks)
    careful = OperatorProcess(operator_kubeconfig(control_plane, tmp_path), tmp_path / "operator.log")
    tasks.apply("unsigned", alerts=alerts(receiver, "/refused", "Failure"))
    inside: Body = {"url": receiver.url("/refused", "localhost")}
    tasks.apply("inside", alerts={"consecutiveFailures": 1, "webhook": inside})
    tasks.await_ready("unsigned")
    tasks.await_ready("inside")
    operator.stop()
    careful.start()
    try:
        for task in ("unsigned", "inside"):
            fail(tasks, task, f"{task}-1")

        def notes(task: str) -> list[str]:
            return [event["message"] for event in tasks.events(task) if event["reason"] == "WebhookFailed"]

        [unsigned] = eventually(lambda: notes("unsigned"), bool, "the missing right is told")
        [refused] = eventually(lambda: notes("inside"), bool, "the refusal is told")
        assert "webhooks.enabled=true" in unsigned
        assert "localhost is an internal address" in refused
        assert "/refused" not in refused, "a path may hold a token"
        assert tasks.status("inside")["failureCount"] == 1
        assert receiver.on("/refused") == []
        assert SECRET not in (tmp_path / "operator.log").read_text()
    finally:
        careful.stop()
        operator.start()

    # Whoever is allowed to sends what still waits.
    told = await_requests(receiver, "/refused", 2)
    assert json.dumps([entry.message["data"]["task"] for entry in told]).count("inside") == 1
