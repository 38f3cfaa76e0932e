"""The operator as a whole: watches feed the store, workers empty the queue, probes tell how it goes."""

import asyncio
import signal
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import aiohttp
import msgspec
import structlog
from prometheus_client import REGISTRY

from scheduledtask.api.spec import Webhook
from scheduledtask.controller.courier import Courier, Policy
from scheduledtask.controller.gatekeeper import Gatekeeper
from scheduledtask.controller.leader import Leader
from scheduledtask.controller.measures import TaskMeasures
from scheduledtask.controller.poster import Poster
from scheduledtask.controller.probes import Probes
from scheduledtask.controller.queue import WorkQueue
from scheduledtask.controller.reconciler import Reconciler
from scheduledtask.controller.settings import Settings
from scheduledtask.controller.store import Store
from scheduledtask.domain.values import GROUP, TASK_LABEL, VERSION
from scheduledtask.handlers import PLURAL, TaskWatch
from scheduledtask.kube.api import ApiError, KubernetesApi
from scheduledtask.kube.connection import load_configuration
from scheduledtask.kube.leases import LeaseApi
from scheduledtask.kube.reflector import Reflector, Resource, list_into
from scheduledtask.kube.wire import CronJobObject, JobObject, PodObject, ScheduledTaskObject
from scheduledtask.metrics import LEADER, TASKS

LIST_RETRY = 2.0
COURIERS = 4
"""How many webhook messages are under way at the same time."""
GATEKEEPERS = 4
"""How many groups and queues are looked at at the same time."""

log = structlog.get_logger("scheduledtask")


class Operator:
    """One process, alone or with a `leader` election. `run` returns after SIGTERM or SIGINT; it raises what can't be
    lived with."""

    def __init__(self, settings: Settings, api: KubernetesApi, leader: Leader | None = None) -> None:
        self._settings = settings
        self._api = api
        self._leader = leader
        self._queue = WorkQueue()
        default_webhook = Webhook(url=settings.default_webhook_url) if settings.default_webhook_url else None
        self._store = Store(self._queue.add, default_webhook)
        self._list_wanted = asyncio.Event()
        self._tasks_synced = asyncio.Event()
        namespace = settings.namespace
        labelled = ("labelSelector", TASK_LABEL)
        self._task_watch = TaskWatch(namespace, self._take_task, self._list_wanted.set)
        self._reflectors: tuple[Reflector[CronJobObject] | Reflector[JobObject] | Reflector[PodObject], ...] = (
            # All CronJobs, not only labelled ones: one of the same name that is not ours must not be taken over.
            Reflector(api, Resource(CronJobObject, "/apis/batch/v1", "cronjobs", namespace), self._store.cron_jobs),
            Reflector(api, Resource(JobObject, "/apis/batch/v1", "jobs", namespace, (labelled,)), self._store.jobs),
            Reflector(
                api,
                Resource(PodObject, "/api/v1", "pods", namespace, (labelled, ("fieldSelector", "status.phase=Failed"))),
                self._store.pods,
            ),
        )

    async def run(self) -> None:
        """Watch, wait until everything is listed and this is the leader, then work."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        leader = self._leader
        probes = Probes((self._task_watch, *self._reflectors, *((leader,) if leader else ())), self._is_synced)
        await probes.serve(self._settings.listen_port)
        LEADER.set_function(leader.leads if leader else lambda: True)
        if leader:
            # Before anything is listed: who leads by then need not list again.
            await leader.attempt()
        fresh = leader is None or leader.leads()
        jobs = [asyncio.create_task(job) for job in (self._task_watch.run(), self._list_tasks(), self._work(fresh))]
        jobs += [asyncio.create_task(reflector.run()) for reflector in self._reflectors]
        if leader:
            jobs.append(asyncio.create_task(leader.run()))
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopped, *jobs}, return_when=asyncio.FIRST_COMPLETED)
            for job in done - {stopped}:
                job.result()
            log.info("stopping")
        finally:
            for job in (stopped, *jobs):
                job.cancel()
            await asyncio.gather(stopped, *jobs, return_exceptions=True)
            if leader:
                await leader.release()
            await probes.close()

    def _is_synced(self) -> bool:
        """A standby is ready as well: a rollout waits for it, and only then ends the leader."""
        listed = self._tasks_synced.is_set() and all(reflector.synced.is_set() for reflector in self._reflectors)
        return listed and (self._leader is None or self._leader.has_looked)

    def _take_task(self, kind: str, item: ScheduledTaskObject) -> None:
        if kind == "DELETED":
            self._store.tasks.remove(item.metadata)
        else:
            self._store.tasks.put(item)

    async def _list_tasks(self) -> None:
        """List the tasks whenever kopf has: ours tells what is gone, and is there sooner than kopf's events."""
        while True:
            await self._list_wanted.wait()
            self._list_wanted.clear()
            await _persist(self._list_tasks_once, PLURAL)
            self._tasks_synced.set()

    async def _list_tasks_once(self) -> None:
        resource = Resource(ScheduledTaskObject, f"/apis/{GROUP}/{VERSION}", PLURAL, self._settings.namespace)
        await list_into(self._store.tasks, self._api, resource)

    async def _refresh(self) -> None:
        """List everything once more. A standby's watches may be behind the writes of the leader before it, and each
        by another time: a run that the status lists and whose Job is not there yet would count as deleted."""
        began = time.monotonic()
        await _persist(self._list_tasks_once, PLURAL)
        for reflector in self._reflectors:
            await _persist(reflector.refresh, reflector.name)
        log.info("listed anew", tasks=len(self._store), seconds=round(time.monotonic() - began, 3))

    async def _work(self, fresh: bool) -> None:
        """Start the workers once everything is listed: a plan made from half of the truth would be wrong. `fresh`: what
        is listed is not older than this process's leadership."""
        await self._tasks_synced.wait()
        for reflector in self._reflectors:
            await reflector.synced.wait()
        if self._leader and not fresh:
            log.info("standing by", tasks=len(self._store), identity=self._leader.identity)
            await self._leader.won.wait()
            await self._refresh()
        log.info("synced", tasks=len(self._store))
        gatekeeper = Gatekeeper(self._api, self._store, _now)
        gatekeeper.notice_all()
        TASKS.set_function(lambda: len(self._store))
        # Not in a standby: else each task is told of twice.
        REGISTRY.register(TaskMeasures(self._store))
        policy = Policy(self._settings.webhook_allow_internal, self._settings.default_webhook_keys)
        async with Poster() as poster, asyncio.TaskGroup() as group:
            courier = Courier(self._store, self._api, poster, self._queue.add, policy)
            reconciler = Reconciler(self._api, self._store, self._queue, _now, courier.notice, gatekeeper.notice)
            for _ in range(self._settings.workers):
                group.create_task(reconciler.work())
            for _ in range(COURIERS):
                group.create_task(courier.work())
            for _ in range(GATEKEEPERS):
                group.create_task(gatekeeper.work())


async def run(settings: Settings) -> None:
    """Run one operator until it is told to end."""
    async with AsyncExitStack() as stack:
        leader = None
        if settings.lease:
            leases = LeaseApi(await load_configuration(), settings.lease.namespace, settings.lease.name)
            stack.push_async_callback(leases.close)
            leader = Leader(leases, settings.lease.identity or f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}")
        configuration = await load_configuration()
        api = KubernetesApi(configuration, leader.leads) if leader else KubernetesApi(configuration)
        stack.push_async_callback(api.close)
        await Operator(settings, api, leader).run()


async def _persist(call: Callable[[], Awaitable[None]], what: str) -> None:
    """List, and again until it succeeds."""
    while True:
        try:
            return await call()
        except (ApiError, aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            log.warning("list failed, trying again", kind=what, error=str(error) or repr(error), wait=LIST_RETRY)
            await asyncio.sleep(LIST_RETRY)


def _now() -> datetime:
    return datetime.now(UTC)
