"""`run`: a manual run. Its Job is made here, as `kubectl create job --from=cronjob/NAME` does, where the operator has
nothing to decide, so that it starts also while the operator is away; else the operator is asked.
"""

import asyncio
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from scheduledtask.api.spec import ConcurrencyPolicy
from scheduledtask.api.status import Outcome
from scheduledtask.cli.cluster import Cluster, Place, connect
from scheduledtask.cli.commands import Given, InTurn, check_now, give, write_parameters
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.explanation import last_line
from scheduledtask.cli.facts import ActiveFacts, EntryFacts, TaskFacts
from scheduledtask.cli.moments import write_moment
from scheduledtask.cli.output import Output
from scheduledtask.cli.printing import print_json
from scheduledtask.domain.commands import RUN, run_name
from scheduledtask.domain.outcome import ended_run
from scheduledtask.kube.api import ApiError
from scheduledtask.kube.wire import INSTANTIATE, JobObject

_EVERY = 1.0
"""Seconds between two looks."""
_LOOKS = 30
"""How many looks in a row may fail, or find a run gone that the history does not know, before that is the answer."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    outcome: str
    reason: str
    attempts: int
    exit_code: int | None
    message: str | None


def job_of(cron_job: dict[str, Any], name: str) -> dict[str, Any]:
    """The Job of a manual run.

    The same as `kubectl create job --from` makes, by which others know it for one: createJobFromCronJob in
    kubernetes/staging/src/k8s.io/kubectl/pkg/cmd/create/create_job.go.
    """
    template, meta = cron_job["spec"]["jobTemplate"], cron_job["metadata"]
    template_meta = template.get("metadata", {})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "annotations": {INSTANTIATE: "manual", **template_meta.get("annotations", {})},
            "labels": template_meta.get("labels", {}),
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": template["spec"],
    }


def exit_code(ended: Ended) -> int:
    """That of this command: 0 after a success, else the program's own, or 1 where it has none or it says 0."""
    return 0 if ended.outcome == Outcome.SUCCEEDED else ended.exit_code or 1


async def run(place: Place, name: str, parameters: Sequence[str], wait: bool, output: Output) -> int:
    """Start a run and return the exit code of the command; with `wait`, that of the run."""
    value = write_parameters(parameters)
    command_id = uuid.uuid4().hex[:8]
    command = Given(name, f"{RUN}{command_id}", value, run_name(name, command_id))
    async with connect(place) as cluster:
        active = [job for job in await check_now(cluster, command) if not job.end]
        policy = (await cluster.task(name)).spec.concurrency.policy
        if parameters or (active and policy != ConcurrencyPolicy.ALLOW):
            return await start(cluster, command, wait, output)
        cron_job = await cluster.cron_job(name)
        if cron_job is None:
            why = f"`kubectl scheduledtask why {name} -n {cluster.namespace}`"
            raise CommandError(f"{name} has no CronJob yet: {why} says why.")
        job = await cluster.create_job(job_of(cron_job, command.run))
        return await _follow(cluster, name, command.run, job.metadata.uid, wait, output)


async def start(cluster: Cluster, command: Given, wait: bool, output: Output) -> int:
    """Have the operator start a run, by a command that was checked. Returns the exit code, as `run` does."""

    async def find_run(task: TaskFacts) -> ActiveFacts | EntryFacts | None:
        known: tuple[ActiveFacts | EntryFacts, ...] = (*task.status.active, *task.status.history)
        return next((run for run in known if run.run == command.run), None)

    found: ActiveFacts | EntryFacts | InTurn = await give(cluster, command, find_run, wait)
    if isinstance(found, InTurn):
        _tell(f"run {command.run}: {found.waits}", cluster, command.task, command.run, None, output)
        return 0
    if isinstance(found, EntryFacts) and (wait or found.uid is None):
        # It was not started and the history says why, or it has ended within a moment.
        ended = _ended(found)
        _tell(sentence(command.run, ended), cluster, command.task, command.run, ended, output)
        return exit_code(ended)
    return await _follow(cluster, command.task, command.run, found.uid or "", wait, output)


async def _follow(cluster: Cluster, name: str, run: str, uid: str, wait: bool, output: Output) -> int:
    if not wait:
        _tell(f"{cluster.namespace}/{name}: run {run} has been started.", cluster, name, run, None, output)
        return 0
    print(f"run {run}: started", file=sys.stderr)
    try:
        ended = await _await_end(_Waiting(cluster, name, run, uid))
    except asyncio.CancelledError:
        logs = f"`kubectl scheduledtask logs {name} -n {cluster.namespace} --run {run} -f`"
        print(f"run {run} goes on; see {logs}", file=sys.stderr)
        raise
    _tell(sentence(run, ended), cluster, name, run, ended, output)
    return exit_code(ended)


def sentence(run: str, ended: Ended) -> str:
    attempts = f" after {ended.attempts} attempt" + ("" if ended.attempts == 1 else "s") if ended.attempts else ""
    code = f", exit code {ended.exit_code}" if ended.exit_code is not None else ""
    words = f": {line}" if (line := last_line(ended.message)) else ""
    return f"run {run}: {ended.outcome}{attempts} ({ended.reason}{code}){words}"


def progress(job: JobObject, active: ActiveFacts | None, obstacle: str = "") -> str:
    """Where the run stands. The Job knows its attempts also while the operator is away."""
    known = job.value()
    attempt = max(active.attempt if active else 1, min(known.failed + 1, known.max_attempts))
    text = f"attempt {attempt} of {known.max_attempts}"
    if active and active.next_attempt_time:
        text += f", due at {write_moment(active.next_attempt_time)}"
    elif active and active.waiting_for:
        text += f" waits for {active.waiting_for}"
    elif obstacle:
        text += f" has not started: {obstacle}"
    return f"{text}; {active.progress}" if active and active.progress else text


async def _await_end(waiting: "_Waiting") -> Ended:
    unanswered = 0
    while True:
        try:
            if ended := await waiting.look():
                return ended
            unanswered = 0
        except (aiohttp.ClientError, TimeoutError, ApiError):
            # An API server that restarts, and may not know anybody's rights at first, says nothing about the run.
            unanswered += 1
            if unanswered > _LOOKS:
                raise
        await asyncio.sleep(_EVERY)


@dataclass
class _Waiting:
    """One look after another at a run until it has ended; tells progress when it changes."""

    cluster: Cluster
    task: str
    run: str
    uid: str
    said: str = ""
    looks_for_the_history: int = 0

    async def look(self) -> Ended | None:
        job = await self.cluster.job(self.run)
        status = (await self.cluster.task(self.task)).status
        if found := next((entry for entry in status.history if entry.uid == self.uid), None):
            return _ended(found)
        if job is None or job.value().end:
            return await self._end_without_history(job)
        active = next((run for run in status.active if run.uid == self.uid), None)
        now = progress(job, active, await self.cluster.obstacle(self.run))
        if now != self.said:
            print(f"run {self.run}: {now}", file=sys.stderr)
            self.said = now
        return None

    async def _end_without_history(self, job: JobObject | None) -> Ended | None:
        """The end as Job and pods tell it: the operator may be away.

        Where they are gone it has counted and pruned them, so that the next look finds the history; or someone
        deleted them.
        """
        self.looks_for_the_history += 1
        patient = self.looks_for_the_history <= _LOOKS
        if job is None or (end := job.value().end) is None:
            return None if patient else Ended(Outcome.CANCELLED, "JobDeleted", 0, None, "its Job is gone")
        pods = tuple(pod.value() for pod in await self.cluster.pods_of_job(self.cluster.namespace, self.run))
        if patient and not pods:
            return None
        entry = ended_run(job.value(), end, pods).entry
        return Ended(entry.outcome, entry.reason, entry.attempts, entry.exit_code, entry.message)


def _ended(entry: EntryFacts) -> Ended:
    return Ended(entry.outcome, entry.reason, entry.attempts, entry.exit_code, entry.message)


def _tell(text: str, cluster: Cluster, name: str, run: str, ended: Ended | None, output: Output) -> None:
    if output is Output.TABLE:
        print(text)
        return
    print_json(
        {
            "namespace": cluster.namespace,
            "name": name,
            "run": run,
            "outcome": ended.outcome if ended else None,
            "reason": ended.reason if ended else None,
            "attempts": ended.attempts if ended else None,
            "exitCode": ended.exit_code if ended else None,
            "message": ended.message if ended else None,
        }
    )
