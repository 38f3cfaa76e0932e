"""What happens in a lab: tasks with all that can become of them, side by side.

Each strand is the story of one task, and awaits what it goes on from. So the end is the same however often the operator
is killed on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.faults.hands import Ends, RunsOn, Stuck, by
from tests.faults.lab import Lab

Strand = Callable[[Lab], Coroutine[Any, Any, None]]
"""The story of the task that is named as the function is, with hyphens."""

BUSY = Ends(1, "connection refused")
DONE = Ends(0)

fates = by(
    {
        ("by-hand-run", 1): BUSY,
        ("by-hand-run", 2): DONE,
        ("lost-x", 1): Ends(1, "HTTP 404: no such page"),
        ("lost-x-r1", 1): DONE,
        ("report-backfill", 1): DONE,
        ("stopped-x", 1): RunsOn(),
        ("gone-x", 1): RunsOn(),
        ("shared-x", 1): BUSY,
        ("shared-x", 2): DONE,
        ("shared-urgent-x", 1): Ends(0, after=1),
        ("stuck-x", 1): Stuck("no such host"),
        ("stuck-x", 2): DONE,
    }
)
"""How the attempts of the runs end."""


async def edited(lab: Lab) -> None:
    await lab.create("edited")
    await lab.edit("edited", schedule="0 3 1 1 *")
    await lab.ready("edited")


async def asleep(lab: Lab) -> None:
    await lab.create("asleep", suspend=True)
    await lab.edit("asleep", suspend=False)
    await lab.ready("asleep")


async def wrong(lab: Lab) -> None:
    await lab.make("wrong", timeZone="Mars/Phobos")
    await lab.ready("wrong", "False")
    await lab.edit("wrong", timeZone="Europe/Berlin")
    await lab.ready("wrong")


async def refused(lab: Lab) -> None:
    """The API server itself says no to what the task becomes."""
    container = {"name": "main", "image": "none.invalid/none", "ports": [{"containerPort": 99999}]}
    await lab.make("refused", template={"spec": {"containers": [container]}})
    await lab.ready("refused", "False")


async def removed(lab: Lab) -> None:
    await lab.create("removed")
    first = lab.mirror.get("cronjobs", "removed")["metadata"]["uid"]
    await lab.delete("cronjobs", "removed")
    await lab.mirror.until(
        lambda mirror: mirror.get("cronjobs", "removed")["metadata"]["uid"] != first, "the CronJob is made again"
    )
    await lab.ready("removed")


async def by_hand(lab: Lab) -> None:
    """A run by `kubectl create job --from`, the second attempt of which waits longer than the Job controller would."""
    retry = {"maxAttempts": 3, "backoff": ["12s"]}
    await lab.create("by-hand", retry=retry, alerts={"webhook": {"url": lab.webhook, "events": ["Completion"]}})
    await lab.run_now("by-hand", "by-hand-run")
    await lab.outcome("by-hand", "by-hand-run")
    await lab.delivered("by-hand", 1)


async def lost(lab: Lab) -> None:
    """A run that ends at a non-retryable word, and is started again by command."""
    webhook = {"url": lab.webhook, "events": ["Failure", "Recovery"]}
    await lab.create("lost", retry={"maxAttempts": 5}, alerts={"consecutiveFailures": 1, "webhook": webhook})
    await lab.command("lost", "run", "x")
    await lab.outcome("lost", "lost-x")
    await lab.answered("lost")
    await lab.command("lost", "retry", "lost-x")
    await lab.outcome("lost", "lost-x-r1")
    await lab.answered("lost")
    await lab.delivered("lost", 2)


async def report(lab: Lab) -> None:
    """Runs with parameters, good and bad ones; the Job is pruned, and the same command once more starts nothing."""
    days: dict[str, Any] = {"name": "days", "type": "integer", "default": "1", "minimum": 0}
    await lab.create("report", parameters=[days], history={"succeededJobs": 0})
    await lab.command("report", "run", "backfill", {"parameters": {"days": 7}})
    await lab.outcome("report", "report-backfill")
    await lab.answered("report")
    await lab.mirror.until(lambda mirror: "report-backfill" not in mirror.objects["jobs"], "the Job is pruned")
    await lab.command("report", "run", "backfill", {"parameters": {"days": 7}})
    await lab.command("report", "run", "bad", {"parameters": {"days": -1}})
    await lab.answered("report")


async def stopped(lab: Lab) -> None:
    """A run that goes on: a second one is skipped, and it is cancelled."""
    await lab.create("stopped", retry={"maxAttempts": 3})
    await lab.command("stopped", "run", "x")
    await lab.active("stopped", "stopped-x")
    await lab.running("stopped-x")
    await lab.command("stopped", "run", "y")
    await lab.outcome("stopped", "stopped-y")
    await lab.command("stopped", "cancel", "stopped-x", "enough")
    await lab.outcome("stopped", "stopped-x")
    await lab.answered("stopped")


async def gone(lab: Lab) -> None:
    """A task that is deleted while it runs."""
    await lab.create("gone")
    await lab.command("gone", "run", "x")
    await lab.active("gone", "gone-x")
    await lab.delete("scheduledtasks", "gone")
    await lab.mirror.until(
        lambda mirror: not any(name.startswith("gone") for kind in mirror.objects.values() for name in kind),
        "nothing of the task is left",
    )


async def shared(lab: Lab) -> None:
    """Two tasks of a group, a run of each at once: one waits for its turn, and the other may go between attempts."""
    group = {"policy": "Queue", "group": "miner"}
    await lab.create("shared", concurrency=group, retry={"maxAttempts": 2, "backoff": ["1s"]})
    await lab.create("shared-urgent", concurrency=group | {"priority": 10})
    await asyncio.gather(*(lab.command(name, "run", "x") for name in ("shared", "shared-urgent")))
    for name in ("shared", "shared-urgent"):
        await lab.outcome(name, f"{name}-x")
        await lab.answered(name)


async def stuck(lab: Lab) -> None:
    """A run whose first attempt does not start."""
    await lab.create("stuck", timeouts={"pending": "6s"}, retry={"maxAttempts": 2, "backoff": ["1s"]})
    await lab.command("stuck", "run", "x")
    await lab.outcome("stuck", "stuck-x")
    await lab.answered("stuck")


STRANDS: tuple[Strand, ...] = (
    edited,
    asleep,
    wrong,
    refused,
    removed,
    by_hand,
    lost,
    report,
    stopped,
    gone,
    shared,
    stuck,
)


def task_of(strand: Strand) -> str:
    """The name of the task that a strand is about; its runs have names that begin so."""
    return strand.__name__.replace("_", "-")


async def play(lab: Lab, strands: tuple[Strand, ...] = STRANDS) -> None:
    """Have it all happen. Raises AssertionError for the first strand that does not come to its end."""
    async with asyncio.TaskGroup() as group:
        for strand in strands:
            group.create_task(strand(lab))
