"""What the API server has in one namespace, kept up to date by watches of the test's own, past the proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import aiohttp

from tests.faults.admin import Admin, ApiError

Body = dict[str, Any]
Answer = TypeVar("Answer")

RESOURCES = {
    "scheduledtasks": "/apis/scheduledtask.dev/v1alpha1",
    "cronjobs": "/apis/batch/v1",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
}
TASK_LABEL = "scheduledtask.dev/task"


def path_of(resource: str, namespace: str, name: str = "") -> str:
    """The path of a resource of a namespace, or of one object of it."""
    prefix = RESOURCES.get(resource, "/api/v1")
    return f"{prefix}/namespaces/{namespace}/{resource}" + (f"/{name}" if name else "")


class Mirror:
    """The objects of one namespace by resource and name, and all Jobs that there ever were, by UID, as last seen."""

    def __init__(self, admin: Admin, namespace: str) -> None:
        self._admin = admin
        self._namespace = namespace
        self.changed = asyncio.Event()
        """Set at the next change, and then replaced."""
        self.objects: dict[str, dict[str, Body]] = {resource: {} for resource in RESOURCES}
        self.jobs_ever: dict[str, Body] = {}
        self.open_at_once: set[frozenset[tuple[str, str]]] = set()
        """Task and name of the Jobs that could make pods at the same moment, for all moments."""
        self.changes = 0

    async def run(self) -> None:
        """Mirror until cancelled; an API server that is away for a while is borne."""
        async with asyncio.TaskGroup() as group:
            for resource in RESOURCES:
                group.create_task(self._follow(resource))

    async def until(self, read: Callable[[Mirror], Answer], what: str, seconds: float = 60) -> Answer:
        """What `read` finds, once that is true; a KeyError or IndexError: not yet. AssertionError after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    changed = self.changed
                    try:
                        found = read(self)
                    except (KeyError, IndexError):
                        pass
                    else:
                        if found:
                            return found
                    await changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self._namespace}: not within {seconds:.0f} s: {what}") from None

    def get(self, resource: str, name: str) -> Body:
        """An object. Raises KeyError where there is none."""
        return self.objects[resource][name]

    def put(self, resource: str, item: Body) -> None:
        """The answer to a write of the test's own, which may be ahead of the watch."""
        known = self.objects[resource].get(item["metadata"]["name"])
        if known and int(known["metadata"]["resourceVersion"]) < int(item["metadata"]["resourceVersion"]):
            self._take(resource, "MODIFIED", item)

    async def _follow(self, resource: str) -> None:
        while True:
            try:
                path = path_of(resource, self._namespace)
                listed = await self._admin.send("GET", path)
                self.objects[resource] = {item["metadata"]["name"]: item for item in listed["items"]}
                for item in listed["items"]:
                    self._take(resource, "MODIFIED", item)
                async for line in self._admin.watch(path, listed["metadata"]["resourceVersion"]):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    self._take(resource, event["type"], event["object"])
            except (ApiError, aiohttp.ClientError):
                await asyncio.sleep(0.2)

    def _take(self, resource: str, kind: str, item: Body) -> None:
        name = item["metadata"]["name"]
        if kind == "DELETED":
            self.objects[resource].pop(name, None)
        else:
            self.objects[resource][name] = item
        if resource == "jobs":
            self.jobs_ever[item["metadata"]["uid"]] = item
            self.open_at_once.add(frozenset(_open(self.objects["jobs"])))
        self.changes += 1
        self.changed.set()
        self.changed = asyncio.Event()


def _open(jobs: Mapping[str, Body]) -> Iterator[tuple[str, str]]:
    for name, job in jobs.items():
        conditions = job.get("status", {}).get("conditions", ())
        ended = any(entry["type"] in ("Complete", "Failed") and entry["status"] == "True" for entry in conditions)
        if not ended and not job["spec"].get("suspend"):
            yield job["metadata"]["labels"].get(TASK_LABEL, ""), name
