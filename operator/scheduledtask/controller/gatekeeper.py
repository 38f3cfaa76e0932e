"""Lets runs go on that wait for their turn, one at a time behind each gate.

A gate is looked at when one of its tasks is. If by what is known somebody's turn has come, the Jobs behind the gate
are listed anew, for the watch may be late, and the decision is made again; to resume the Job then is all that is done.

A request to resume a Job is for the Job as it was read. That alone does not keep two from being admitted: of a request
that an earlier process sent, or this one without hearing of it again, nobody knows when it arrives. So before a first
admission, and after each request that went astray, all Jobs that wait are annotated: whatever was sent before is then
refused, because the Jobs have changed. The same is done for those of a task that comes to a gate from elsewhere.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

import aiohttp
import structlog
from pydantic import ValidationError

from scheduledtask.controller.queue import WorkQueue
from scheduledtask.controller.reading import names_gate
from scheduledtask.controller.store import Store
from scheduledtask.domain.gate import Waiting, scope_of
from scheduledtask.domain.turns import next_turn
from scheduledtask.domain.values import TASK_LABEL, Key, Snapshot
from scheduledtask.kube.api import ApiError, KubernetesApi
from scheduledtask.kube.reflector import Resource, list_pages
from scheduledtask.kube.wire import GATEKEEPER, JobObject
from scheduledtask.metrics import GATE_QUEUE_DEPTH, RECONCILE_ERRORS

TASKS_NAMED = 100
"""Of how many tasks the Jobs are asked for by name; of more, those of all tasks in the namespace are listed."""

log = structlog.get_logger("scheduledtask")


class Gatekeeper:
    """Works through the gates. `clock` gives aware UTC times.

    `notice_all` comes before `work`: who is not known is not seen to be at work.
    """

    def __init__(self, api: KubernetesApi, store: Store, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._queue = WorkQueue(GATE_QUEUE_DEPTH)
        self._scopes: dict[Key, Key] = {}
        """The gate of each task that has one."""
        self._members: dict[Key, set[Key]] = {}
        """The tasks behind each gate."""
        self._settled: dict[Key, set[Key]] = {}
        """Those whose waiting Jobs no request of the past can resume any more, by gate."""

    def notice(self, task: Key, scope: Key | None) -> None:
        """The task has been looked at; `scope` is its gate, if it has one. Cheap."""
        before = self._scopes.get(task)
        if before and before != scope:
            del self._scopes[task]
            self._leave(before, task)
            self._queue.add(before)
        if scope:
            self._scopes[task] = scope
            self._members.setdefault(scope, set()).add(task)
            self._queue.add(scope)

    def notice_all(self) -> None:
        """Tell of all tasks that have a gate, before any is opened."""
        for key, record in self._store.records():
            if names_gate(record) or any(job.never_started for job in self._store.active_jobs(key)):
                snapshot = self._snapshot(key)
                self.notice(key, scope_of(snapshot) if snapshot else None)

    async def work(self) -> None:
        """Look at gates until cancelled. A failure concerns its own gate only."""
        while True:
            scope = await self._queue.get()
            try:
                await self._look_at(scope)
            except ApiError as error:
                if error.code >= 500:
                    self._settled.pop(scope, None)
                self._failed(scope, error, error.retry_after)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._settled.pop(scope, None)
                self._failed(scope, error)
            except Exception as error:
                log.exception("gate crashed", gate=str(scope))
                self._settled.pop(scope, None)
                self._failed(scope, error)
            else:
                self._queue.forget_failures(scope)
            finally:
                self._queue.done(scope)

    async def _look_at(self, scope: Key) -> None:
        """Admit whose turn it is."""
        self._queue.cancel_timer(scope)
        tasks = set(self._members.get(scope, ()))
        # The cheap question first: to take snapshots means to read specs.
        if any(job.at_work for task in tasks for job in self._store.active_jobs(task)):
            return
        if next_turn(self._snapshots(scope, tasks), self._clock()) is None:
            return
        jobs = await self._settle(scope, tasks)
        if tasks != self._members.get(scope):
            # Whoever came or left had the gate looked at again.
            return
        turn = next_turn(_with_jobs(self._snapshots(scope, tasks), jobs), self._clock())
        if turn:
            await self._admit(scope, turn)

    def _snapshots(self, scope: Key, tasks: Iterable[Key]) -> list[Snapshot]:
        known = (self._snapshot(task) for task in tasks if self._store.active_jobs(task))
        return [snapshot for snapshot in known if snapshot and scope_of(snapshot) == scope]

    def _snapshot(self, task: Key) -> Snapshot | None:
        """None also where the status can't be read: such a task waits, and the others go on."""
        try:
            taken = self._store.snapshot(task)
        except ValidationError:
            return None
        return taken[0] if taken else None

    async def _settle(self, scope: Key, tasks: set[Key]) -> list[JobObject]:
        """The Jobs of the tasks, as of a moment after which no request of the past can resume any of them."""
        stamp = uuid.uuid4().hex
        while True:
            jobs = await self._list(scope.namespace, tasks)
            unsettled = tasks - self._settled.get(scope, set())
            open_to_all = [
                job
                for job in jobs
                if job.task in unsettled
                and job.spec.suspend
                and not job.value().end
                and job.metadata.annotations.get(GATEKEEPER) != stamp
            ]
            if not open_to_all:
                self._settled[scope] = tasks & self._members.get(scope, set())
                return jobs
            for job in open_to_all:
                await self._api.stamp_job(job.metadata, stamp)

    async def _list(self, namespace: str, tasks: set[Key]) -> list[JobObject]:
        """The Jobs of the tasks as they are now, not as a cache has them."""
        names = ",".join(sorted(task.name for task in tasks))
        labelled = TASK_LABEL if len(tasks) > TASKS_NAMED else f"{TASK_LABEL} in ({names})"
        resource = Resource(JobObject, "/apis/batch/v1", "jobs", namespace, (("labelSelector", labelled),))
        jobs = [job async for page in list_pages(self._api, resource) for job in page.items]
        for job in jobs:
            self._store.jobs.put(job)
        return jobs

    async def _admit(self, scope: Key, turn: Waiting) -> None:
        self._store.jobs.put(await self._api.patch_job(turn.task, turn.patch))
        waited = (self._clock() - turn.since).total_seconds()
        told = {"task": str(turn.task), "run": turn.patch.job.name, "gate": scope.name}
        log.info("run admitted", **told, seconds=round(waited, 3))

    def _leave(self, scope: Key, task: Key) -> None:
        for tasks in (self._members, self._settled):
            rest = tasks.get(scope, set())
            rest.discard(task)
            if not rest:
                tasks.pop(scope, None)

    def _failed(self, scope: Key, error: Exception, at_least: float = 0) -> None:
        pause = self._queue.add_after_failure(scope, at_least)
        if isinstance(error, ApiError) and error.code in (404, 409):
            log.debug("somebody was faster, looking again", gate=str(scope), error=str(error))
        else:
            RECONCILE_ERRORS.inc()
            log.warning("gate failed, trying again", gate=str(scope), error=str(error) or repr(error), wait=pause)


def _with_jobs(snapshots: Iterable[Snapshot], jobs: list[JobObject]) -> list[Snapshot]:
    """The snapshots with these Jobs instead of those that they know."""
    by_task: dict[Key, list[JobObject]] = {}
    for job in jobs:
        by_task.setdefault(job.task, []).append(job)
    return [
        replace(snapshot, jobs=tuple(job.value() for job in by_task.get(snapshot.task.key, ())))
        for snapshot in snapshots
    ]
