"""Queues and groups on a real control plane: one run at a time, all in their order, none lost.

What ran when is read in the API server's own history: a watch of Jobs from before the first of them to after the last.
"""

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from scheduledtask.cli.run import job_of
from tests.integration.administrator import MERGE_PATCH
from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.pod_hands import end_pod, ended_status, pods_of
from tests.integration.tasks import Tasks

TRIGGERS = int(os.environ.get("GATE_TRIGGERS", "40"))
GROUP = {"policy": "Queue", "group": "miner"}

Body = dict[str, Any]


@dataclass
class Jobs:
    """All that happened to the Jobs of a namespace, in the order in which it did."""

    client: httpx.Client
    namespace: str
    events: list[Body] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def record(self, since: str) -> None:
        query = {"watch": "true", "resourceVersion": since}
        with self.client.stream("GET", self.path, params=query, timeout=None) as response:
            for line in response.iter_lines():
                event = json.loads(line)
                assert event["type"] != "ERROR", event
                if event["object"]["metadata"]["name"] == "end-of-record":
                    return
                self.events.append(event)

    def overlaps(self) -> list[set[str]]:
        """Each set of two or more Jobs that could make pods at the same moment."""
        at_work: set[str] = set()
        found = []
        for event in self.events:
            name = event["object"]["metadata"]["name"]
            at_work.discard(name)
            if event["type"] != "DELETED" and not is_suspended(event["object"]) and not is_ended(event["object"]):
                at_work.add(name)
            if len(at_work) > 1:
                found.append(set(at_work))
        return found

    def first_turns(self) -> Iterator[tuple[Body, list[Body]]]:
        """Each Job when its first turn came, with those that waited for theirs."""
        waiting: dict[str, Body] = {}
        for event in self.events:
            job = event["object"]
            name = job["metadata"]["name"]
            waited = waiting.pop(name, None)
            if event["type"] == "DELETED":
                continue
            if admitted_at(job) is None and is_suspended(job):
                waiting[name] = job
            elif waited:
                yield job, list(waiting.values())

    def names(self) -> set[str]:
        return {event["object"]["metadata"]["name"] for event in self.events}


@contextmanager
def recorded(client: httpx.Client, namespace: str) -> Iterator[Jobs]:
    """The Jobs of a namespace, recorded; all of it is there when the block has ended."""
    jobs = Jobs(client, namespace)
    since = client.get(jobs.path).json()["metadata"]["resourceVersion"]
    recorder = threading.Thread(target=jobs.record, args=(since,), daemon=True)
    recorder.start()
    yield jobs
    container = {"name": "main", "image": "none.invalid/none"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"suspend": True, "template": template}
    client.post(jobs.path, json={"metadata": {"name": "end-of-record"}, "spec": spec}).raise_for_status()
    recorder.join(timeout=30)
    assert not recorder.is_alive(), "the record is complete"


@contextmanager
def pods_ended(client: httpx.Client, namespace: str, chance: random.Random) -> Iterator[list[set[str]]]:
    """Each pod ends soon after it was made: mostly well, sometimes so that it is tried again, or for good. Yields each
    set of pods that were there together."""
    path, together = f"/api/v1/namespaces/{namespace}/pods", list[set[str]]()
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            pods = client.get(path, params={"fieldSelector": "status.phase=Pending"}).json()["items"]
            if len(pods) > 1:
                together.append({pod["metadata"]["name"] for pod in pods})
            for pod in pods:
                code = chance.choices([0, 1, 65], weights=[85, 10, 5])[0]
                body = {"status": ended_status(pod, code, "busy" if code else "")}
                client.patch(f"{path}/{pod['metadata']['name']}/status", json=body, headers=MERGE_PATCH)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        yield together
    finally:
        stop.set()
        worker.join()


def is_suspended(job: Body) -> bool:
    return bool(job["spec"].get("suspend"))


def is_ended(job: Body) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(entry["type"] in ("Complete", "Failed") and entry["status"] == "True" for entry in conditions)


def admitted_at(job: Body) -> datetime | None:
    text = job["metadata"].get("annotations", {}).get("scheduledtask.dev/admitted-at")
    return datetime.fromisoformat(text) if text else None


def created(job: Body) -> datetime:
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"])


def command(tasks: Tasks, name: str, verb: str, subject: str) -> None:
    tasks.kubectl("annotate", "stask", name, f"{verb}.scheduledtask.dev/{subject}=")


def await_active(tasks: Tasks, name: str, count: int) -> list[Body]:
    status = tasks.await_status(name, lambda status: status["activeRuns"] == count, f"{count} active runs")
    active: list[Body] = status["active"]
    return active


def test_runs_of_a_group_never_overlap_keep_their_order_and_none_is_lost(
    tasks: Tasks, operator: OperatorProcess, api_server: httpx.Client
) -> None:
    chance = random.Random(TRIGGERS)
    priorities = {"low": 0, "high": 5}
    retry = {"maxAttempts": 3, "backoff": ["12s"], "nonRetryable": {"exitCodes": [65]}}
    for name, priority in priorities.items():
        concurrency = {**GROUP, "priority": priority}
        tasks.apply(name, concurrency=concurrency, retry=retry, history={"runs": 100})
        tasks.await_ready(name)
    cron_jobs = {name: tasks.get("cronjob", name) for name in priorities}
    asked: Counter[str] = Counter()

    with (
        recorded(api_server, tasks.namespace) as jobs,
        pods_ended(api_server, tasks.namespace, chance) as together,
    ):
        for number in range(TRIGGERS):
            name = chance.choice(list(priorities))
            asked[name] += 1
            if chance.random() < 0.5:
                command(tasks, name, "run", f"x{number}")
            else:
                body = job_of(cron_jobs[name], f"{name}-by-hand-{number}")
                api_server.post(jobs.path, json=body).raise_for_status()
            if number in (TRIGGERS // 3, TRIGGERS // 2):
                operator.kill()
                operator.start()
        for name in priorities:
            tasks.await_status(
                name,
                lambda status, name=name: status["successCount"] + status["failureCount"] == asked[name],  # type: ignore[misc]
                "all runs have ended",
                30 + 6 * TRIGGERS,
            )

    assert jobs.overlaps() == []
    assert together == []
    assert len(jobs.names()) == TRIGGERS
    turns = list(jobs.first_turns())
    assert len(turns) == TRIGGERS
    for job, waiting in turns:
        turn = admitted_at(job)
        assert turn is not None
        # Who came while the decision was under way is not known to it.
        known = [other for other in (job, *waiting) if created(other) < turn - timedelta(seconds=2)]
        ranks = {
            other["metadata"]["name"]: created(other)
            - timedelta(minutes=priorities[other["metadata"]["labels"]["scheduledtask.dev/task"]])
            for other in (job, *known)
        }
        assert ranks[job["metadata"]["name"]] == min(ranks.values())


def test_a_queue_runs_slots_and_manual_runs_in_their_order_also_those_from_an_absence(
    tasks: Tasks, operator: OperatorProcess, api_server: httpx.Client
) -> None:
    tasks.apply("orderly", schedule="* * * * *", concurrency={"policy": "Queue"})
    tasks.await_ready("orderly")
    with recorded(api_server, tasks.namespace) as jobs:
        tasks.start_run("orderly", "by-hand")
        await_active(tasks, "orderly", 1)
        operator.kill()
        eventually(lambda: len(tasks.names("job")), lambda count: count >= 3, "two slots have their Jobs", 150)
        operator.start()
        command(tasks, "orderly", "run", "last")
        active = await_active(tasks, "orderly", 4)
        tasks.patch("orderly", suspend=True)
        assert [run["run"] for run in active if "waitingFor" not in run] == ["by-hand"]
        assert [run["run"] for run in active if "startTime" in run] == ["by-hand"]
        assert (active[0]["run"], active[3]["run"]) == ("by-hand", "orderly-last")
        for run in active:
            end_pod(tasks.cluster, tasks.namespace, run["run"], 0)
        status = tasks.await_status("orderly", lambda status: status["successCount"] == 4, "all have run")

    assert jobs.overlaps() == []
    # The history has the newest first; and two may have started within a second.
    oldest_first = status["history"][::-1]
    order = [entry["run"] for entry in sorted(oldest_first, key=lambda entry: str(entry["startTime"]))]
    assert order == [run["run"] for run in active]
    assert (status["skippedCount"], status["missedCount"]) == (0, 0)


def test_a_slot_whose_turn_does_not_come_in_time_is_missed(tasks: Tasks, api_server: httpx.Client) -> None:
    tasks.apply("punctual", schedule="* * * * *", startingDeadline="10s", concurrency=GROUP)
    tasks.await_ready("punctual")
    with recorded(api_server, tasks.namespace) as jobs:
        tasks.start_run("punctual", "by-hand")
        await_active(tasks, "punctual", 1)

        status = tasks.await_status("punctual", lambda status: status["missedCount"], "a slot is missed", 90)
        tasks.patch("punctual", suspend=True)
        entry = status["history"][0]
        eventually(lambda: tasks.names("job"), lambda names: names == ["job/by-hand"], "its Job is deleted")

    assert (entry["outcome"], entry["reason"], "startTime" in entry) == ("Missed", "DeadlineExceeded", False)
    assert jobs.overlaps() == []
    assert pods_of(tasks.cluster, tasks.namespace, entry["run"]) == []


def test_a_waiting_run_is_cancelled_without_ever_having_a_pod(tasks: Tasks, api_server: httpx.Client) -> None:
    for name in ("first", "second"):
        tasks.apply(name, concurrency={"group": "miner"})
        tasks.await_ready(name)
    with recorded(api_server, tasks.namespace) as jobs:
        tasks.start_run("first", "busy")
        await_active(tasks, "first", 1)
        command(tasks, "second", "run", "x")
        (waiting,) = await_active(tasks, "second", 1)
        assert waiting["waitingFor"] == 'its turn in group "miner"'
        assert tasks.status("second")["state"] == "Queued"

        command(tasks, "second", "cancel", "second-x")
        entry = tasks.await_outcome("second", "second-x")
        eventually(lambda: tasks.names("job"), lambda names: names == ["job/busy"], "its Job is deleted")
        end_pod(tasks.cluster, tasks.namespace, "busy", 0)
        tasks.await_outcome("first", "busy")

    assert (entry["outcome"], entry["reason"], entry.get("attempts", 0)) == ("Cancelled", "Cancelled", 0)
    assert [job["metadata"]["name"] for job, _ in jobs.first_turns()] == ["busy"]
    assert pods_of(tasks.cluster, tasks.namespace, "second-x") == []


def test_between_its_attempts_a_run_lets_others_go_first(tasks: Tasks, api_server: httpx.Client) -> None:
    for name in ("first", "second"):
        tasks.apply(name, concurrency={"group": "miner"}, retry={"maxAttempts": 2, "backoff": ["12s"]})
        tasks.await_ready(name)
    with recorded(api_server, tasks.namespace) as jobs:
        tasks.start_run("first", "again")
        await_active(tasks, "first", 1)
        tasks.start_run("second", "between")
        end_pod(tasks.cluster, tasks.namespace, "again", 1, "busy")
        eventually(lambda: pods_of(tasks.cluster, tasks.namespace, "between"), bool, "it is its turn")
        tasks.await_status("first", lambda status: status["state"] == "Queued", "the other is due, and waits")
        assert len(pods_of(tasks.cluster, tasks.namespace, "again")) == 1

        end_pod(tasks.cluster, tasks.namespace, "between", 0)
        end_pod(tasks.cluster, tasks.namespace, "again", 0)
        tasks.await_status("first", lambda status: status["successCount"], "it has gone on")

    assert jobs.overlaps() == []


def test_what_waits_is_freed_when_its_task_leaves_the_group_or_its_gate_is_deleted(tasks: Tasks) -> None:
    for name in ("first", "second", "third"):
        tasks.apply(name, concurrency={"group": "miner"})
        tasks.await_ready(name)
    tasks.start_run("first", "busy")
    await_active(tasks, "first", 1)
    for name in ("second", "third"):
        tasks.start_run(name, f"of-{name}")
        assert await_active(tasks, name, 1)[0]["waitingFor"]

    tasks.patch("second", concurrency={"group": None})
    eventually(lambda: pods_of(tasks.cluster, tasks.namespace, "of-second"), bool, "it does not wait any more")
    assert is_suspended(tasks.get("job", "of-third"))

    tasks.kubectl("delete", "stask", "first")
    eventually(lambda: pods_of(tasks.cluster, tasks.namespace, "of-third"), bool, "its turn has come")
