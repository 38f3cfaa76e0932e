"""Attempts that do not start: their image can't be pulled, no node takes them, a volume is missing.

Kubernetes waits for ever with such a pod. Pods that wait are not watched: one that is late in starting is read once,
when it is late. If it still waits, its Job is suspended, which removes the pod without counting a failure, and the same
patch notes on the Job how many attempts ended so and why. What follows is decided as after a failed attempt. While the
operator is away nothing ends a stuck attempt; when it is back it ends it then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from scheduledtask.api.duration import format_duration
from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask.domain.ledger import own_jobs
from scheduledtask.domain.outcome import PENDING_TIMEOUT
from scheduledtask.domain.retry import LAST_MOMENT, JobPatch, last_failure, native_wait, run_end, suspension
from scheduledtask.domain.values import Job, OpenPod, Pod, Snapshot, Start, Stuck

MESSAGE_LIMIT = 900
"""Characters of Kubernetes' words that are kept: with what stands before them they fit into the history."""
WORTH_A_LOOK = 4 * LAST_MOMENT
"""Timeouts of attempt and run shorter than this are left to Kubernetes: a pod has hardly had the time to start."""
_UNTELLING = ("", "ContainerCreating", "PodInitializing")
"""What a container waits for in any case, before it starts."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The stuck attempts of a task, ended: the snapshot as it is once `patches` are made."""

    snapshot: Snapshot
    patches: tuple[JobPatch, ...] = ()
    look_at: datetime | None = None
    """When the next attempt is late, if it has not started by then."""


def late_jobs(snapshot: Snapshot, now: datetime) -> tuple[Job, ...]:
    """The Jobs whose open pods are to be read now: their current attempt is late in starting."""
    return tuple(job for job, at in _looks(snapshot) if at and at <= now)


def known_starts(snapshot: Snapshot) -> dict[str, Start]:
    """What is worth remembering of `snapshot.starts`. Of a Job whose pod is ready nothing is: if it is ready no more,
    another pod may have taken its place."""
    waiting = {job.uid for job in _unready(snapshot)}
    return {uid: start for uid, start in snapshot.starts.items() if uid in waiting}


def look(job: Job, pods: Iterable[OpenPod], spec: ScheduledTaskSpec, now: datetime) -> Start:
    """What the open pods of a late attempt tell: it has started, may still start, or is stuck."""
    attempt = _attempt(job, spec)
    pod = max(pods, key=lambda pod: pod.creation_time, default=None)
    if pod and not pod.pending:
        return Start(attempt, None)
    telling = [words for words in pod.waiting if words[0] not in _UNTELLING] if pod else []
    if pod is None or (pod.running and not telling):
        return Start(attempt, now + spec.timeouts.pending)
    since = max(pod.creation_time, pod.last_end or pod.creation_time)
    limit, timeout = _limit(job, spec, since, pod.creation_time)
    if now < limit:
        return Start(attempt, limit)
    reason, words = telling[0] if telling else pod.unscheduled or ("", "")
    if not reason:
        waits_for = next((reason for reason, _ in pod.waiting if reason), "Kubernetes gives no reason")
        reason = PENDING_TIMEOUT
        words = f"{waits_for}; `kubectl get events --field-selector involvedObject.name={pod.name}` may tell more"
    return Start(attempt, now, (reason, f"Not started within {timeout}: {_shortened(words or reason)}"))


def end_stuck(snapshot: Snapshot, now: datetime) -> Ended:
    """End the attempts that were found stuck."""
    spec = snapshot.task.spec
    stuck: dict[str, Job] = {}
    for job in _unready(snapshot):
        start = snapshot.starts.get(job.uid)
        if spec and start and start.stuck and start.attempt == _attempt(job, spec):
            reason, message = start.stuck
            attempts = (job.stuck.attempts if job.stuck else 0) + 1
            stuck[job.uid] = replace(job, suspended=True, stuck=Stuck(attempts, now, reason, message))
    after = _without_removed(replace(snapshot, jobs=tuple(stuck.get(job.uid, job) for job in snapshot.jobs)))
    patches = tuple(suspension(job, job.stuck) for job in stuck.values())
    return Ended(after, patches, min((at for _, at in _looks(after) if at), default=None))


def _without_removed(snapshot: Snapshot) -> Snapshot:
    """Without the pods that a suspension removes: on its way out such a pod is Failed for a moment, and no failure."""
    times = {job.uid: job.stuck.time for job in snapshot.jobs if job.stuck}
    if not times:
        return snapshot
    pods = (
        pod
        for pod in snapshot.pods
        if not (pod.deleting and pod.job_uid in times and pod.creation_time <= times[pod.job_uid])
    )
    return replace(snapshot, pods=tuple(pods))


def _unready(snapshot: Snapshot) -> list[Job]:
    """The Jobs that have a pod which, for all that they say, may not have started."""
    return [
        job
        for job in own_jobs(snapshot)
        if job.active and not job.ready and not (job.end or job.deleting or job.suspended or job.given_up)
    ]


def _looks(snapshot: Snapshot) -> list[tuple[Job, datetime | None]]:
    """When the pods of each unready Job are to be read; None where its attempt was seen to have started."""
    spec = snapshot.task.spec
    if spec is None:
        return []
    looks = []
    for job in _unready(snapshot):
        start = snapshot.starts.get(job.uid)
        if start and start.attempt == _attempt(job, spec):
            looks.append((job, start.again_at))
        elif job.start_time:
            begin = _begin(job.start_time, tuple(pod for pod in snapshot.pods if pod.job_uid == job.uid))
            looks.append((job, _limit(job, spec, begin, begin)[0]))
    return looks


def _begin(start_time: datetime, pods: tuple[Pod, ...]) -> datetime:
    """When the current attempt was to start: with the Job, its resumption, or the Job controller's own retry."""
    last = last_failure(pods)
    if last is None or last.end_time is None:
        return start_time
    return max(start_time, last.end_time + native_wait(last.failures_before + 1))


def _attempt(job: Job, spec: ScheduledTaskSpec) -> tuple[object, ...]:
    """What changes with each attempt, and with an edit of what it may take."""
    return job.start_time, job.failed, job.stuck, spec.timeouts


def _limit(job: Job, spec: ScheduledTaskSpec, since: datetime, created: datetime) -> tuple[datetime, str]:
    """Until when a pod may wait, and which timeout says so.

    The other timeouts end a waiting pod by themselves, and nobody learns what it waited for: it is ended just before.
    """
    timeouts, end = spec.timeouts, run_end(job, spec)
    limits = [(since + timeouts.pending, "pending", timeouts.pending)]
    if timeouts.attempt and timeouts.attempt >= WORTH_A_LOOK:
        limits.append((created + timeouts.attempt - LAST_MOMENT, "attempt", timeouts.attempt))
    if timeouts.run and timeouts.run >= WORTH_A_LOOK and end:
        limits.append((end - LAST_MOMENT, "run", timeouts.run))
    limit, name, timeout = min(limits)
    return limit, f"timeouts.{name} ({format_duration(timeout)})"


def _shortened(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"
