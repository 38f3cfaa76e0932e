"""`logs`: what the attempts of a run wrote."""

import asyncio
import sys
from collections.abc import Iterable

from scheduledtask.cli.cluster import Cluster, Place, connect
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.facts import PodFacts
from scheduledtask.kube.api import ApiError
from scheduledtask.kube.wire import JobObject

_EVERY = 1.0
"""Seconds between two looks for a next attempt."""


async def logs(place: Place, name: str, run: str | None, attempt: int | None, follow: bool) -> None:
    async with connect(place) as cluster:
        await cluster.task(name)
        job = choose_run(name, await cluster.jobs(name), run)
        shown: set[str] = set()
        while True:
            # The Job first: a Job that had ended by then makes no more pods.
            last_look = not follow or _has_ended(await cluster.job(job.metadata.name))
            pods = choose_attempts(job, await cluster.attempts(job.metadata.name), attempt, last_look)
            for pod in pods:
                if pod.metadata.uid not in shown and (pod.has_started or last_look):
                    shown.add(pod.metadata.uid)
                    await _show(cluster, job, pod, follow)
            if last_look or (attempt and shown):
                return
            await asyncio.sleep(_EVERY)


def choose_run(task: str, jobs: Iterable[JobObject], run: str | None) -> JobObject:
    """The Job of that name, or else the latest. Raises CommandError with the runs whose logs there are."""
    ordered = sorted(jobs, key=lambda job: (job.metadata.created, job.metadata.name), reverse=True)
    if not ordered:
        raise CommandError(
            f"{task} has no Jobs, so there are no logs: nothing has run yet, or spec.history keeps none. "
            "`kubectl scheduledtask why` tells what happened."
        )
    if run is None:
        return ordered[0]
    found = next((job for job in ordered if job.metadata.name == run), None)
    if found is None:
        raise CommandError(f'{task} has no Job "{run}" any more. There are: {_names(ordered)}.')
    return found


def choose_attempts(job: JobObject, pods: list[PodFacts], attempt: int | None, certain: bool) -> list[PodFacts]:
    """All pods, or those of one attempt (a disrupted one has two). Raises CommandError where, `certain`ly, none is."""
    chosen = [pod for pod in pods if attempt is None or pod.attempt == attempt]
    if chosen or not certain:
        return chosen
    if not pods:
        raise CommandError(f"run {job.metadata.name} has no pods: it waits to start, or they were deleted.")
    there = ", ".join(str(pod.attempt) for pod in pods)
    raise CommandError(f"run {job.metadata.name} has no pod of attempt {attempt}. There are: {there}.")


def headline(job: JobObject, pod: PodFacts) -> str:
    """The line over the log of one attempt."""
    name, most = job.metadata.name, job.value().max_attempts
    ends = {entry.name: entry.state.terminated for entry in pod.status.container_statuses}
    end = ends.get(pod.main_container)
    code = f", exit code {end.exit_code}" if end else ""
    return f"==> run {name}, attempt {pod.attempt} of {most}, pod {pod.metadata.name}{code} <=="


async def _show(cluster: Cluster, job: JobObject, pod: PodFacts, follow: bool) -> None:
    _write(f"{headline(job, pod)}\n".encode())
    if not pod.has_started:
        _write(f"(has not started: {pod.obstacle or pod.status.phase})\n".encode())
        return
    last = b"\n"
    try:
        async for piece in cluster.log(pod.metadata.name, pod.main_container, follow):
            _write(piece)
            last = piece
    except ApiError as error:
        if error.code in (401, 403):
            raise
        # A log may be gone with its node: that hides no other attempt's.
        last = f"(no log: {error.message})".encode()
        _write(last)
    if not last.endswith(b"\n"):
        _write(b"\n")


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _has_ended(job: JobObject | None) -> bool:
    return job is None or job.value().end is not None


def _names(jobs: Iterable[JobObject]) -> str:
    return ", ".join(job.metadata.name for job in jobs)
