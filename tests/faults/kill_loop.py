"""Minutes of work under SIGKILL: tasks that are due every minute, manual runs, attempts that end as chance wants it.

Afterwards the account of each task is compared with its Jobs, as a watch of the test's own has seen them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.faults.hands import Ends, Fate
from tests.faults.lab import Lab
from tests.faults.mirror import TASK_LABEL, Body
from tests.receiver import Received

GIVEN_UP = "scheduledtask.dev/given-up-reason"
POLICIES = {"one": "Forbid", "many": "Allow", "latest": "Replace", "plain": "Forbid"}
"""The tasks by name, and what each does when a run is due while another is active."""


@dataclass(frozen=True)
class Chance:
    """Draws that depend on the seed and on what is drawn for, not on the order of drawing."""

    seed: int

    def fate(self, run: str, attempt: int) -> Fate:
        """How an attempt ends: mostly well, soon or while the next run is due."""
        draw = random.Random(f"{self.seed} {run} {attempt}")
        after = draw.choice((0, 0, 2, 5, 70))
        return draw.choice(
            (
                Ends(0, '{"result": {"rows": 3}}', after),
                Ends(0, "", after),
                Ends(1, "connection refused", after),
                Ends(1, "HTTP 404: no such page", after),
                Ends(77, "no key", after),
            )
        )


async def work(here: Lab, minutes: float, seed: int) -> int:
    """Kill the operator every 1 to 8 seconds for so long, and let all come to its end. Returns the number of kills."""
    draw = random.Random(seed)
    webhook = {"url": here.webhook, "events": ["Failure", "Recovery", "Completion"]}
    for name, policy in POLICIES.items():
        await here.make(
            name,
            schedule="* * * * *",
            concurrency={"policy": policy},
            retry={"maxAttempts": 3, "backoff": ["12s"], "beyondNextSlot": True},
            history={"runs": 100, "succeededJobs": 2, "failedJobs": 2},
            alerts={"consecutiveFailures": 2, "webhook": webhook},
        )
    kills = 0
    end = asyncio.get_running_loop().time() + minutes * 60
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(draw.uniform(1, 8))
        here.operator.kill()
        kills += 1
        if draw.random() < 0.5:
            await here.command(draw.choice(tuple(POLICIES)), "run", f"by-hand-{kills}")
    for name in POLICIES:
        await here.edit(name, suspend=True)
    for name in POLICIES:
        await here.mirror.until(
            lambda mirror, name=name: _is_over(mirror.get("scheduledtasks", name)),  # type: ignore[misc]
            f"task {name} is suspended, has no active run, no command and no message that waits",
            300,
        )
    return kills


def _is_over(task: Body) -> bool:
    status = task["status"]
    return (
        status["observedGeneration"] == task["metadata"]["generation"]
        and not status["active"]
        and not status.get("webhookMessages")
        and not any(".scheduledtask.dev/" in key for key in task["metadata"].get("annotations", {}))
    )


def outcome(job: Body) -> str:
    """How a run ended, by its Job alone. One that was deleted before its end counts as cancelled."""
    given_up = job["metadata"].get("annotations", {}).get(GIVEN_UP)
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["status"] == "True" and condition["type"] == "Complete":
            return "Succeeded"
        if condition["status"] == "True" and condition["type"] == "Failed":
            return "Cancelled" if given_up in ("Cancelled", "Replaced") else "Failed"
    return "Cancelled"


def account_errors(task: Body, jobs: list[Body]) -> Iterator[str]:
    """Where the account of a task is not what its Jobs say: its counters, its history, its slots."""
    name, status = task["metadata"]["name"], task["status"]
    ends = [outcome(job) for job in jobs]
    for counter, wanted in (("successCount", "Succeeded"), ("failureCount", "Failed"), ("cancelledCount", "Cancelled")):
        if status[counter] != ends.count(wanted):
            yield f"{name}: {counter} is {status[counter]}, but {ends.count(wanted)} Jobs are {wanted}"
    names = [job["metadata"]["name"] for job in jobs]
    for twice in {run for run in names if names.count(run) > 1}:
        made = sorted(job["metadata"]["creationTimestamp"] for job in jobs if job["metadata"]["name"] == twice)
        yield f"{name}: run {twice} had {len(made)} Jobs, made at {', '.join(made)}"
    history = [entry for entry in status["history"] if "uid" in entry]
    told = {entry["uid"]: entry["outcome"] for entry in history}
    if len(told) != len(history):
        yield f"{name}: a run stands in the history twice"
    for job in jobs:
        uid, run = job["metadata"]["uid"], job["metadata"]["name"]
        if len(status["history"]) < 100 and told.get(uid) != outcome(job):
            yield f"{name}: run {run} is {outcome(job)}, the history says {told.get(uid)}"
    yield from _slot_errors(task, names)


def _slot_errors(task: Body, names: list[str]) -> Iterator[str]:
    """Every minute up to where the account goes has a Job or an entry."""
    name, status = task["metadata"]["name"], task["status"]
    created, until = (_minute(text) for text in (task["metadata"]["creationTimestamp"], status["slots"]["until"]))
    due = {f"{name}-{minute}" for minute in range(created + 1, until + 1)}
    without = len(due - set(names))
    told = sum(entry.get("slots", 1) for entry in status["history"] if "run" not in entry)
    if without != told:
        yield f"{name}: {without} of {len(due)} slots had no Job, and the history tells of {told}"


def _minute(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 60


def message_errors(received: list[Received], jobs: list[Body]) -> Iterator[str]:
    """Whatever of the promise about webhooks does not hold: each end of a run told, under one id, with one body."""
    bodies: dict[str, set[bytes]] = {}
    ids: dict[tuple[str, str], set[str]] = {}
    for request in received:
        bodies.setdefault(request.id, set()).add(request.body)
        run: dict[str, Any] = request.message["data"].get("run", {})
        if request.message["type"] == "scheduledtask.completion":
            ids.setdefault((request.message["data"]["task"], run["run"]), set()).add(request.id)
    yield from (f"message {known} came with {len(found)} bodies" for known, found in bodies.items() if len(found) > 1)
    yield from (f"the end of {run} was told under {len(found)} ids" for run, found in ids.items() if len(found) > 1)
    for job in jobs:
        key = (job["metadata"]["labels"][TASK_LABEL], job["metadata"]["name"])
        if key not in ids:
            yield f"the end of {key} was never told"


def jobs_of(here: Lab, name: str) -> list[Body]:
    """All Jobs that a task ever had."""
    return [job for job in here.mirror.jobs_ever.values() if job["metadata"]["labels"].get(TASK_LABEL) == name]
