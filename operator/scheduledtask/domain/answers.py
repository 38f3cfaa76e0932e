"""What is done about the commands that a task carries.

A command stays on the task until its result stands in the status that is written: the run that it started is active
or in the history, or the history says why it did not start. Only then is the annotation removed. So a crash anywhere
loses no command; and since the command names its run, whose Job can be made only once, it doubles none either. A
command that can't be carried out is told in an Event and removed.

A pass starts, or writes off, one run at most: the next one is decided knowing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scheduledtask.api.spec import ConcurrencyPolicy, Parameter
from scheduledtask.api.status import Condition, HistoryEntry, Outcome, Trigger
from scheduledtask.domain.commands import (
    CancelCommand,
    CommandError,
    RetryCommand,
    RunCommand,
    command_parameters,
    read_command,
)
from scheduledtask.domain.events import PostEvent
from scheduledtask.domain.ledger import counted_uids, own_jobs
from scheduledtask.domain.outcome import CANCELLED, HISTORY_MESSAGE_LIMIT, REPLACED
from scheduledtask.domain.parameters import ParameterError, parameter_values
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.shape import run_job_body
from scheduledtask.domain.values import Job, Snapshot

ENDING_PATIENCE = timedelta(seconds=60)
"""How long a pod that was told to end may take; then the Job controller deletes it."""

Start = RunCommand | RetryCommand


@dataclass(frozen=True, slots=True)
class CreateRun:
    """Create the Job that a command asks for."""

    annotation: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndRun:
    """End an active run: `reason` is Cancelled or Replaced."""

    job: Job
    reason: str
    message: str

    def patch(self, running: bool, failed_pods: int, now: datetime) -> JobPatch:
        """The change that ends the Job. `running`: it has a pod that runs and was told to end; `failed_pods`: how
        many have failed before, for the Job controller counts one only when its replacement has been made.

        A running pod is given time, and its failure ends the Job, which leaves the pod and its logs. Without one the
        Job controller ends the Job by its deadline, and deletes a pod that has not begun. A run that never started is
        not resumed for that: it might.
        """
        given_up = (self.reason, self.message)
        if self.job.begin_time is None:
            return JobPatch(self.job, suspend=True, given_up=given_up, withdrawn_at=now)
        if not running:
            return JobPatch(self.job, suspend=False, time_left=timedelta(0), given_up=given_up)
        time_left = now - self.job.begin_time + ENDING_PATIENCE
        failures = max(self.job.failed, failed_pods)
        return JobPatch(self.job, suspend=False, time_left=time_left, given_up=given_up, failures_left=failures)


@dataclass(frozen=True, slots=True)
class Answers:
    """What commands come to."""

    create: CreateRun | None = None
    endings: tuple[EndRun, ...] = ()
    unstarted: tuple[HistoryEntry, ...] = ()
    events: tuple[PostEvent, ...] = ()
    answered: tuple[str, ...] = ()
    """Annotations whose result is in the written status or in `events`."""

    def __add__(self, other: "Answers") -> "Answers":
        return Answers(
            create=self.create or other.create,
            endings=self.endings + other.endings,
            unstarted=self.unstarted + other.unstarted,
            events=self.events + other.events,
            answered=self.answered + other.answered,
        )


@dataclass(frozen=True, slots=True)
class _Runs:
    """The runs that are known, by name."""

    jobs: dict[str, Job]
    history: dict[str, HistoryEntry]
    active: frozenset[str]
    """Those that the written status lists as active."""
    counted: frozenset[str]
    """Those whose end the written status has."""

    def going_on(self) -> tuple[Job, ...]:
        """The Jobs that have not ended."""
        return tuple(job for job in self.jobs.values() if not job.end)


def answer_commands(snapshot: Snapshot, ready: Condition, now: datetime) -> Answers:
    """Decide about the commands of a task. `ready` is the condition as this pass finds it."""
    task, answers = snapshot.task, Answers()
    if not task.annotations or task.deleting:
        return answers
    runs, starts, cancels = _known_runs(snapshot), list[Start](), dict[str, CancelCommand]()
    for annotation, value in task.annotations:
        try:
            command = read_command(task.key.name, annotation, value)
        except CommandError as error:
            answers += _refused(annotation, error)
            continue
        if isinstance(command, CancelCommand):
            cancels[command.run] = command
        elif command.run in runs.active | runs.counted:
            answers += Answers(answered=(annotation,))
        elif command.run not in runs.jobs:
            starts.append(command)
    to_come = {command.run for command in starts}
    for cancel in cancels.values():
        try:
            answers += Answers() if cancel.run in to_come else _cancel(cancel, snapshot, runs)
        except CommandError as error:
            answers += _refused(cancel.annotation, error)
    for command in sorted(starts, key=lambda command: command.run not in cancels):
        try:
            return answers + _start(command, cancels.get(command.run), snapshot, runs, ready, now)
        except (CommandError, ParameterError) as error:
            answers += _refused(command.annotation, error)
    return answers


def _known_runs(snapshot: Snapshot) -> _Runs:
    status = snapshot.task.status
    uids = counted_uids(status)
    jobs = {job.name: job for job in own_jobs(snapshot)}
    history = {entry.run: entry for entry in reversed(status.history) if entry.run}
    active = frozenset(run.run for run in status.active)
    counted = frozenset(history) | {job.name for job in jobs.values() if job.uid in uids}
    return _Runs(jobs, history, active, counted)


def _refused(annotation: str, error: ValueError) -> Answers:
    event = PostEvent("CommandRefused", f"{annotation}: {error}", f"{annotation} {error}")
    return Answers(events=(event,), answered=(annotation,))


def _cancel(command: CancelCommand, snapshot: Snapshot, runs: _Runs) -> Answers:
    """End the run; once its end is in the history the command is answered. Raises CommandError."""
    job, entry = runs.jobs.get(command.run), runs.history.get(command.run)
    if job and not job.end:
        return Answers() if job.given_up else Answers(endings=(EndRun(job, CANCELLED, command.reason),))
    if job and command.run not in runs.counted:
        return Answers()
    cancelled = entry.outcome is Outcome.CANCELLED if entry else job and job.given_up and job.given_up[0] == CANCELLED
    if cancelled:
        return Answers(answered=(command.annotation,))
    if entry:
        raise CommandError(f"run {command.run} has ended already: {entry.outcome.value}")
    if job:
        raise CommandError(f"run {command.run} has ended already")
    active = ", ".join(sorted(job.name for job in runs.going_on())) or "none"
    raise CommandError(f"there is no run {command.run}; active runs: {active}")


def _start(
    command: Start, cancel: CancelCommand | None, snapshot: Snapshot, runs: _Runs, ready: Condition, now: datetime
) -> Answers:
    """Start a run that has no Job, as the concurrency policy allows. Raises CommandError and ParameterError."""
    if cancel:
        return _unstarted(command, Outcome.CANCELLED, CANCELLED, cancel.reason, snapshot, now)
    task, cron_job = snapshot.task, snapshot.cron_job
    if command.annotation in snapshot.refused_commands:
        raise CommandError(snapshot.refused_commands[command.annotation])
    spec = task.spec
    if spec is None or ready.status == "False":
        raise CommandError(f"the task is not Ready: {ready.message}")
    if isinstance(command, RetryCommand):
        _check_retry(command, runs)
        given, notes = _given_before(command, spec.parameters, runs.jobs.get(command.failed_run))
    else:
        given, notes = command.parameters, ()
    values = parameter_values(spec.parameters, given)
    if cron_job is None or ready.status != "True":
        return Answers()
    active = runs.going_on()
    match spec.concurrency.policy:
        case ConcurrencyPolicy.FORBID if active:
            why = f"Run {active[0].name} was active, and concurrency.policy is Forbid."
            return _unstarted(command, Outcome.SKIPPED, "Overlap", why, snapshot, now)
        case ConcurrencyPolicy.REPLACE if active:
            why = f"Replaced by run {command.run}."
            return Answers(endings=tuple(EndRun(job, REPLACED, why) for job in active if not job.given_up))
    body = run_job_body(task, spec, cron_job, command.run, _trigger(command), values)
    return Answers(create=CreateRun(command.annotation, body), events=notes)


def _check_retry(command: RetryCommand, runs: _Runs) -> None:
    job, entry = runs.jobs.get(command.failed_run), runs.history.get(command.failed_run)
    if job and not job.end:
        raise CommandError(f"run {command.failed_run} is active: cancel it first, or await its end")
    if job and job.end and not entry:
        outcome = Outcome.SUCCEEDED if job.end.succeeded else Outcome.FAILED
    elif entry:
        outcome = entry.outcome
    else:
        raise CommandError(f"run {command.failed_run} is not in status.history, and its Job is gone")
    if outcome not in (Outcome.FAILED, Outcome.CANCELLED):
        raise CommandError(f"run {command.failed_run} is {outcome.value}: only failed and cancelled runs are retried")


def _given_before(
    command: RetryCommand, declared: tuple[Parameter, ...], job: Job | None
) -> tuple[Mapping[str, Any], tuple[PostEvent, ...]]:
    """The parameters of the run that is repeated, which only its Job knows; without it the defaults, which is told.
    A run of a slot had the defaults."""
    if job and job.parameters is not None:
        return command_parameters(f'{{"parameters": {job.parameters}}}'), ()
    defaults = {parameter.name: parameter.default for parameter in declared if parameter.default is not None}
    if job or not declared:
        return defaults, ()
    note = f"The Job of run {command.failed_run} is gone: run {command.run} has the defaults as parameters"
    return defaults, (PostEvent("RetriedWithDefaults", note, command.run),)


def _trigger(command: Start) -> Trigger:
    return Trigger.RETRY if isinstance(command, RetryCommand) else Trigger.MANUAL


def _unstarted(
    command: Start, outcome: Outcome, reason: str, message: str, snapshot: Snapshot, now: datetime
) -> Answers:
    """A run that will not start. It is the newest of the history, whatever the clocks of others show: it must stay
    there at least until the command is removed."""
    ends = [job.end.time for job in own_jobs(snapshot) if job.end]
    entry = HistoryEntry(
        run=command.run,
        trigger=_trigger(command),
        end_time=max([now, *ends, *(entry.end_time for entry in snapshot.task.status.history)]),
        outcome=outcome,
        reason=reason,
        message=message[:HISTORY_MESSAGE_LIMIT],
    )
    return Answers(unstarted=(entry,))
