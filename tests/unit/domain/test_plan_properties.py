"""What holds of every plan, whatever the task and its children are."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduledtask.domain.values import Job, JobEnd, OpenPod
from tests.unit.builders import NOON, a_job, a_pod, a_task, exited
from tests.unit.world import World, is_quiet, stored

MOMENTS = st.integers(-2 * 86400, 2 * 86400).map(lambda seconds: NOON + timedelta(seconds=seconds))
SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "schedule": st.sampled_from(
            [None, "* * * * *", "H * * * *", "0 9-17 * * 1-5", "@every 61s", "@every 25h", "0 0 30 2 *", "61 * * * *"]
        ),
        "timeZone": st.sampled_from(["Etc/UTC", "America/New_York", "Asia/Kolkata", "Nowhere/At_all"]),
        "suspend": st.booleans(),
        "pauseUntil": MOMENTS.map(lambda moment: moment.isoformat()),
        "catchUp": st.sampled_from(["Latest", "None"]),
        "startingDeadline": st.sampled_from(["10s", "30h"]),
        "timeouts": st.fixed_dictionaries(
            {}, optional={"pending": st.sampled_from(["1s", "5h"]), "run": st.just("9h")}
        ),
        "history": st.fixed_dictionaries({"runs": st.integers(1, 5), "succeededJobs": st.integers(0, 3)}),
        "alerts": st.fixed_dictionaries(
            {"consecutiveFailures": st.integers(1, 3)},
            optional={
                "noSuccessFor": st.sampled_from(["1s", "30m", "26h", "400h"]),
                "webhook": st.just({"url": "https://hooks.example/x", "events": ["Failure", "Recovery", "Completion"]}),
            },
        ),
    },
)


AGES = st.integers(0, 3 * 86400).map(lambda seconds: timedelta(seconds=seconds))


@st.composite
def jobs(draw: st.DrawFn, now: datetime) -> tuple[Job, ...]:
    """Some Jobs of any age and state, in any order."""
    made = []
    for number in range(draw(st.integers(0, 6))):
        created = now - draw(AGES)
        job = a_job(
            f"run-{number}",
            creation_time=created,
            scheduled_time=draw(st.sampled_from([None, created.replace(second=0)])),
            failed=draw(st.integers(0, 3)),
            deleting=draw(st.booleans()),
            active=draw(st.integers(0, 1)),
            ready=draw(st.integers(0, 1)),
            start_time=created + timedelta(seconds=1),
        )
        if draw(st.booleans()):
            well, time = draw(st.booleans()), now - draw(AGES)
            job = replace(job, succeeded=int(well), end=JobEnd(well, draw(st.sampled_from(["", "R"])), "", time))
        made.append(job)
    return tuple(made)


@st.composite
def absences(draw: st.DrawFn) -> tuple[World, datetime]:
    """A task with Jobs and some of their pods, as found after an absence, and when; its CronJob is yet to be made."""
    now = draw(MOMENTS)
    found = draw(jobs(now))
    pods = tuple(a_pod(job, exited(draw(st.integers(0, 2)), draw(st.text(max_size=5)))) for job in found)
    open_pods = {
        job.uid: OpenPod(f"{job.name}-0", now - draw(AGES), draw(st.booleans()), draw(st.booleans()))
        for job in found
        if draw(st.booleans())
    }
    return World(a_task(**draw(SPECS)), jobs=found, pods=pods, open_pods=open_pods), now


@given(absences())
@settings(deadline=None, max_examples=60)
def test_a_task_comes_to_rest_and_stays_so_until_it_is_due(found: tuple[World, datetime]) -> None:
    world, now = found
    planned = world.settle(now)
    assert planned.requeue_at is None or planned.requeue_at > now
    until = planned.requeue_at or now + timedelta(days=400)
    for share in (0.0, 0.01, 0.3, 0.7, 0.999):
        moment = now + (until - now - timedelta(microseconds=1)) * share
        again = world.plan(moment)
        assert is_quiet(again), "nothing changes before the plan is due"
        assert again.requeue_at == planned.requeue_at


@given(absences())
@settings(deadline=None, max_examples=60)
def test_a_plan_is_the_same_each_time_and_within_the_second(found: tuple[World, datetime]) -> None:
    world, now = found
    assert world.plan(now) == world.plan(now) == world.plan(now + timedelta(microseconds=999_999))


@given(absences(), st.lists(SPECS, max_size=3))
@settings(deadline=None, max_examples=60)
def test_after_any_edits_all_but_the_past_is_as_if_made_so(
    found: tuple[World, datetime], edits: list[dict[str, Any]]
) -> None:
    """A suspension and its end may differ in what they passed over, so only what stands now is compared."""
    world, now = found
    fresh = World(a_task(**(edits[-1] if edits else {})), jobs=world.jobs, pods=world.pods)
    for fields in (*edits, edits[-1] if edits else {}):
        world.edit(a_task(**fields))
        world.settle(now)
    fresh.settle(now)
    if world.cron_job is None or fresh.cron_job is None or world.ready()[0] != "True":
        assert world.ready()[:2] == fresh.ready()[:2]
        return
    assert (world.cron_job.schedule, world.cron_job.time_zone, world.cron_job.suspended) == (
        fresh.cron_job.schedule,
        fresh.cron_job.time_zone,
        fresh.cron_job.suspended,
    )
    assert world.applied is not None
    assert fresh.applied is not None
    assert world.applied.digest == fresh.applied.digest
    assert (world.ready(), world.status().state) == (fresh.ready(), fresh.status().state)
    assert world.status().success_count == fresh.status().success_count


@given(absences())
@settings(deadline=None, max_examples=60)
def test_the_status_comes_back_as_it_was_written(found: tuple[World, datetime]) -> None:
    world, now = found
    world.settle(now)
    assert stored(world.status()) == world.status()
