"""What `why` says of a task: pure functions from its status and its Jobs to an explanation."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from scheduledtask.cli.facts import ActiveFacts, ConditionFacts, EntryFacts, FailureFacts, TaskFacts
from scheduledtask.cli.moments import distance, write_moment
from scheduledtask.domain.conditions import HEALTHY, READY
from scheduledtask.domain.values import Job

OVERDUE = timedelta(minutes=2)
"""How late a slot's run may be before that needs an explanation of its own."""

OPERATOR = "is the operator running? See `kubectl get pods -A -l app.kubernetes.io/name=scheduledtask-operator`"

_IMAGE = "its image could not be pulled: check its name, that its registry answers, and imagePullSecrets"

_MEANINGS = {
    "NonZeroExit": "the program ended with exit code {code}",
    "NonRetryableExitCode": "exit code {code} is one of retry.nonRetryable.exitCodes: no other attempt was made",
    "NonRetryableMessage": "its last words made another attempt pointless, by retry.nonRetryable.messages",
    "NextSlotFirst": "the next attempt would not have come before the next slot, so none was made "
    "(retry.beyondNextSlot: true makes one)",
    "OutOfMemory": "it needed more memory than it may have: raise resources.limits.memory in spec.template",
    "RunTimeout": "the run took longer than timeouts.run",
    "AttemptTimeout": "the attempt took longer than timeouts.attempt",
    "PendingTimeout": "its attempt had not started within timeouts.pending",
    "ErrImagePull": _IMAGE,
    "ImagePullBackOff": _IMAGE,
    "InvalidImageName": "the name of its image is none: mend it in spec.template",
    "CreateContainerConfigError": "a Secret, a ConfigMap or a key that its container needs is missing",
    "Unschedulable": "no node could take it: see resources, nodeSelector, tolerations and volumes in spec.template",
    "Evicted": "the node ended its pod",
    "JobDeleted": "someone deleted its Job before it ended",
}
"""What the reasons of ended runs mean. For a reason that is not here, the entry's own message has to do."""

_MENDS = {
    (READY, "InvalidSpec"): "mend the field that it names and apply the task again",
    (READY, "Refused"): "mend what the API server names and apply the task again",
    (READY, "NameTaken"): "delete that CronJob, or give the task another name",
    (READY, "CronJobIsBeingDeleted"): "nothing; it goes on by itself",
    (HEALTHY, "ConsecutiveFailures"): "see `kubectl scheduledtask logs {name} -n {namespace}`; a success heals it",
    (HEALTHY, "NoSuccess"): "see `kubectl scheduledtask logs {name} -n {namespace}`; a success heals it",
    (HEALTHY, "MissedSlots"): "the table says what kept each from starting; the next run of a slot heals it",
    (
        HEALTHY,
        "NoRunYet",
    ): "nothing; the first run that ends will tell (`kubectl scheduledtask run {name} -n {namespace}` starts one)",
}


class Fact(Struct, rename="camel", frozen=True):
    pass


class Problem(Fact, frozen=True):
    """A condition that is not True."""

    condition: str
    status: str
    reason: str
    message: str
    mend: str | None
    since: datetime | None


class Active(Fact, frozen=True):
    """A run that has not ended."""

    run: str
    trigger: str
    slot: datetime | None
    start_time: datetime | None
    attempt: int
    max_attempts: int
    next_attempt_time: datetime | None
    progress: str | None
    waiting_for: str | None
    explanation: str


class Ended(Fact, frozen=True):
    """A run or slot that has ended; or several `slots` in a row that ended alike, of which `slot` is the latest."""

    run: str | None
    trigger: str
    slot: datetime | None
    slots: int
    start_time: datetime | None
    end_time: datetime
    outcome: str
    reason: str
    attempts: int
    exit_code: int | None
    last_words: str | None
    explanation: str


class Next(Fact, frozen=True):
    """The next slot. `reason`: Scheduled, or else why there is none or it is late."""

    time: datetime | None
    times: tuple[datetime, ...]
    reason: str
    explanation: str


class Explanation(Fact, frozen=True):
    """All that `why` says. As JSON its keys are stable; those with nothing to say are null or empty."""

    namespace: str
    name: str
    state: str | None
    schedule: str | None
    resolved_schedule: str | None
    time_zone: str
    up_to_date: bool
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    active: tuple[Active, ...]
    history: tuple[Ended, ...]
    next: Next


def explain(
    task: TaskFacts, jobs: tuple[Job, ...], now: datetime, obstacles: Mapping[str, str] | None = None
) -> Explanation:
    """Explain a task.

    jobs: those with its label; only such as its status does not know yet add to the explanation. obstacles: by run,
    why its current attempt has not started.
    """
    meta, spec, status = task.metadata, task.spec, task.status
    return Explanation(
        namespace=meta.namespace,
        name=meta.name,
        state=status.state,
        schedule=spec.schedule,
        resolved_schedule=status.resolved_schedule,
        time_zone=spec.time_zone,
        up_to_date=status.observed_generation == meta.generation,
        problems=tuple(_problem(task, entry) for entry in status.conditions if entry.status != "True"),
        notes=tuple(_notes(task, jobs)),
        active=tuple(
            _active(run, spec.retry.max_attempts, now, (obstacles or {}).get(run.run)) for run in status.active
        ),
        history=tuple(_ended(entry) for entry in status.history),
        next=_next(task, now),
    )


def _problem(task: TaskFacts, entry: ConditionFacts) -> Problem:
    mend = _MENDS.get((entry.type, entry.reason))
    return Problem(
        condition=entry.type,
        status=entry.status,
        reason=entry.reason,
        message=entry.message,
        mend=mend.format(name=task.metadata.name, namespace=task.metadata.namespace) if mend else None,
        since=entry.last_transition_time,
    )


def _notes(task: TaskFacts, jobs: tuple[Job, ...]) -> list[str]:
    """What the status does not say because the operator has not written it yet."""
    meta, status = task.metadata, task.status
    notes = []
    if status.observed_generation is None:
        notes.append(f"The operator has not looked at this task yet: {OPERATOR}.")
    elif status.observed_generation != meta.generation:
        notes.append(f"The operator has not looked at the latest edit yet, what follows is older: {OPERATOR}.")
    known = {run.uid for run in status.active} | {entry.uid for entry in status.history} | {*status.counted_jobs}
    unseen = [job for job in jobs if job.creation_time >= meta.created and job.uid not in known]
    for job in sorted(unseen, key=lambda job: (job.creation_time, job.name)):
        what = f"{job.end.reason or 'ended'} at {write_moment(job.end.time)}" if job.end else "active"
        notes.append(f"Run {job.name} ({job.trigger}, {what}) is not in the status yet: {OPERATOR}.")
    return notes


def _active(run: ActiveFacts, max_attempts: int, now: datetime, obstacle: str | None) -> Active:
    attempt = f"attempt {run.attempt} of {max_attempts}"
    due = run.next_attempt_time
    since = distance(run.start_time or now, now)
    if due is None and run.waiting_for:
        explanation = f"{attempt} waits for {run.waiting_for}"
    elif due is None and obstacle:
        explanation = f"{attempt} of the run made {since} has not started: {obstacle}"
    elif due is None:
        explanation = f"{attempt} is under way; started {since}"
    elif due > now:
        explanation = f"{attempt} is due at {write_moment(due)}, {distance(due, now)}"
    else:
        explanation = f"{attempt} was due at {write_moment(due)} and is about to start"
    if run.last_failure or due:
        explanation += "; the attempt before failed" + _because(run.last_failure)
    if run.progress:
        explanation += f"; {run.progress}"
    return Active(
        run=run.run,
        trigger=run.trigger,
        slot=run.slot,
        start_time=run.start_time,
        attempt=run.attempt,
        max_attempts=max_attempts,
        next_attempt_time=due,
        progress=run.progress,
        waiting_for=run.waiting_for or obstacle or None,
        explanation=explanation,
    )


def _because(failure: FailureFacts | None) -> str:
    if failure is None:
        return ""
    words = last_line(failure.message)
    return f": {failure.reason}: {words}" if words else f": {failure.reason}"


def _ended(entry: EntryFacts) -> Ended:
    last_words = last_line(entry.message)
    code = "?" if entry.exit_code is None else str(entry.exit_code)
    meaning = _MEANINGS.get(entry.reason, "").format(code=code)
    # A slot that never became a run has no program: its message is the operator's own explanation.
    explanation = meaning or (entry.run is None and entry.message) or last_words or entry.reason
    if entry.slots > 1:
        explanation += f" ({entry.slots} slots in a row, this is the latest)"
    return Ended(
        run=entry.run,
        trigger=entry.trigger,
        slot=entry.slot,
        slots=entry.slots,
        start_time=entry.start_time,
        end_time=entry.end_time,
        outcome=entry.outcome,
        reason=entry.reason,
        attempts=entry.attempts,
        exit_code=entry.exit_code,
        last_words=last_words,
        explanation=explanation,
    )


def last_line(message: str | None) -> str | None:
    """The last line of a program's last words: of a traceback, the error itself."""
    return (message or "").rstrip().rpartition("\n")[2].strip() or None


def _next(task: TaskFacts, now: datetime) -> Next:
    spec, status = task.spec, task.status
    because = f": {spec.pause_reason}" if spec.pause_reason else ""
    resume = f"`kubectl scheduledtask resume {task.metadata.name} -n {task.metadata.namespace}`"
    ready = next((entry for entry in status.conditions if entry.type == READY), None)
    if task.metadata.deletion_timestamp is not None:
        return Next(None, (), "Deleting", "nothing: the task is being deleted")
    if ready and ready.status == "False":
        return Next(None, (), ready.reason, f"nothing new, until this is mended: {ready.message}")
    if spec.suspend:
        return Next(None, (), "Suspended", f"nothing: the task is suspended{because}; {resume} ends that")
    if spec.schedule is None:
        return Next(None, (), "OnDemand", "nothing by itself: without spec.schedule, runs start on demand only")
    if ready is None or ready.status != "True" or status.observed_generation != task.metadata.generation:
        return Next(None, (), "Unknown", f"not known until the operator has looked: {OPERATOR}")
    times, due = status.next_run_times, status.next_run_time
    if due is None:
        return Next(None, (), "NeverDue", f'nothing: the schedule "{status.resolved_schedule}" is never due again')
    pause_end = _pause_end(spec.pause_until)
    if pause_end and pause_end > now:
        paused = f"nothing until {write_moment(pause_end)}, because the task is paused{because}"
        return Next(due, times, "Paused", f"{paused}; then {_told(due, now)}. {resume} ends that")
    if due < now - OVERDUE:
        late = f"the slot at {write_moment(due)} is overdue, {distance(due, now)}: the CronJob controller is late, or "
        return Next(due, times, "Overdue", f"{late}the operator does not see it; {OPERATOR}")
    return Next(due, times, "Scheduled", _told(due, now))


def _told(due: datetime, now: datetime) -> str:
    return f"{write_moment(due)}, {distance(due, now)}"


def _pause_end(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
