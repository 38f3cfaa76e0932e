"""Many tasks at once: the first pass over all of them, the account after an absence, restarts, idling.

Jobs that ended while the operator was away are made by API calls: created with the CronJob as owner and ended by
writing their status, while the controller manager stands still. Otherwise it would make a pod for each, at twenty
requests a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.bench.operator import clones, objects
from tests.bench.operator.audit import STATUS, AuditLog, Request, tally
from tests.bench.operator.client import Body, Client, for_each
from tests.bench.operator.process import Operator, Start
from tests.bench.operator.table import Table, say

JOBS_EACH = 3
AT_ONCE = 8
"""Connections of the raw client: as many as the operator has workers."""
NAMESPACE, RAW_NAMESPACE, MANY_NAMESPACE = "fleet", "raw", "many"
MODEL = "model-of-many"
APPLY = "patch cronjobs"


class Fleet:
    """Measures one operator with `number` tasks of its own making; later with copies of one of them."""

    def __init__(self, client: Client, audit: AuditLog, operator: Operator, table: Table, number: int) -> None:
        self._client = client
        self._audit = audit
        self._operator = operator
        self._table = table
        self._number = number

    async def first_reconcile(self) -> None:
        """From no CronJob to all Ready; then a raw client makes the same CronJobs in another namespace."""
        say(f"{self._number} tasks")
        await for_each(
            range(self._number),
            lambda number: self._client.send("POST", objects.tasks_path(NAMESPACE), objects.task(NAMESPACE, number)),
            AT_ONCE,
        )
        self._audit.read()
        self._operator.launch()
        requests = await self._audit.collect(self._operator.user, STATUS, self._number, 60 + self._number / 20)
        await self._operator.settle()
        usage = self._operator.usage()
        requests += self._audit.read()
        await self._check_ready()
        self._operator.stop()
        times = [request.time for request in requests if request.what in (APPLY, STATUS)]
        raw = await self._raw()
        took = max(times) - min(times)
        self._table.head(f"First reconcile of {self._number} tasks")
        self._table.row("start to first write, seconds", f"{min(times) - self._operator.began:.1f}")
        self._table.row("first write to all Ready, seconds", f"{took:.1f}")
        self._table.row("raw client, the same CronJobs, seconds", f"{raw:.1f}")
        self._table.row("operator / raw client", f"{took / raw:.1f}", "<= 1.5")
        self._table.row("CPU seconds, start included", f"{usage.cpu:.1f}")
        self._table.row("RSS MiB, now / peak", f"{usage.memory:.0f} / {usage.peak:.0f}")
        self._table.requests("requests", tally(requests, self._operator.user))

    async def account(self) -> None:
        """Give each task its ended Jobs while the operator is away, and let it account for them."""
        say(f"{JOBS_EACH} ended Jobs for each task")
        cron_jobs = [cron_job async for cron_job in self._client.pages(objects.cron_jobs_path(NAMESPACE))]
        await for_each(cron_jobs, self._end_runs, 2 * AT_ONCE)
        self._audit.read()
        self._operator.launch()
        requests = await self._audit.collect(self._operator.user, STATUS, self._number, 60 + self._number / 10)
        await self._operator.settle()
        requests += self._audit.read()
        usage = self._operator.usage()
        ends = [request.time for request in requests if request.what == STATUS]
        self._operator.stop()
        async for task in self._client.pages(objects.tasks_path(NAMESPACE)):
            count = task["status"]["successCount"]
            assert count == JOBS_EACH, f"{task['metadata']['name']} counts {count} runs"
        self._table.head(f"After an absence: {self._number} tasks, {JOBS_EACH} ended Jobs each to account for")
        self._table.row("start to all accounted for, seconds", f"{max(ends) - self._operator.began:.1f}")
        self._table.row("CPU seconds, start included", f"{usage.cpu:.1f}")
        self._table.row("RSS MiB, now / peak", f"{usage.memory:.0f} / {usage.peak:.0f}")
        self._table.requests("requests", tally(requests, self._operator.user))

    async def grow(self, etcd: str, number: int) -> None:
        """Add `number` tasks that are converged, with their ended Jobs; see `clones`."""
        say(f"{number} converged tasks more")
        self._operator.stop()
        body = objects.task(MANY_NAMESPACE, 0)
        body["metadata"]["name"] = MODEL
        body["spec"]["schedule"] = "30 3 1 1 *"  # without H: the same for each name
        await self._client.send("POST", objects.tasks_path(MANY_NAMESPACE), body)
        self._operator.launch()
        await self._audit.collect(self._operator.user, STATUS, 1, 120)
        await self._end_runs(await self._client.send("GET", objects.cron_jobs_path(MANY_NAMESPACE, MODEL)))
        await self._operator.settle()
        self._operator.stop()
        await clones.clone(etcd, MANY_NAMESPACE, MODEL, number)
        self._number += number + 1

    async def restarts(self, times: int = 3) -> None:
        """Start it with everything converged, several times; it stays up after the last."""
        self._table.head(f"Restart with {self._number} converged tasks, {JOBS_EACH} ended Jobs each")
        for _ in range(times):
            self._operator.stop()
            self._audit.read()
            start = await self._operator.start(self._number)
            self._tell_start(start, self._audit.read())

    async def idle(self, seconds: float) -> None:
        """Do nothing, and see what it asks."""
        say(f"idle for {seconds:.0f} s")
        self._audit.read()
        before = self._operator.usage()
        await asyncio.sleep(seconds)
        after = self._operator.usage()
        counts = tally(self._audit.read(), self._operator.user)
        self._table.head(f"Idle for {seconds:.0f} s with {self._number} tasks")
        self._table.requests("requests", counts, aim="0 but watches")
        self._table.row("CPU seconds a minute", f"{(after.cpu - before.cpu) * 60 / seconds:.2f}")
        self._table.row("RSS MiB", f"{after.memory:.0f}", "<= 200")

    def _tell_start(self, start: Start, requests: list[Request]) -> None:
        usage = self._operator.usage()
        asked = [request for request in requests if request.user == self._operator.user]
        writes = Counter(request.what for request in asked if request.writes)
        self._table.row("start to synced, seconds", f"{start.synced:.1f}", "<= 12 (10000)")
        self._table.row("start to first pass over all, to quiet, seconds", f"{start.passed:.1f} / {start.settled:.1f}")
        self._table.row("longest stall of the event loop, seconds", f"{start.stall:.1f}")
        self._table.row("writes", str(sum(writes.values())) + (f" {dict(writes)}" if writes else ""), "0")
        self._table.row("reads (pages of lists, and watches)", str(len(asked) - sum(writes.values())))
        self._table.row("CPU seconds", f"{usage.cpu:.1f}")
        self._table.row("RSS MiB, now / peak", f"{usage.memory:.0f} / {usage.peak:.0f}", "<= 200")

    async def _check_ready(self) -> None:
        async for task in self._client.pages(objects.tasks_path(NAMESPACE)):
            ready = next(entry for entry in task["status"]["conditions"] if entry["type"] == "Ready")
            assert ready["status"] == "True", f"{task['metadata']['name']}: {ready['message']}"

    async def _raw(self) -> float:
        path = objects.cron_jobs_path(RAW_NAMESPACE)
        bodies = [
            objects.copied_cron_job(live, RAW_NAMESPACE)
            async for live in self._client.pages(objects.cron_jobs_path(NAMESPACE))
        ]
        began = time.monotonic()
        await for_each(bodies, lambda body: self._client.send("POST", path, body), AT_ONCE)
        took = time.monotonic() - began
        await self._client.send("DELETE", path)
        return took

    async def _end_runs(self, cron_job: Body) -> None:
        namespace, now = cron_job["metadata"]["namespace"], datetime.now(UTC).replace(second=0, microsecond=0)
        for number in range(JOBS_EACH):
            slot = now - timedelta(minutes=JOBS_EACH - number)
            name = f"{cron_job['metadata']['name']}-{int(slot.timestamp()) // 60}"
            await self._client.send("POST", objects.jobs_path(namespace), objects.job_of(cron_job, name, slot))
            status = {"status": objects.complete_job_status(datetime.now(UTC))}
            await self._client.merge(objects.jobs_path(namespace, name) + "/status", status)
