"""Measure the operator: see `--help`."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import tempfile
from pathlib import Path

from tests.bench.operator import fleet, native, objects, runs
from tests.bench.operator.audit import AuditLog
from tests.bench.operator.client import Client, connect
from tests.bench.operator.process import Operator
from tests.bench.operator.table import Table, say
from tests.cluster import Cluster, processes
from tests.cluster.cluster import remove
from tests.install import serve_definition
from tests.integration.operator_process import operator_kubeconfig

CLUSTER = "bench"
PARTS = ("runs", "native", "fleet")

_ABOUT = """\
Measure the operator on a control plane of its own (etcd, kube-apiserver, kube-controller-manager; no nodes), which is
made anew and taken down at the end. The operator is a process of its own with the rights that the chart gives it.

  fleet  the first reconcile of all tasks beside a raw client that makes the same CronJobs; the account of Jobs that
         ended in its absence; then, with copies of one converged task added, restarts and what it asks when idle
  native the same CronJobs without the operator, for comparison: the writes of Kubernetes' own controllers a run, and
         when the CronJob's status tells of the end of its Job
  runs   what a run costs (manual, scheduled, failing, retried) and how long after its Job's end the status tells it

How to read the table, which is printed line by line as it is measured; requests are counted in the audit log:

  value  times are wall time; CPU is user and system time of the operator's process alone
  aim    what the operator is to keep on a machine of its own with two cores, the control plane included
  load   of the last minute, when the line was measured: above two, wall time tells of the neighbours, CPU does not
  a run  requests divided by the runs of that part

10,000 tasks from nothing, instead of a restart with as many: `fleet --tasks 10000 --converged 0`, half an hour."""


async def measure(options: argparse.Namespace, cluster: Cluster, folder: Path) -> None:
    """Print the table."""
    table = Table()
    kubeconfig = operator_kubeconfig(cluster, folder)
    audit = AuditLog(cluster.audit_log)
    operator = Operator(kubeconfig, folder / "operator.log", *options.operator_option)
    async with connect(cluster) as client:
        try:
            if "runs" in options.parts:
                operator.launch()
                await runs.Runs(client, audit, operator, table, options.run_tasks).measure(
                    options.runs_each, options.slots
                )
                operator.stop()
            if "native" in options.parts and options.slots:
                await _measure_native(options, client, audit, operator, table)
            if "fleet" in options.parts:
                await _measure_fleet(options, cluster, fleet.Fleet(client, audit, operator, table, options.tasks))
        finally:
            operator.stop()


async def _measure_native(
    options: argparse.Namespace, client: Client, audit: AuditLog, operator: Operator, table: Table
) -> None:
    if "runs" not in options.parts:
        operator.launch()
        await runs.Runs(client, audit, operator, table, options.run_tasks).make("task", maxAttempts=1)
        operator.stop()
    cron_jobs = [live async for live in client.pages(objects.cron_jobs_path(runs.NAMESPACE))]
    await native.measure(client, audit, table, cron_jobs[: options.run_tasks], options.slots)


async def _measure_fleet(options: argparse.Namespace, cluster: Cluster, measured: fleet.Fleet) -> None:
    if options.tasks:
        await measured.first_reconcile()
    managers = [pid for pid, name in processes.running(cluster.directory).items() if name == "kube-controller-manager"]
    for pid in managers:
        os.kill(pid, signal.SIGSTOP)
    try:
        if options.tasks:
            await measured.account()
            await measured.restarts(1)
        await measured.grow(f"http://127.0.0.1:{cluster.ports['etcd']}", options.converged)
        await measured.restarts()
        await measured.idle(options.idle_seconds)
    finally:
        for pid in managers:
            os.kill(pid, signal.SIGCONT)


def main() -> None:
    """Bring the cluster up, measure, take it down."""
    parser = argparse.ArgumentParser(
        "python -m tests.bench.operator", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("parts", nargs="*", default=list(PARTS), metavar="PART", help="default: all")
    add("--tasks", type=int, default=1000, help="tasks of the fleet, 0 for none (default 1000)")
    add("--converged", type=int, default=10_000, help="converged tasks added for the restart (default 10000)")
    add("--idle-seconds", type=float, default=60, help="how long to watch the idle operator (default 60)")
    add("--run-tasks", type=int, default=40, help="tasks that have runs at the same time (default 40)")
    add("--runs-each", type=int, default=8, help="manual runs of each of them that are measured (default 8)")
    add("--slots", type=int, default=3, help="slots of each of them, a minute apart, 0 for none (default 3)")
    add("--operator-option", action="append", default=[], help="handed on, like --operator-option=--workers=16")
    add("--keep", action="store_true", help="leave the cluster up")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    remove(CLUSTER)
    cluster = Cluster.up(CLUSTER, size="control-plane", say=say)
    try:
        serve_definition(cluster)
        for namespace in (fleet.NAMESPACE, fleet.RAW_NAMESPACE, fleet.MANY_NAMESPACE, runs.NAMESPACE, native.NAMESPACE):
            cluster.kubectl("create", "namespace", namespace)
        print(f"Python {platform.python_version()}, {os.cpu_count()} cores, one-minute load in the last column")
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(options, cluster, Path(folder)))
    finally:
        if not options.keep:
            cluster.down()


if __name__ == "__main__":
    main()
