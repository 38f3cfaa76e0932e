"""Commands that the operator carries out: annotations on the task, held against its rules before, its answer awaited.

The operator's own decision (`answer_commands`) is asked here first, of what the cluster holds now. So what it would
refuse is refused at once, in the same words, and nothing is sent. It can still say no later, knowing more; then it
posts an Event.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
import msgspec
from pydantic import ValidationError

from scheduledtask.api.spec import ConcurrencyPolicy
from scheduledtask.cli.cluster import Cluster
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.explanation import OPERATOR
from scheduledtask.cli.facts import EventFacts, TaskFacts
from scheduledtask.controller.reading import read_task
from scheduledtask.domain.answers import Answers, answer_commands
from scheduledtask.domain.commands import CANCEL
from scheduledtask.domain.conditions import READY, condition, find
from scheduledtask.domain.ledger import own_jobs
from scheduledtask.domain.values import Job, Snapshot, Task
from scheduledtask.kube.api import ApiError

SAY_SO, GIVE_UP = 3.0, 10.0
"""Seconds without an answer after which that is told, and after which nobody waits who was not asked to."""
EVERY = 0.3
"""Seconds between two looks."""
LOOKS = 100
"""How many looks in a row may fail before that is the answer."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class InTurn:
    """A run that another one has to end before: it starts by itself then."""

    waits: str


@dataclass(frozen=True, slots=True)
class Given:
    """A command on a task: its annotation, and the run that it starts or ends."""

    task: str
    annotation: str
    value: str
    run: str

    @property
    def starts(self) -> bool:
        """Whether it starts a run, rather than ends one."""
        return not self.annotation.startswith(CANCEL)


async def check_now(cluster: Cluster, command: Given) -> tuple[Job, ...]:
    """The Jobs of the task, where the operator would carry the command out as far as is known; else CommandError."""
    jobs = tuple(job.value() for job in await cluster.jobs(command.task))
    stored = await cluster.stored_task(command.task)
    try:
        task = read_task(stored.task, stored.value())
    except ValidationError:
        # Of a newer operator, which knows more than this command: it answers itself.
        return jobs
    check(command, task, jobs, datetime.now(UTC))
    return own_jobs(_snapshot(task, jobs))


def check(command: Given, task: Task, jobs: tuple[Job, ...], now: datetime) -> None:
    """Raise CommandError where the operator would refuse the command, or has no more to do for it."""
    if task.deleting:
        raise CommandError("the task is being deleted: it takes no commands any more")
    answers = expected_answers(command, task, jobs, now)
    if answers.events:
        raise CommandError(answers.events[0].note.removeprefix(f"{command.annotation}: "))
    if command.annotation in answers.answered:
        raise CommandError(
            f"that has been done already, with run {command.run}: see `kubectl scheduledtask why {command.task} "
            f"-n {task.key.namespace}`"
        )


def expected_answers(command: Given, task: Task, jobs: tuple[Job, ...], now: datetime) -> Answers:
    """What the operator would say now. Without the CronJob it starts nothing, so refusals are what is left."""
    ready = find(task.status.conditions, READY)
    if ready is None or task.status.observed_generation != task.generation:
        ready = condition((), READY, "Unknown", "NotSeen", "", now)
    # Other starts come first or after, as their names have it: each is decided by itself.
    others = () if command.starts else task.annotations
    others = tuple(known for known in others if known[0] != command.annotation)
    asked = replace(task, annotations=(*others, (command.annotation, command.value)))
    answers = answer_commands(_snapshot(asked, jobs), ready, now)
    told = tuple(event for event in answers.events if event.note.startswith(f"{command.annotation}: "))
    return replace(answers, events=told)


def _snapshot(task: Task, jobs: tuple[Job, ...]) -> Snapshot:
    return Snapshot(task, cron_job=None, jobs=jobs, pods=(), applied=None, refusal=None)


async def give(
    cluster: Cluster, command: Given, find_result: Callable[[TaskFacts], Awaitable[Result | None]], wait: bool
) -> Result | InTurn:
    """Put the command on its task, and return the result once `find_result` has it.

    Raises CommandError with the operator's words where it refuses. Who does not `wait` gets InTurn for a run that
    waits for another, and CommandError where the operator has not answered within GIVE_UP seconds: then the command
    stays on the task.
    """
    await cluster.annotate_task(command.task, command.annotation, command.value)
    stays = (
        "The command stays on the task and is carried out later. To withdraw it: "
        f"kubectl annotate scheduledtask {command.task} -n {cluster.namespace} {command.annotation}-"
    )
    began = asyncio.get_running_loop().time()
    told: set[str] = set()
    failed = 0
    while True:
        try:
            task = await cluster.task(command.task)
            if result := await find_result(task):
                return result
            if command.annotation not in task.metadata.annotations:
                raise CommandError(refusal(command, await cluster.refusals(task.metadata.uid)))
            turn, failed = waits_for_its_turn(command, task), 0
            waits = turn or f"waiting for the operator; {OPERATOR}"
        except (aiohttp.ClientError, TimeoutError, ApiError):
            # An API server that restarts says nothing about the command.
            turn, waits, failed = None, "waiting for the API server", failed + 1
            if failed > LOOKS:
                raise
        waited = asyncio.get_running_loop().time() - began
        if turn and waited > SAY_SO and not wait:
            return InTurn(turn)
        if waited > GIVE_UP and not wait:
            raise CommandError(f"run {command.run}: {waits}\n{stays}")
        if waited > SAY_SO and waits not in told:
            told.add(waits)
            print(f"run {command.run}: {waits}", file=sys.stderr)
        try:
            await asyncio.sleep(EVERY)
        except asyncio.CancelledError:
            print(stays, file=sys.stderr)
            raise


def waits_for_its_turn(command: Given, task: TaskFacts) -> str | None:
    """That a run has to wait for another one, by its task's policy; None where nothing stands in its way."""
    active = [run.run for run in task.status.active if run.run != command.run]
    policy = task.spec.concurrency.policy
    if not (command.starts and active and policy in (ConcurrencyPolicy.QUEUE, ConcurrencyPolicy.REPLACE)):
        return None
    return f"waiting for the end of run {active[0]} (concurrency.policy is {policy})"


def refusal(command: Given, events: Sequence[EventFacts]) -> str:
    """Why the operator took the command away without carrying it out: the latest Event that names it."""
    named = [event for event in events if event.message.startswith(f"{command.annotation}: ")]
    if not named:
        return (
            f"the command for run {command.run} was removed from the task, and nothing tells of it: see "
            f"`kubectl scheduledtask why {command.task}`"
        )
    latest = max(named, key=lambda event: event.told_at)
    return latest.message.removeprefix(f"{command.annotation}: ")


def write_parameters(pairs: Sequence[str]) -> str:
    """The value of a run command from `name=value` pairs. Raises CommandError."""
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise CommandError(f'-p "{pair}": write it as name=value, such as -p days=7')
        if name in given:
            raise CommandError(f"-p {name} is given twice: which value is meant?")
        given[name] = value
    return msgspec.json.encode({"parameters": given}).decode() if given else "{}"
