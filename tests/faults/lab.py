"""A namespace with an operator of its own behind a proxy of its own. Several stand side by side on a control plane."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import Cluster
from tests.faults.admin import Admin, ApiError, connect
from tests.faults.hands import JOB_NAME, Fates, Hands
from tests.faults.mirror import Body, Mirror, path_of
from tests.faults.operators import ForkedOperator
from tests.faults.proxy import Proxy, proxying
from tests.install import serve_definition
from tests.integration.operator_process import operator_kubeconfig
from tests.integration.tasks import Tasks, condition
from tests.receiver import Received, Receiver, receiving

RESTART_PAUSE = 0.3
"""Seconds from a kill to the next start. Less than the Job controller's first backoff of 10 s."""


@dataclass(frozen=True)
class Ground:
    """What all labs of one control plane share."""

    cluster: Cluster
    admin: Admin
    kubeconfig: Path
    receiver: Receiver
    folder: Path


@dataclass(frozen=True)
class Lab:
    """One namespace. What the methods await must come within a minute, else AssertionError."""

    namespace: str
    admin: Admin
    mirror: Mirror
    proxy: Proxy
    operator: ForkedOperator
    receiver: Receiver
    tasks: Tasks
    log: Path

    @property
    def webhook(self) -> str:
        """An address that keeps what it receives."""
        return self.receiver.url(f"/{self.namespace}")

    @property
    def received(self) -> list[Received]:
        """What the webhook received."""
        return self.receiver.on(f"/{self.namespace}")

    async def create(self, name: str, **spec: Any) -> None:
        """Make a task and await that it is Ready."""
        await self.make(name, **spec)
        await self.ready(name)

    async def make(self, name: str, **spec: Any) -> None:
        """Make a task."""
        await self.admin.send("POST", path_of("scheduledtasks", self.namespace), self.tasks.body(name, **spec))

    async def edit(self, name: str, **spec: Any) -> None:
        """Change the spec of a task."""
        task = await self.admin.merge(path_of("scheduledtasks", self.namespace, name), {"spec": spec})
        self.mirror.put("scheduledtasks", task)

    async def command(self, name: str, verb: str, subject: str, value: Any = "") -> None:
        """Give a command by annotation."""
        text = value if isinstance(value, str) else json.dumps(value)
        patch = {"metadata": {"annotations": {f"{verb}.scheduledtask.dev/{subject}": text}}}
        task = await self.admin.merge(path_of("scheduledtasks", self.namespace, name), patch)
        self.mirror.put("scheduledtasks", task)

    async def run_now(self, name: str, run: str) -> None:
        """What `kubectl create job --from=cronjob/NAME` does."""
        cron_job = await self.mirror.until(lambda mirror: mirror.get("cronjobs", name), f"CronJob {name}")
        template = cron_job["spec"]["jobTemplate"]
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": cron_job["metadata"]["uid"]}
        metadata = {
            "name": run,
            "labels": template["metadata"]["labels"],
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [owner | {"controller": True}],
        }
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
        await self.admin.send("POST", path_of("jobs", self.namespace), job)

    async def delete(self, resource: str, name: str) -> None:
        """Delete an object, and what it owns in the background."""
        await self.admin.send("DELETE", path_of(resource, self.namespace, name), {"propagationPolicy": "Background"})

    async def ready(self, name: str, status: str = "True") -> None:
        """Await that the condition Ready is this, of the current spec."""

        def holds(mirror: Mirror) -> bool:
            task = mirror.get("scheduledtasks", name)
            seen = task["status"]["observedGeneration"] == task["metadata"]["generation"]
            return bool(seen and condition(task["status"], "Ready")["status"] == status)

        await self.mirror.until(holds, f"task {name} is Ready={status}")

    async def active(self, name: str, run: str) -> None:
        """Await that the status lists a run as active."""
        await self.mirror.until(
            lambda mirror: any(entry["run"] == run for entry in mirror.get("scheduledtasks", name)["status"]["active"]),
            f"task {name}: run {run} is active",
        )

    async def running(self, run: str) -> None:
        """Await that a run has a pod that runs."""

        def runs(mirror: Mirror) -> bool:
            pods = [pod for pod in mirror.objects["pods"].values() if pod["metadata"]["labels"].get(JOB_NAME) == run]
            return any(pod["status"]["phase"] == "Running" for pod in pods)

        await self.mirror.until(runs, f"run {run} has a pod that runs")

    async def outcome(self, name: str, run: str) -> Body:
        """Await that a run is in the history, and return its entry."""

        def entry(mirror: Mirror) -> Body:
            history = mirror.get("scheduledtasks", name)["status"]["history"]
            return next((row for row in history if row.get("run") == run), {})

        return await self.mirror.until(entry, f"task {name}: run {run} has ended")

    async def answered(self, name: str) -> None:
        """Await that no command is left on a task."""
        await self.mirror.until(
            lambda mirror: not commands(mirror.get("scheduledtasks", name)), f"task {name}: all commands are answered"
        )

    async def delivered(self, name: str, number: int) -> None:
        """Await that the webhook has heard of a task that often, and that nothing more waits for it."""
        await self.mirror.until(
            lambda mirror: (
                not mirror.get("scheduledtasks", name)["status"].get("webhookMessages")
                and len({entry.id for entry in self.received if entry.message["data"]["task"] == name}) >= number
            ),
            f"task {name}: {number} messages are delivered",
        )


def commands(task: Body) -> list[str]:
    """The keys of a task's annotations that are commands."""
    return sorted(key for key in task["metadata"].get("annotations", {}) if ".scheduledtask.dev/" in key)


@contextmanager
def control_plane(name: str) -> Iterator[Cluster]:
    """A control plane that serves ScheduledTasks, until the block ends; $KEEP_CLUSTER leaves it up."""
    cluster = Cluster.up(name, size="control-plane")
    try:
        serve_definition(cluster)
        yield cluster
    finally:
        if not os.environ.get("KEEP_CLUSTER"):
            cluster.down()


@asynccontextmanager
async def grounded(cluster: Cluster, folder: Path) -> AsyncIterator[Ground]:
    """What labs need on a control plane, until the block ends."""
    kubeconfig = operator_kubeconfig(cluster, folder, values={"webhooks": {"enabled": True}})
    with receiving() as receiver:
        async with connect(cluster) as admin:
            yield Ground(cluster, admin, kubeconfig, receiver, folder)


@asynccontextmanager
async def lab(ground: Ground, fates: Fates) -> AsyncIterator[Lab]:
    """A new namespace with an operator that runs, until the block ends. A killed operator is started again."""
    namespace = f"lab-{uuid.uuid4().hex[:10]}"
    folder = ground.folder / namespace
    folder.mkdir()
    async with proxying(ground.kubeconfig, folder, lambda: operator.kill()) as (proxy, kubeconfig):
        log = folder / "operator.log"
        operator = ForkedOperator(kubeconfig, log, f"--namespace={namespace}", "--webhook-allow-internal")
        mirror = Mirror(ground.admin, namespace)
        await _make_namespace(ground.admin, namespace)
        others = [
            asyncio.create_task(mirror.run()),
            asyncio.create_task(Hands(ground.admin, mirror, namespace, fates).run()),
            asyncio.create_task(operator.supervise(RESTART_PAUSE)),
        ]
        operator.start()
        try:
            yield Lab(
                namespace, ground.admin, mirror, proxy, operator, ground.receiver, Tasks(ground.cluster, namespace), log
            )
        except BaseException:
            print(f"the operator's log in {namespace}:\n{log.read_text()[-8000:]}")
            raise
        finally:
            for other in others:
                other.cancel()
            ends = await asyncio.gather(*others, return_exceptions=True)
            operator.kill()
            for end in ends:
                if isinstance(end, Exception):
                    raise end


async def _make_namespace(admin: Admin, name: str) -> None:
    """A namespace in which pods can be made: they need its default service account."""
    await admin.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    account = {"metadata": {"name": "default", "namespace": name}}
    try:
        await admin.send("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)
    except ApiError as error:
        if error.code != 409:
            raise
