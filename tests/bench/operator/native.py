"""The CronJob controller by itself, on the same control plane: what its runs cost, and how fresh its status is.

Its CronJobs are those that the operator makes of the tasks of the bench, but for the schedule and for the numbers of
ended Jobs that are kept, which are Kubernetes' defaults. Nobody but Kubernetes works on them; the same stand-in of a
kubelet ends the pods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.bench.operator import objects
from tests.bench.operator.audit import AuditLog
from tests.bench.operator.client import Body, Client
from tests.bench.operator.runs import Kubelet, Seen, tell_controllers
from tests.bench.operator.table import Table, say

NAMESPACE = "native"
WARM_UP = 4
"""Slots before those that count: from then on each new Job prunes an old one, as among the operator's runs."""


async def measure(client: Client, audit: AuditLog, table: Table, cron_jobs: Sequence[Body], slots: int) -> None:
    """Runs of `slots` slots of copies of these CronJobs, all due in the same minute."""
    say(f"{len(cron_jobs)} CronJobs without the operator, {WARM_UP + slots} minutes")
    seen, kubelet = Seen(), Kubelet(client, NAMESPACE)
    watches = [
        asyncio.create_task(client.watch(path(NAMESPACE), take))
        for path, take in (
            (objects.pods_path, kubelet.pod),
            (objects.jobs_path, seen.job),
            (objects.cron_jobs_path, seen.cron_job),
        )
    ]
    try:
        for live in cron_jobs:
            body = objects.copied_cron_job(live, NAMESPACE)
            body["spec"] |= {"schedule": "* * * * *", "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
            await client.send("POST", objects.cron_jobs_path(NAMESPACE), body)
        async with asyncio.timeout(120 + 120 * (WARM_UP + slots)):
            await seen.until(lambda: len(seen.written) >= WARM_UP * len(cron_jobs))
            audit.read()
            known = set(seen.written)
            await seen.until(lambda: len(seen.written) >= len(known) + slots * len(cron_jobs))
        new = set(seen.written) - known
        table.head(f"{len(new)} runs of {slots} slots of CronJobs without the operator, all due in the same minute")
        seen.tell(table, new)
        tell_controllers(table, audit.read(), len(new))
    finally:
        for watch in watches:
            watch.cancel()
        await client.send("DELETE", objects.cron_jobs_path(NAMESPACE))
