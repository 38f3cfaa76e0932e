"""Runs, from the pod's end to the status: how fresh it is, and what a run costs.

The Job and CronJob controllers are real. A kubelet's part is played by `Kubelet`: it ends each pod a while after it
was made, so that start and end of a run are seen apart, as with any real program.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.bench.operator import objects
from tests.bench.operator.audit import STATUS, AuditLog, Request, tally
from tests.bench.operator.client import Body, Client, for_each
from tests.bench.operator.process import Operator
from tests.bench.operator.table import Table, percentile, say

NAMESPACE = "runs"
POD_SECONDS = 2.0
BACKOFF = "20s"
"""Longer than the Job controller's own ten seconds, so that the Job is suspended and resumed."""
WARM_UP = 4
"""Runs of each task before those that count: from then on each new one prunes an old one."""
CONTROLLERS = {name: f"system:serviceaccount:kube-system:{name}" for name in ("cronjob-controller", "job-controller")}


@dataclass
class Seen:
    """When what was first seen, by the UID of the Job, all on one clock."""

    finished: dict[str, float] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    resumed: dict[str, float] = field(default_factory=dict)
    """These two in seconds of Unix time: when the next attempt was to begin, and when its Job was resumed."""
    suspended: set[str] = field(default_factory=set)
    late: dict[str, float] = field(default_factory=dict)
    """Seconds from a slot until its Job was seen."""
    active: dict[str, set[str]] = field(default_factory=dict)
    """The UIDs of the Jobs that a CronJob of this name lists."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def job(self, _: str, job: Body) -> None:
        uid = job["metadata"]["uid"]
        slot = job["metadata"].get("annotations", {}).get(objects.SLOT)
        if slot and uid not in self.late:
            self.late[uid] = time.time() - datetime.fromisoformat(slot).timestamp()
        if job["spec"].get("suspend"):
            self.suspended.add(uid)
        elif uid in self.suspended:
            self.resumed.setdefault(uid, time.time())
        conditions = job.get("status", {}).get("conditions", ())
        if any(entry["type"] in ("Complete", "Failed") and entry["status"] == "True" for entry in conditions):
            self.finished.setdefault(uid, time.monotonic())

    def task(self, _: str, task: Body) -> None:
        """A run is told once the history of its task has it."""
        for entry in task.get("status", {}).get("history", ()):
            self.written.setdefault(entry["uid"], time.monotonic())
        for run in task.get("status", {}).get("active", ()):
            if "nextAttemptTime" in run:
                self.due[run["uid"]] = datetime.fromisoformat(run["nextAttemptTime"]).timestamp()
        self.changed.set()

    def cron_job(self, _: str, cron_job: Body) -> None:
        """A run is told once its CronJob has it in `active` no more."""
        active = {entry["uid"] for entry in cron_job.get("status", {}).get("active", ())}
        name = cron_job["metadata"]["name"]
        for uid in self.active.get(name, set()) - active:
            self.written.setdefault(uid, time.monotonic())
        self.active[name] = active
        self.changed.set()

    def tell(self, table: Table, new: set[str], aim: str = "") -> None:
        """The rows of these runs: how late the slots were, and how late the status told of the ends."""
        late = [1000 * self.late[uid] for uid in new & set(self.late)]
        if late:
            table.row("slot to its Job, p50 / p99 ms", f"{percentile(late, 0.5):.0f} / {percentile(late, 0.99):.0f}")
        told = [1000 * (self.written[uid] - self.finished[uid]) for uid in new & set(self.finished)]
        table.row("Job finished to status, p50 ms", f"{percentile(told, 0.5):.0f}")
        table.row("Job finished to status, p99 ms", f"{percentile(told, 0.99):.0f}", aim)
        table.row("Job finished to status, max ms", f"{max(told):.0f}")

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Wait until a task has changed so that this holds."""
        while not wanted():
            self.changed.clear()
            await self.changed.wait()


class Kubelet:
    """Ends each pod of a namespace that it hears of; the first `failing` attempts of each run fail."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.failing = 0
        self._client = client
        self._namespace = namespace
        self._known: dict[str, asyncio.Task[None]] = {}

    def pod(self, _: str, pod: Body) -> None:
        name = pod["metadata"]["name"]
        if name not in self._known:
            self._known[name] = asyncio.create_task(self._end(name, pod))

    async def _end(self, name: str, pod: Body) -> None:
        await asyncio.sleep(POD_SECONDS)
        failures = int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"])
        path = objects.pods_path(self._namespace, name) + "/status"
        await self._client.merge(path, {"status": objects.ended_pod_status(pod, int(failures < self.failing))})


def tell_controllers(table: Table, requests: Sequence[Request], runs: int) -> None:
    """The rows of what Kubernetes' own controllers wrote."""
    for name, user in CONTROLLERS.items():
        writes = Counter(request.what for request in requests if request.user == user and request.writes)
        table.requests(f"{name}, writes", writes, runs)


class Runs:
    """Measures one running operator with `tasks` tasks, each of which runs again and again."""

    def __init__(self, client: Client, audit: AuditLog, operator: Operator, table: Table, tasks: int) -> None:
        self._client = client
        self._audit = audit
        self._operator = operator
        self._table = table
        self._tasks = tasks
        self._seen = Seen()
        self._kubelet = Kubelet(client, NAMESPACE)
        self._count = 0

    async def measure(self, runs_each: int, slots: int) -> None:
        """Manual runs that succeed, scheduled ones, manual ones that fail, and others that succeed when tried again."""
        watches = [
            asyncio.create_task(self._client.watch(path(NAMESPACE), take))
            for path, take in (
                (objects.pods_path, self._kubelet.pod),
                (objects.jobs_path, self._seen.job),
                (objects.tasks_path, self._seen.task),
            )
        ]
        try:
            names = await self.make("task", maxAttempts=1)
            await self._manual(names, WARM_UP)
            await self._report("manual runs", lambda: self._manual(names, runs_each))
            if slots:
                await self._schedule(names, "* * * * *")
                await self._report(
                    f"runs of {slots} slots, all due in the same minute", lambda: self._slots(names, slots)
                )
                await self._schedule(names, objects.NEVER_SOON)
            self._kubelet.failing = 1
            await self._manual(names, WARM_UP)
            few = max(runs_each // 2, 1)
            await self._report("manual runs that fail", lambda: self._manual(names, few))
            names = await self.make("retried", maxAttempts=2, backoff=[BACKOFF])
            await self._report("manual runs that succeed at the second attempt", lambda: self._manual(names, few))
        finally:
            for watch in watches:
                watch.cancel()

    async def make(self, name: str, **retry: object) -> list[str]:
        """Make tasks of this name that are Ready."""
        bodies = [objects.task(NAMESPACE, number, name, **retry) for number in range(self._tasks)]
        self._audit.read()
        for body in bodies:
            await self._client.send("POST", objects.tasks_path(NAMESPACE), body)
        await self._audit.collect(self._operator.user, STATUS, self._tasks, 60 + self._tasks)
        return [body["metadata"]["name"] for body in bodies]

    async def _report(self, title: str, act: Callable[[], Coroutine[None, None, None]]) -> None:
        say(title)
        await self._operator.settle()
        self._audit.read()
        known, before, passes = set(self._seen.written), self._operator.usage().cpu, await self._operator.passes()
        await act()
        await self._operator.settle()
        requests = self._audit.read()
        cpu = self._operator.usage().cpu - before
        passes = await self._operator.passes() - passes
        new = set(self._seen.written) - known
        self._table.head(f"{len(new)} {title}")
        self._seen.tell(self._table, new, "<= 250")
        resumed = [1000 * (at - self._seen.due[uid]) for uid, at in self._seen.resumed.items() if uid in new]
        if resumed:
            self._table.row("next attempt due to Job resumed, p50 ms", f"{percentile(resumed, 0.5):.0f}")
            self._table.row("next attempt due to Job resumed, p99 ms", f"{percentile(resumed, 0.99):.0f}", "<= 500")
        self._table.row("CPU of the operator a run, ms", f"{1000 * cpu / len(new):.1f}")
        self._table.row("passes over the task a run", f"{passes / len(new):.1f}")
        self._table.row("CPU of the operator a pass, ms", f"{1000 * cpu / passes:.1f}")
        counts = tally(requests, self._operator.user)
        self._table.requests("operator", counts, len(new), aim="<= 2 + delete")
        tell_controllers(self._table, requests, len(new))

    async def _manual(self, names: Sequence[str], runs_each: int) -> None:
        async def run(name: str) -> None:
            cron_job = await self._client.send("GET", objects.cron_jobs_path(NAMESPACE, name))
            for _ in range(runs_each):
                self._count += 1
                body = objects.job_of(cron_job, f"{name}-manual-{self._count}", None)
                job = await self._client.send("POST", objects.jobs_path(NAMESPACE), body)
                uid = job["metadata"]["uid"]
                await self._seen.until(lambda uid=uid: uid in self._seen.written)  # type: ignore[misc]

        async with asyncio.timeout(120 + len(names) * runs_each * 2):
            await for_each(names, run, len(names))

    async def _slots(self, names: Sequence[str], slots: int) -> None:
        wanted = len(self._seen.written) + slots * len(names)
        async with asyncio.timeout(120 + 120 * slots):
            await self._seen.until(lambda: len(self._seen.written) >= wanted)

    async def _schedule(self, names: Sequence[str], schedule: str) -> None:
        """Edit all tasks early in a minute, so that what the edit costs is not counted among the runs."""
        await asyncio.sleep(61 - time.time() % 60)
        for name in names:
            await self._client.merge(objects.tasks_path(NAMESPACE, name), {"spec": {"schedule": schedule}})
