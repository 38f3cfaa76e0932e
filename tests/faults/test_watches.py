"""Watches that hold, lose or merge events, end with errors, or go dead: what the operator knows is right afterwards."""

import asyncio

import pytest

from tests.faults.faults import Disturb, EndWatch, Fault, Stale
from tests.faults.hands import Ends, RunsOn, by
from tests.faults.lab import Ground, Lab, lab

pytestmark = pytest.mark.asyncio(loop_scope="session")

WATCHED = ("scheduledtasks", "cronjobs", "jobs", "pods")
EVERY_WATCH = Fault(EndWatch(410), verbs=("watch",), times=len(WATCHED))
"""Each of the watches lists anew."""


def on(effect: Disturb, *resources: str) -> Fault:
    return Fault(effect, verbs=("watch",), resources=resources)


async def finished(here: Lab, run: str) -> None:
    """Await that a run's Job has ended, whatever the operator knows of it."""
    await here.mirror.until(
        lambda mirror: any(
            condition["type"] in ("Complete", "Failed") for condition in mirror.get("jobs", run)["status"]["conditions"]
        ),
        f"Job {run} has ended",
    )


def counts(here: Lab, name: str) -> tuple[int, int, int, int]:
    """Succeeded, failed, cancelled, retried."""
    status = here.mirror.get("scheduledtasks", name)["status"]
    counters = ("successCount", "failureCount", "cancelledCount", "retryCount")
    succeeded, failed, cancelled, retried = (status.get(counter, 0) for counter in counters)
    return succeeded, failed, cancelled, retried


@pytest.mark.parametrize(
    ("resource", "effect"),
    [
        ("jobs", Disturb.COALESCE),
        ("pods", Disturb.HOLD),
        ("scheduledtasks", Disturb.COALESCE),
        pytest.param("jobs", Disturb.HOLD, marks=pytest.mark.long),
        pytest.param("pods", Disturb.COALESCE, marks=pytest.mark.long),
        pytest.param("scheduledtasks", Disturb.HOLD, marks=pytest.mark.long),
    ],
)
async def test_events_that_come_late_or_merged_are_counted_once(ground: Ground, resource: str, effect: Disturb) -> None:
    async with lab(ground, by({("late-x", 1): Ends(1, "HTTP 404"), ("late-y", 1): Ends(0)})) as here:
        await here.create("late", retry={"maxAttempts": 1}, concurrency={"policy": "Allow"})
        here.proxy.faults = (on(effect, resource),)

        await here.command("late", "run", "x")
        await here.run_now("late", "late-y")
        await finished(here, "late-y")
        here.proxy.faults = ()

        await here.outcome("late", "late-x")
        await here.outcome("late", "late-y")
        await here.answered("late")
        assert counts(here, "late") == (1, 1, 0, 0)


@pytest.mark.long
async def test_the_end_of_a_run_that_a_watch_lost_is_found_by_the_next_list(ground: Ground) -> None:
    async with lab(ground, by({("lost-x", 1): Ends(0)})) as here:
        await here.create("lost")
        here.proxy.faults = (on(Disturb.DROP, "jobs"),)
        await here.command("lost", "run", "x")
        await finished(here, "lost-x")

        here.proxy.faults = (EVERY_WATCH,)

        assert (await here.outcome("lost", "lost-x"))["outcome"] == "Succeeded"


async def test_a_deletion_that_a_watch_lost_is_found_by_the_next_list(ground: Ground) -> None:
    async with lab(ground, by({("lost-x", 1): RunsOn()})) as here:
        await here.create("lost")
        await here.create("unwanted")
        await here.command("lost", "run", "x")
        await here.active("lost", "lost-x")
        first = here.mirror.get("cronjobs", "lost")["metadata"]["uid"]
        here.proxy.faults = (on(Disturb.DROP, *WATCHED),)
        # The Job goes with the CronJob.
        await here.delete("scheduledtasks", "unwanted")
        await here.delete("cronjobs", "lost")
        await here.mirror.until(
            lambda mirror: not any(mirror.objects[resource] for resource in ("cronjobs", "jobs", "pods")),
            "all is gone",
        )

        here.proxy.faults = (EVERY_WATCH,)

        assert (await here.outcome("lost", "lost-x"))["reason"] == "JobDeleted"
        await here.mirror.until(
            lambda mirror: mirror.get("cronjobs", "lost")["metadata"]["uid"] != first, "the CronJob is made again"
        )
        await here.ready("lost")
        assert "unwanted" not in here.mirror.objects["cronjobs"], "a task that is gone gets nothing"


@pytest.mark.parametrize("code", [410, pytest.param(500, marks=pytest.mark.long)])
async def test_a_watch_that_ends_with_an_error_is_taken_up_again(ground: Ground, code: int) -> None:
    async with lab(ground, by({("torn-x", 1): Ends(0)})) as here:
        await here.create("torn")
        here.proxy.faults = (Fault(EndWatch(code), verbs=("watch",), times=2 * len(WATCHED)),)
        await here.command("torn", "run", "x")

        assert (await here.outcome("torn", "torn-x"))["outcome"] == "Succeeded"
        await here.answered("torn")


async def test_lists_of_the_past_make_no_outcomes(ground: Ground) -> None:
    """An API server that lags behind, as another of several may: the Jobs that it lists are those of some time ago."""
    async with lab(ground, by({("behind-x", 1): RunsOn(), ("behind-y", 1): Ends(0)})) as here:
        await here.create("behind", concurrency={"policy": "Allow"})
        await here.command("behind", "run", "x")
        await here.active("behind", "behind-x")
        # The first list, of a time when there was nothing.
        here.proxy.faults = (Fault(Stale(), resources=("jobs", "pods", "cronjobs")), on(Disturb.HOLD, "jobs"))
        here.operator.kill()
        await here.command("behind", "run", "y")
        await finished(here, "behind-y")
        here.proxy.faults = ()

        await here.outcome("behind", "behind-y")
        await here.answered("behind")
        await here.active("behind", "behind-x")
        assert counts(here, "behind") == (1, 0, 0, 0)


@pytest.mark.long
async def test_a_watch_that_is_dead_at_the_other_end_is_given_up(ground: Ground) -> None:
    """As when a firewall forgets the connection. The API server's bookmarks come about once a minute."""
    async with lab(ground, by({("dead-x", 1): Ends(0)})) as here:
        await here.create("dead")
        here.proxy.faults = (on(Disturb.SILENCE),)
        # A change in each, so that every watch notices the fault.
        await here.command("dead", "run", "x")
        await asyncio.sleep(1)
        here.proxy.faults = ()

        await here.mirror.until(
            lambda mirror: counts(here, "dead") == (1, 0, 0, 0), "the run is counted all the same", 240
        )
