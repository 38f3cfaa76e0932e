"""One pass over one task: take a snapshot, plan, carry the plan out."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import aiohttp
import structlog

from scheduledtask.api.status import AppliedCronJob, HistoryEntry, Outcome, ScheduledTaskStatus, format_time
from scheduledtask.controller.measures import count_runs
from scheduledtask.controller.queue import WorkQueue
from scheduledtask.controller.store import Store
from scheduledtask.domain.adoption import Adoption
from scheduledtask.domain.answers import CreateRun, EndRun
from scheduledtask.domain.catch_up import StartSlot
from scheduledtask.domain.conditions import READY, find
from scheduledtask.domain.cronjob import ApplyCronJob
from scheduledtask.domain.events import PostEvent
from scheduledtask.domain.gate import scope_of
from scheduledtask.domain.ledger import jobs_to_read, missing_runs
from scheduledtask.domain.plan import Plan, plan
from scheduledtask.domain.refusal import refusal
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.stuck import known_starts, late_jobs, look
from scheduledtask.domain.values import Key, Snapshot, Task
from scheduledtask.kube.api import ApiError, KubernetesApi
from scheduledtask.kube.open_pods import open_pod
from scheduledtask.metrics import RECONCILE_ERRORS, RECONCILES

LONGEST_SLEEP = 600.0
"""Seconds after which a task is planned again in any case: wall clocks jump, timers don't."""
TIMER_SLACK = 0.01
"""Seconds. Timers run by another clock and may come early; a plan made too early would wait a second more."""
APPLIES_A_PASS = 2

log = structlog.get_logger("scheduledtask")


class Reconciler:
    """Works through the queue. `clock` gives aware UTC times; `on_messages` hears of each task whose status has webhook
    messages waiting, `on_scope` of each task that is looked at, with its gate."""

    def __init__(
        self,
        api: KubernetesApi,
        store: Store,
        queue: WorkQueue,
        clock: Callable[[], datetime],
        on_messages: Callable[[Key], None],
        on_scope: Callable[[Key, Key | None], None],
    ) -> None:
        self._api = api
        self._store = store
        self._queue = queue
        self._clock = clock
        self._on_messages = on_messages
        self._on_scope = on_scope
        self._introduced: set[Key] = set()

    async def work(self) -> None:
        """Take keys and pass over them until cancelled. A failure concerns its own key only."""
        while True:
            key = await self._queue.get()
            try:
                with RECONCILES.time():
                    requeue_at = await self.reconcile(key)
            except ApiError as error:
                self._failed(key, error, error.retry_after)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._failed(key, error)
            except Exception as error:
                log.exception("reconcile crashed", task=str(key))
                self._failed(key, error)
            else:
                self._queue.forget_failures(key)
                self._sleep(key, requeue_at)
            finally:
                self._queue.done(key)
            # A pass that finds nothing to do awaits nothing: without this, thousands of them in a row, as at the start,
            # would keep probes, watches and timers waiting.
            await asyncio.sleep(0)

    async def reconcile(self, key: Key) -> datetime | None:
        """One pass. Returns when to look again although nothing is heard, or None for never."""
        for _ in range(APPLIES_A_PASS):
            taken = self._store.snapshot(key)
            # First, for others may wait for what has ended here, and the account of it may fail.
            self._on_scope(key, scope_of(taken[0]) if taken else None)
            if taken is None:
                self._introduced.discard(key)
                self._queue.cancel_timer(key)
                return None
            known, version = taken
            snapshot = await self._with_last_words(await self._with_missing_jobs(known))
            snapshot = await self._with_starts(snapshot)
            planned = plan(snapshot, self._clock())
            if planned.apply is None:
                await self._carry_out(snapshot, version, planned)
                self._introduce(snapshot.task, planned.status or snapshot.task.status)
                # Only now that they are written: what was never written could not be told again after a crash.
                if (planned.status or snapshot.task.status).webhook_messages:
                    self._on_messages(key)
                return planned.requeue_at
            await self._apply(snapshot, planned.apply)
        self._queue.add(key)
        return None

    async def _with_missing_jobs(self, snapshot: Snapshot) -> Snapshot:
        """Ask for the Jobs of active runs that are not known. The watch of Jobs may be behind that of tasks, and a run
        that goes on must not be counted as ended because its Job seems to be deleted."""
        key = snapshot.task.key
        for run in missing_runs(snapshot):
            try:
                item = await self._api.get_job(key.namespace, run.run)
            except ApiError as error:
                if error.code != 404:
                    raise
                continue
            if item.metadata.uid == run.uid:
                self._store.jobs.put(item)
                snapshot = replace(snapshot, jobs=(*snapshot.jobs, item.value()))
        return snapshot

    async def _with_last_words(self, snapshot: Snapshot) -> Snapshot:
        """Read the pods of Jobs that have ended, where how they ended isn't known: one request a run."""
        jobs = jobs_to_read(snapshot)
        if not jobs:
            return snapshot
        namespace = snapshot.task.key.namespace
        found = await asyncio.gather(*(self._api.pods_of_job(namespace, job.name) for job in jobs))
        pods = {pod.name: pod for pod in snapshot.pods}
        pods |= {item.metadata.name: item.value() for items in found for item in items}
        return replace(snapshot, pods=tuple(pods.values()))

    async def _with_starts(self, snapshot: Snapshot) -> Snapshot:
        """Read the pods of Jobs whose attempt is late in starting: one request an attempt, and remembered."""
        task, now = snapshot.task, self._clock().replace(microsecond=0)
        starts, jobs = known_starts(snapshot), late_jobs(snapshot, now)
        if jobs and task.spec:
            found = await asyncio.gather(*(self._api.pods_of_job(task.key.namespace, job.name) for job in jobs))
            for job, items in zip(jobs, found, strict=True):
                starts[job.uid] = look(job, filter(None, map(open_pod, items)), task.spec, now)
        if starts == snapshot.starts:
            return snapshot
        self._store.remember_starts(task.key, starts)
        return replace(snapshot, starts=starts)

    async def _apply(self, snapshot: Snapshot, wanted: ApplyCronJob) -> None:
        """Apply the CronJob and remember the answer, yes or no, for the next plan."""
        key, live = snapshot.task.key, snapshot.cron_job
        if wanted.fence and live:
            fenced = await self._api.fence_cron_job(key, live, wanted.fence)
            self._store.cron_jobs.put(fenced)
            live = fenced.value()
        try:
            item = await self._api.apply_cron_job(wanted.body, live)
        except ApiError as error:
            refused = refusal(error.code, error.message, wanted.digest, self._clock())
            if refused is None:
                raise
            log.warning("cronjob refused", task=str(key), code=error.code, message=refused.message)
            self._store.remember(key, snapshot.applied, refused)
            return
        log.info("cronjob applied", task=str(key), schedule=item.spec.schedule, suspended=item.spec.suspend)
        meta = item.metadata
        applied = AppliedCronJob(uid=meta.uid, generation=meta.generation, digest=wanted.digest)
        self._store.remember(key, applied)
        self._store.cron_jobs.put(item)

    async def _carry_out(self, snapshot: Snapshot, version: int, planned: Plan) -> None:
        """Jobs first, for a suspension has to be in time. Events before the status: they are posted once by their
        names, and a crash in between loses none. Commands that the status answered last time are removed before it
        is written anew: the next one may have forgotten them."""
        task = snapshot.task
        if planned.adoption:
            await self._adopt(task.key, planned.adoption)
        if planned.create:
            await self._create(snapshot, planned.create)
        for ending in planned.endings:
            await self._end(task.key, ending)
        for patch in planned.job_patches:
            await self._patch(task.key, patch)
        for event in planned.events:
            await self._post(task, event)
        if planned.answered:
            version = await self._remove_commands(snapshot, version, planned.answered)
        if planned.status:
            self._store.tasks.put(await self._api.write_status(task, version, planned.status))
            _tell(task.key, planned)
            count_runs(task, planned)
        for job in planned.prune:
            await self._api.delete_job(task.key, job.name, job.uid)
            # Else a pass that comes before the watch tells of it deletes it again.
            self._store.jobs.forget(Key(task.key.namespace, job.name))
        # Last, for a quota or a policy may refuse it again and again, and the account must go on.
        if planned.start_slot:
            await self._start(task.key, planned.start_slot)

    async def _adopt(self, key: Key, adoption: Adoption) -> None:
        """Best done, but never in the way of the account: who else wrote the CronJob brings on another pass. Unless it
        fences slots that the account tells of."""
        try:
            self._store.cron_jobs.put(await self._api.adopt(key, adoption))
        except ApiError as error:
            if adoption.is_fence or error.code not in (404, 409, 422):
                raise
            log.debug("adoption came too late", task=str(key), error=str(error))

    async def _start(self, key: Key, start: StartSlot) -> None:
        """Start a slot late. Whoever is faster has made the Job of that very name: then there is nothing to do."""
        try:
            job = await self._api.create_job(start.body)
        except ApiError as error:
            if error.code != 409:
                raise
            return
        log.info("slot started late", task=str(key), run=job.metadata.name, slot=format_time(start.slot))
        self._store.jobs.put(job)

    async def _patch(self, key: Key, patch: JobPatch) -> None:
        """Suspend, resume or end a run. That its Job is gone by now is no error: the watch will tell. One that has
        only changed is planned again."""
        try:
            self._store.jobs.put(await self._api.patch_job(key, patch))
        except ApiError as error:
            if error.code != 404:
                raise
            return
        act = "run given up" if patch.given_up else "run waits" if patch.suspend else "run goes on"
        reason = patch.given_up[0] if patch.given_up else patch.stuck.reason if patch.stuck else None
        log.info(act, task=str(key), run=patch.job.name, reason=reason)

    async def _create(self, snapshot: Snapshot, wanted: CreateRun) -> None:
        """Create the Job of a command. A no that concerns the command alone is remembered: the next plan tells it."""
        key, name = snapshot.task.key, wanted.body["metadata"]["name"]
        try:
            item = await self._api.create_job(wanted.body)
        except ApiError as error:
            message = f"the API server refuses the Job: {error.message}"
            if error.code == 409:
                found = await self._api.get_job(key.namespace, name)
                if found.task == key:
                    # Ours, from a time that this process has not seen: or it belongs to an earlier task and is going.
                    self._store.jobs.put(found)
                    raise
                message = f"a Job named {name} that is not this task's exists: choose another id"
            elif error.code not in (400, 403, 413, 422):
                raise
            log.warning("command refused", task=str(key), command=wanted.annotation, error=message)
            self._store.remember_commands(key, {**snapshot.refused_commands, wanted.annotation: message})
            self._queue.add(key)
            return
        log.info("run created", task=str(key), run=name, command=wanted.annotation)
        self._store.jobs.put(item)

    async def _end(self, key: Key, ending: EndRun) -> None:
        """End a run: its running pods first, for they would be deleted with the Job's end."""
        started = ending.job.begin_time is not None
        pods = await self._api.pods_of_job(key.namespace, ending.job.name) if started else []
        running = [pod for pod in pods if pod.status.phase == "Running"]
        for pod in running:
            await self._api.end_pod(key.namespace, pod.metadata.name, pod.metadata.uid)
        failed = sum(pod.status.phase == "Failed" for pod in pods)
        await self._patch(key, ending.patch(bool(running), failed, self._clock()))

    async def _remove_commands(self, snapshot: Snapshot, version: int, annotations: tuple[str, ...]) -> int:
        """Remove commands from a task; returns its new version."""
        key = snapshot.task.key
        item = await self._api.remove_annotations(snapshot.task, version, annotations)
        log.info("commands answered", task=str(key), commands=list(annotations))
        left = {known: why for known, why in snapshot.refused_commands.items() if known not in annotations}
        self._store.remember_commands(key, left)
        self._store.tasks.put(item)
        return item.metadata.version

    async def _post(self, task: Task, event: PostEvent) -> None:
        """Post an Event. One that is refused (a quota, a namespace that is going) must not hold up the account."""
        try:
            await self._api.post_event(task, event, self._clock())
        except ApiError as error:
            if error.code >= 500 or error.code == 429:
                raise
            log.warning("event refused", task=str(task.key), reason=event.reason, error=str(error))

    def _introduce(self, task: Task, status: ScheduledTaskStatus) -> None:
        """Say of every task once, after its first pass, that its schedule is set up, and when it runs next."""
        if task.key in self._introduced:
            return
        self._introduced.add(task.key)
        ready = find(status.conditions, READY)
        if ready and ready.status == "True" and task.spec:
            log.info(
                "schedule is set up",
                task=str(task.key),
                schedule=status.resolved_schedule or "on demand",
                time_zone=task.spec.time_zone,
                next_run=_text(status.next_run_time),
            )
        elif ready:
            log.warning("schedule is not set up", task=str(task.key), reason=ready.reason, error=ready.message)

    def _sleep(self, key: Key, requeue_at: datetime | None) -> None:
        if requeue_at is None:
            self._queue.cancel_timer(key)
        else:
            seconds = (requeue_at - self._clock()).total_seconds()
            self._queue.add_after(key, min(seconds + TIMER_SLACK, LONGEST_SLEEP))

    def _failed(self, key: Key, error: Exception, at_least: float = 0) -> None:
        pause = self._queue.add_after_failure(key, at_least)
        conflict = isinstance(error, ApiError) and error.code in (404, 409)
        if conflict:
            log.debug("somebody was faster, planning again", task=str(key), error=str(error))
        else:
            RECONCILE_ERRORS.inc()
            log.warning("reconcile failed, trying again", task=str(key), error=str(error) or repr(error), wait=pause)


def _tell(key: Key, planned: Plan) -> None:
    """Log what the status that was just written says for the first time."""
    for started in planned.started:
        act = "run waits for its turn" if started.waiting_for else "run started"
        log.info(act, task=str(key), run=started.run, trigger=started.trigger.value, slot=_text(started.slot))
    for ended in planned.ended:
        entry = ended.entry
        if entry.uid is None:
            _tell_unstarted(key, entry)
            continue
        seconds = (entry.end_time - entry.start_time).total_seconds() if entry.start_time else 0.0
        level = log.info if entry.outcome is Outcome.SUCCEEDED else log.warning
        level(
            "run ended",
            task=str(key),
            run=entry.run,
            start=_text(entry.start_time),
            end=_text(entry.end_time),
            outcome=entry.outcome.value,
            reason=entry.reason,
            seconds=seconds,
            attempts=entry.attempts,
            exit_code=entry.exit_code,
        )


def _tell_unstarted(key: Key, entry: HistoryEntry) -> None:
    if entry.run is None:
        outcome, slot = f"slot {entry.outcome.value.lower()}", _text(entry.slot)
        log.warning(outcome, task=str(key), slot=slot, slots=entry.slots, reason=entry.reason)
    else:
        log.warning("run not started", task=str(key), run=entry.run, reason=entry.reason, why=entry.message)


def _text(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None
