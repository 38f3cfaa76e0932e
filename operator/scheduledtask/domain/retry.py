"""What becomes of a run after a failed attempt: the next attempt when it is due, or the end.

One Job is one run, its pods are the attempts. After a failed pod the Job controller waits 10 s, 20 s, 40 s, … and then
makes the next one. To wait for longer the Job is suspended within that time and resumed when the attempt is due; to
give up, its `backoffLimit` becomes 0, which ends it as Failed and leaves pods and logs. An operator that is away misses
only that: the Job controller's own backoff goes on retrying. A run that shares a gate is suspended however short the
wait is: others go first meanwhile.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from scheduledtask.api.spec import Retry, ScheduledTaskSpec
from scheduledtask.domain.outcome import RUN_TIMEOUT, pod_reason
from scheduledtask.domain.report import read_report
from scheduledtask.domain.values import Job, Pod, Stuck

NATIVE_FIRST, NATIVE_LONGEST = timedelta(seconds=10), timedelta(minutes=10)
"""The Job controller's backoff: kubernetes/pkg/controller/job/backoff_utils.go, doubled with each failure."""
MARGIN = timedelta(seconds=1)
"""How long before the Job controller's next pod a suspension must be under way to be in time."""
LAST_MOMENT = timedelta(seconds=5)
"""How long before a timeout of Kubernetes' own a pod that has not started is ended by the operator, which tells why."""


@dataclass(frozen=True, slots=True)
class JobPatch:
    """A change of a Job. `given_up` is why the run ends: reason and message."""

    job: Job
    suspend: bool
    time_left: timedelta | None = None
    """Of the run's own timeout: the Job controller counts anew from each resumption."""
    given_up: tuple[str, str] | None = None
    failures_left: int = 0
    """With `given_up`: failed attempts that the Job may have and still go on."""
    stuck: Stuck | None = None
    """With `suspend`: the attempt that ends so had not started in time; to be noted on the Job."""
    admitted_at: datetime | None = None
    """When the run started, where that is not noted yet because it waited for its turn."""
    withdrawn_at: datetime | None = None
    """With `given_up`, of a run that never started: it stays suspended and has ended at this time."""

    @property
    def resumes(self) -> bool:
        """Whether it lets the run go on."""
        return not self.suspend and self.given_up is None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows a failed attempt: when the next is due, if that is known, and what must be done now."""

    next_attempt_time: datetime | None = None
    patch: JobPatch | None = None
    due_since: datetime | None = None
    """With a patch that resumes the run: since when that is due."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the decision goes by, besides the run itself."""

    spec: ScheduledTaskSpec
    next_slot_after: Callable[[datetime], datetime | None]
    """The first slot after a moment; None where there is none."""


def after_failure(job: Job, pods: tuple[Pod, ...], rules: Rules, known_due: datetime | None, now: datetime) -> Verdict:
    """Decide about a Job that has not ended.

    pods: those of its ended attempts that are known. known_due: when the status says the next attempt is due; it
    serves where the failed pod is gone, with its node, say.
    """
    retry, stuck = rules.spec.retry, job.stuck
    last = last_failure(pods)
    if job.given_up or any(
        end.exit_code in retry.non_retryable.exit_codes for end in (last.containers if last else ())
    ):
        return Verdict()
    failures = max(job.failed, last.failures_before + 1 if last else 0)
    attempts = failures + (stuck.attempts if stuck else 0)
    if last is None or last.end_time is None or last.failures_before + 1 < failures:
        if not job.suspended:
            return Verdict()
        if stuck:
            return _after_stuck(job, stuck, attempts, rules, known_due if failures else None, now)
        waits = known_due is not None and now < known_due
        return Verdict(known_due) if waits else _resume(job, known_due or job.creation_time, rules, now)
    if stuck and last.creation_time <= stuck.time:
        return _after_stuck(job, stuck, attempts, rules, None, now) if job.suspended else Verdict()
    if failures >= job.max_attempts:
        return Verdict()
    if attempts >= job.max_attempts:
        return _give_up(job, pod_reason(last) or "Failed", "")
    word = pointless(last, retry)
    if word is not None:
        return _give_up(job, "NonRetryableMessage", f'another attempt is pointless after "{word}"')
    native = last.end_time + native_wait(failures)
    due = max(last.end_time + _backoff(retry, attempts), native)
    verdict = _await(job, attempts + 1, last.end_time, due, rules, now)
    if verdict != Verdict(due) or job.suspended or (due == native and not job.gated):
        return verdict
    booked = job.failed >= failures
    if (job.active and booked) or now >= native - MARGIN:
        # The Job controller is ahead of us: to suspend now would end an attempt that has begun.
        return Verdict()
    return Verdict(due, suspension(job))


def suspension(job: Job, stuck: Stuck | None = None) -> JobPatch:
    """What ends an attempt, or the wait for the next one. A run that somebody else let start before its turn came has
    its start noted."""
    unnoted = job.gated and job.admitted_time is None
    return JobPatch(job, suspend=True, stuck=stuck, admitted_at=job.creation_time if unnoted else None)


def last_failure(pods: tuple[Pod, ...]) -> Pod | None:
    """The pod of the latest failed attempt that is known."""
    failed = (pod for pod in pods if not pod.succeeded and not pod.disrupted)
    return max(failed, key=lambda pod: (pod.failures_before, pod.creation_time), default=None)


def native_wait(failures: int) -> timedelta:
    """How long the Job controller waits after so many failed pods."""
    return min(NATIVE_FIRST * (1 << min(failures - 1, 10)), NATIVE_LONGEST)


def run_end(job: Job, spec: ScheduledTaskSpec) -> datetime | None:
    """When the run's own timeout ends it."""
    return job.begin_time + spec.timeouts.run if spec.timeouts.run and job.begin_time else None


def _after_stuck(
    job: Job, stuck: Stuck, attempts: int, rules: Rules, known_due: datetime | None, now: datetime
) -> Verdict:
    """What follows an attempt that did not start, and that the Job's suspension ends.

    known_due: where the failed pods are not all known, one may have failed since; then the status says when.
    """
    end = run_end(job, rules.spec)
    if end and stuck.time >= end - LAST_MOMENT:
        verdict = _give_up(job, RUN_TIMEOUT, "")
    elif attempts >= job.max_attempts:
        verdict = _give_up(job, stuck.reason, "")
    else:
        due = stuck.time + _backoff(rules.spec.retry, attempts)
        verdict = _await(job, attempts + 1, stuck.time, max(due, known_due or due), rules, now)
    # First the Job controller removes the pod: else it goes on with it, or counts it as failed at the Job's end.
    return Verdict(verdict.next_attempt_time) if job.active else verdict


def _await(job: Job, attempt: int, ended: datetime, due: datetime, rules: Rules, now: datetime) -> Verdict:
    """Wait until the next attempt is due, unless that is too late."""
    end = run_end(job, rules.spec)
    if end and due >= end:
        return _give_up(job, RUN_TIMEOUT, f"attempt {attempt} would not be due before the run's timeout")
    next_slot = None if rules.spec.retry.beyond_next_slot else rules.next_slot_after(ended)
    if next_slot is not None and due >= next_slot:
        return _give_up(job, "NextSlotFirst", f"attempt {attempt} would not be due before the next slot")
    if now < due:
        return Verdict(due)
    return _resume(job, due, rules, now) if job.suspended else Verdict()


def _backoff(retry: Retry, attempts: int) -> timedelta:
    return retry.backoff[min(attempts, len(retry.backoff)) - 1]


def _resume(job: Job, due: datetime, rules: Rules, now: datetime) -> Verdict:
    end = run_end(job, rules.spec)
    patch = JobPatch(
        job,
        suspend=False,
        time_left=end - now if end else None,
        admitted_at=now if job.never_started else None,
    )
    return Verdict(None, patch, due)


def pointless(pod: Pod, retry: Retry) -> str | None:
    """The word in a failed attempt's last words that makes another attempt pointless; None where there is none."""
    said = "\n".join(end.message for end in pod.containers if end.exit_code != 0)
    says = read_report(said).retryable
    if says is False:
        return "retryable: false"
    if says or any(_word(word).search(said) for word in retry.retryable.messages):
        return None
    return next((word for word in retry.non_retryable.messages if _word(word).search(said)), None)


@lru_cache(maxsize=1024)
def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)


def _give_up(job: Job, reason: str, message: str) -> Verdict:
    # A Job without a failed pod ends by its deadline alone.
    time_left = timedelta(0) if job.stuck and job.suspended else None
    return Verdict(None, JobPatch(job, suspend=False, given_up=(reason, message), time_left=time_left))
