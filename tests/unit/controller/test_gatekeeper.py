"""What the gatekeeper asks of an API server, and what becomes of requests that go astray: over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from scheduledtask.controller.gatekeeper import Gatekeeper
from scheduledtask.controller.store import Store
from scheduledtask.domain.gate import scope_of
from scheduledtask.domain.values import Key
from scheduledtask.kube.api import KubernetesApi
from scheduledtask.kube.wire import JobObject, ScheduledTaskObject
from tests.unit.builders import NOON, TEMPLATE
from tests.unit.kube import wire_objects as wire
from tests.unit.kube.http_server import HttpServer

Body = dict[str, Any]
STAMP, ADMITTED = "scheduledtask.dev/gatekeeper", "scheduledtask.dev/admitted-at"


@dataclass
class Jobs:
    """Jobs that are listed and patched as at an API server, which refuses a patch of an old version."""

    jobs: dict[str, Body] = field(default_factory=dict)
    version: int = 10
    slow: set[str] = field(default_factory=set)
    """Jobs of which the next request to resume them times out on its way and is in `under_way` then."""
    under_way: list[tuple[str, Body]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """What was asked for: `list`, `stamp NAME`, `resume NAME`."""

    def add(self, name: str, task: str = "report", minute: int = 0, suspend: bool = True) -> None:
        """A Job of a task with a gate, made so many minutes after noon."""
        self.version += 1
        body = wire.job(
            spec={"suspend": suspend},
            name=name,
            labels={"scheduledtask.dev/task": task},
            annotations={"scheduledtask.dev/gated": "true"},
            resourceVersion=str(self.version),
            creationTimestamp=(NOON + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        self.jobs[name] = json.loads(body)

    def end(self, name: str) -> None:
        condition = {"type": "Complete", "status": "True", "lastTransitionTime": wire.MADE}
        self._change(name, {"metadata": {}, "status": {"conditions": [condition]}})

    def arrives(self) -> int:
        """A request that was under way is answered, with this code."""
        return self._patch(*self.under_way.pop(0)).status

    @property
    def admitted(self) -> set[str]:
        return {name for name, job in self.jobs.items() if ADMITTED in job["metadata"]["annotations"]}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            self.asked.append("list")
            version = {"resourceVersion": str(self.version)}
            return web.json_response({"metadata": version, "items": list(self.jobs.values())})
        name, body = request.path.rpartition("/")[2], await request.json()
        act = "stamp" if STAMP in body["metadata"]["annotations"] else "resume"
        self.asked.append(f"{act} {name}")
        if act == "resume" and name in self.slow:
            self.slow.remove(name)
            self.under_way.append((name, body))
            return web.json_response({"code": 504, "reason": "Timeout"}, status=504)
        return self._patch(name, body)

    def _patch(self, name: str, body: Body) -> web.Response:
        if body["metadata"]["resourceVersion"] != self.jobs[name]["metadata"]["resourceVersion"]:
            return web.json_response({"code": 409, "reason": "Conflict"}, status=409)
        return web.json_response(self._change(name, body))

    def _change(self, name: str, body: Body) -> Body:
        self.version += 1
        job = self.jobs[name]
        annotations = {**job["metadata"]["annotations"], **body["metadata"].get("annotations", {})}
        metadata = {**job["metadata"], "annotations": annotations, "resourceVersion": str(self.version)}
        spec = {**job["spec"], **body.get("spec", {})}
        self.jobs[name] = {"metadata": metadata, "spec": spec, "status": body.get("status", job["status"])}
        return self.jobs[name]


@dataclass
class Gate:
    """A gatekeeper at work, with one worker."""

    client: KubernetesApi
    jobs: Jobs
    store: Store = field(default_factory=lambda: Store(lambda _: None))

    def __post_init__(self) -> None:
        self.gatekeeper = Gatekeeper(self.client, self.store, lambda: NOON + timedelta(hours=1))

    def put(self, name: str = "report", unseen: str = "", **concurrency: Any) -> None:
        """A task, of the group `miner` if not said otherwise; but for `unseen` its Jobs are known."""
        self.store_task(name, concurrency=concurrency or {"group": "miner"})
        self.look(name, unseen)

    def store_task(self, name: str, status: Body | None = None, **spec: Any) -> None:
        body = {
            "metadata": wire.metadata(name, resourceVersion=str(self.jobs.version)),
            "spec": {"template": TEMPLATE, **spec},
            "status": status or {},
        }
        self.store.tasks.put(msgspec.json.decode(json.dumps(body), type=ScheduledTaskObject))

    def look(self, name: str = "report", unseen: str = "") -> None:
        for job in self.jobs.jobs.values():
            if job["metadata"]["name"] != unseen:
                self.store.jobs.put(msgspec.json.decode(json.dumps(job), type=JobObject))
        taken = self.store.snapshot(Key("match-history", name))
        self.gatekeeper.notice(Key("match-history", name), scope_of(taken[0]) if taken else None)

    async def until(self, *admitted: str) -> None:
        async with asyncio.timeout(10):
            while self.jobs.admitted != set(admitted):  # noqa: ASYNC110 (the server changes it)
                await asyncio.sleep(0.01)

    async def has_looked(self) -> None:
        """Until all passes so far are over: one at another gate, after them, is."""
        self.jobs.add("mark", task="lone")
        self.put("lone", policy="Queue")
        await self.until(*self.jobs.admitted, "mark")


@asynccontextmanager
async def at_work(jobs: Jobs) -> AsyncIterator[Gate]:
    async with HttpServer([jobs.answer] * 100) as client, asyncio.TaskGroup() as group:
        gate = Gate(client, jobs)
        worker = group.create_task(gate.gatekeeper.work())
        yield gate
        worker.cancel()


def two_that_wait() -> Jobs:
    jobs = Jobs()
    jobs.add("first", minute=0)
    jobs.add("second", minute=1)
    return jobs


async def test_before_the_first_is_admitted_all_that_wait_are_changed() -> None:
    jobs = two_that_wait()
    async with at_work(jobs) as gate:
        gate.put()
        await gate.until("first")
    assert jobs.asked == ["list", "stamp first", "stamp second", "list", "resume first"]


async def test_afterwards_to_admit_takes_a_list_and_a_patch() -> None:
    jobs = two_that_wait()
    async with at_work(jobs) as gate:
        gate.put()
        await gate.until("first")
        jobs.asked.clear()
        jobs.end("first")
        jobs.add("third", minute=2)
        gate.look()
        await gate.until("first", "second")
    assert jobs.asked == ["list", "resume second"]


async def test_what_waits_of_a_task_that_comes_from_elsewhere_is_changed_first() -> None:
    jobs = two_that_wait()
    jobs.add("other", task="other", minute=5)
    async with at_work(jobs) as gate:
        gate.put()
        await gate.until("first")
        jobs.asked.clear()
        jobs.end("first")
        gate.put("other")
        await gate.until("first", "second")
    assert jobs.asked == ["list", "stamp other", "list", "resume second"]


async def test_nothing_is_asked_while_somebody_is_at_work() -> None:
    jobs = two_that_wait()
    jobs.add("works", suspend=False)
    async with at_work(jobs) as gate:
        gate.put()
        gate.look()
        await gate.has_looked()
    assert jobs.asked[-1] == "resume mark"
    assert not {"resume first", "stamp first"} & set(jobs.asked)
    assert jobs.asked.count("list") == 2, "those of the other gate"


async def test_what_the_watch_has_not_told_yet_counts() -> None:
    jobs = two_that_wait()
    jobs.add("works", task="other", suspend=False)
    async with at_work(jobs) as gate:
        gate.put("other", unseen="works")
        gate.put(unseen="works")
        await gate.has_looked()
    assert jobs.admitted == {"mark"}


@pytest.mark.parametrize("same_process", [True, False])
async def test_a_request_that_arrives_late_admits_nobody_beside_another(same_process: bool) -> None:
    jobs = two_that_wait()
    jobs.slow = {"first"}

    async def urgent_is_admitted(gate: Gate) -> None:
        jobs.add("urgent", task="urgent", minute=3)
        gate.put()
        gate.put("urgent", group="miner", priority=1000)
        await gate.until("urgent")

    async with at_work(jobs) as gate:
        gate.put()
        async with asyncio.timeout(10):
            while not jobs.under_way:  # noqa: ASYNC110 (the server changes it)
                await asyncio.sleep(0.01)
        if same_process:
            await urgent_is_admitted(gate)
    if not same_process:
        async with at_work(jobs) as gate:
            await urgent_is_admitted(gate)

    assert (jobs.arrives(), jobs.admitted) == (409, {"urgent"})


async def test_when_a_task_leaves_or_is_gone_the_others_are_looked_at() -> None:
    jobs = Jobs()
    jobs.add("works", task="other", suspend=False)
    jobs.add("waits")
    async with at_work(jobs) as gate:
        gate.put("other")
        gate.put()
        await gate.has_looked()
        gate.put("other", policy="Forbid")
        await gate.until("mark", "waits")


@pytest.mark.parametrize(
    ("concurrency", "has_gate"),
    [
        ({"group": "miner"}, True),
        ({"policy": "Queue"}, True),
        ({"policy": "Forbid"}, True),
        ({"policy": "Allow"}, False),
    ],
    ids=["of a group", "of a queue", "what still waits", "what waits no more"],
)
async def test_the_gates_of_all_tasks_are_found_at_the_start(concurrency: Body, has_gate: bool) -> None:
    jobs = Jobs()
    jobs.add("first")
    async with at_work(jobs) as gate:
        gate.store.jobs.put(msgspec.json.decode(json.dumps(jobs.jobs["first"]), type=JobObject))
        gate.store_task("report", concurrency=concurrency)
        gate.gatekeeper.notice_all()
        if has_gate:
            await gate.until("first")
        else:
            await gate.has_looked()
            assert "first" not in jobs.admitted


async def test_a_task_whose_status_cannot_be_read_does_not_hold_up_its_group() -> None:
    jobs = two_that_wait()
    jobs.add("broken", task="broken", minute=-5)
    async with at_work(jobs) as gate:
        gate.put()
        for job in jobs.jobs.values():
            gate.store.jobs.put(msgspec.json.decode(json.dumps(job), type=JobObject))
        gate.store_task("broken", {"successCount": "many"}, concurrency={"group": "miner"})
        gate.gatekeeper.notice_all()
        await gate.until("first")
