"""Whose turn it is: one run at a time, by priority and age, and everybody's turn comes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduledtask.api.status import Outcome, ScheduledTaskStatus, State
from scheduledtask.domain.gate import WORTH_OF_PRIORITY, Waiting, admit, scope_of
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.turns import next_turn
from scheduledtask.domain.values import Job, Key, Snapshot
from tests.unit.builders import KEY, NOON, a_cron_job, a_job, a_pod, a_spec, a_task, at, exited, failed, succeeded
from tests.unit.world import World

SECOND = timedelta(seconds=1)
YEARLY = "0 0 1 1 *"
"""No slot is due."""


def waiting_job(name: str = "waits", **changes: Any) -> Job:
    """A run that was made at noon and waits for its first turn."""
    return a_job(name, gated=True, suspended=True, **changes)


def waiting(job: Job, priority: int = 0, since: datetime = NOON, task: str = "report") -> Waiting:
    return Waiting(Key("ns", task), priority, since, JobPatch(job, suspend=False))


def of_task(*jobs: Job, name: str = "report", **concurrency: Any) -> Snapshot:
    task = replace(a_task(), spec=a_spec(schedule=None, concurrency=concurrency), key=Key(KEY.namespace, name))
    return Snapshot(task=task, cron_job=a_cron_job(), jobs=jobs, pods=(), applied=None, refusal=None)


def turn(*snapshots: Snapshot, now: datetime = NOON + SECOND) -> str | None:
    """The name of the run whose turn it is."""
    found = next_turn(snapshots, now)
    return found.patch.job.name if found else None


@pytest.mark.parametrize(
    ("jobs", "admitted"),
    [
        ((), True),
        ((waiting_job("another"),), True),
        ((succeeded(a_job("done"), at("12:01")),), True),
        ((a_job("works"),), False),
        ((a_job("works", deleting=True),), False),
        ((a_job("stops", suspended=True, active=1),), False),
        ((a_job("stops", suspended=True, terminating=1),), False),
        ((a_job("is given up", given_up=("Cancelled", "")),), False),
        ((failed(a_job("failed", given_up=("Cancelled", "")), at("12:01")),), True),
    ],
    ids=lambda value: ", ".join(job.name for job in value) if isinstance(value, tuple) else str(value),
)
def test_nobody_is_admitted_while_another_has_or_may_get_pods(jobs: tuple[Job, ...], admitted: bool) -> None:
    assert (admit(jobs, [waiting(waiting_job())]) is not None) is admitted


@pytest.mark.parametrize(
    ("runs", "first"),
    [
        ([("a", 0, "12:01"), ("b", 0, "12:00")], "b"),
        ([("a", 0, "12:00"), ("b", 60, "12:59")], "b"),
        ([("a", 0, "12:00"), ("b", 60, "13:01")], "a"),
        ([("a", 0, "12:00"), ("b", -10, "11:51")], "a"),
        ([("a", 0, "12:00"), ("b", -10, "11:49")], "b"),
        ([("b", 0, "12:00"), ("a", 0, "12:00")], "a"),
    ],
    ids=["the older", "an hour is worth 60", "not more", "less priority", "made up by age", "else by name"],
)
def test_priority_and_age_tell_who_goes_first(runs: list[tuple[str, int, str]], first: str) -> None:
    found = admit((), [waiting(waiting_job(name), priority, at(since)) for name, priority, since in runs])
    assert found is not None
    assert found.patch.job.name == first


@pytest.mark.parametrize(
    ("concurrency", "jobs", "scope"),
    [
        ({}, (), None),
        ({"policy": "Allow"}, (waiting_job(),), None),
        ({"group": "miner"}, (), "group/miner"),
        ({"policy": "Queue", "group": "miner"}, (), "group/miner"),
        ({"policy": "Queue"}, (), "report"),
        ({}, (waiting_job(),), "report"),
        ({}, (a_job(suspended=True),), None),
        ({"policy": "Replace"}, (waiting_job(creation_time=at("12:00") - timedelta(days=9)),), None),
    ],
    ids=[
        "none",
        "Allow lets all go that waited before",
        "a group",
        "a queue in a group",
        "a queue",
        "what still waits of a queue or group that was left",
        "waiting for the next attempt only",
        "of an earlier task of this name",
    ],
)
def test_where_the_runs_of_a_task_wait(concurrency: dict[str, Any], jobs: tuple[Job, ...], scope: str | None) -> None:
    found = scope_of(of_task(*jobs, **concurrency))
    assert (found.name if found else None) == scope


def test_a_retry_waits_since_it_was_due() -> None:
    job = a_job("again", suspended=True, gated=True, admitted_time=NOON)
    pod = a_pod(job, exited(1, "busy"), end_time=at("12:01"))
    retried = replace(of_task(job, group="miner"), pods=(pod,))
    assert turn(retried, now=at("12:01:59")) is None
    assert turn(retried, now=at("12:02")) == "again"
    assert turn(retried, of_task(waiting_job(creation_time=at("12:01:59")), group="miner"), now=at("12:03")) == "waits"
    assert turn(retried, of_task(waiting_job(creation_time=at("12:02:01")), group="miner"), now=at("12:03")) == "again"


def test_the_runs_of_all_tasks_of_a_group_count() -> None:
    low = of_task(waiting_job("low"), group="miner")
    high = of_task(waiting_job("high"), name="b", group="miner", priority=9)
    assert turn(low, high) == "high"
    assert turn(low, replace(high, jobs=(a_job("works"),))) is None


def test_a_task_that_is_going_starts_nothing_and_yet_is_at_work() -> None:
    going = of_task(waiting_job("going"), group="miner")
    going = replace(going, task=replace(going.task, deleting=True))
    other = of_task(waiting_job("other"), name="b", group="miner")
    assert turn(going, other) == "other"
    assert turn(replace(going, jobs=(a_job("works"),)), other) is None


class TestThePlan:
    """What a task does with its own runs while they wait."""

    def test_it_leaves_it_to_the_gatekeeper_to_let_them_go_on(self) -> None:
        world = World(a_task(schedule=YEARLY, concurrency={"group": "miner"}), jobs=(waiting_job(),))
        world.settle(NOON - SECOND)
        world.jobs = (waiting_job(),)
        assert world.plan(NOON).job_patches == ()

    def test_one_whose_task_does_not_wait_any_more_goes_on_and_its_start_is_noted(self) -> None:
        world = World(a_task(schedule=YEARLY, concurrency={"policy": "Allow"}))
        world.settle(at("11:30"))
        world.jobs = (waiting_job("a"), waiting_job("b"))
        world.settle(at("12:10"))
        assert [(job.suspended, job.admitted_time) for job in world.jobs] == [(False, at("12:10"))] * 2

    def test_what_waited_goes_on_one_by_one_where_runs_must_not_overlap(self) -> None:
        world = World(a_task(schedule=YEARLY, concurrency={"policy": "Forbid"}))
        world.settle(at("11:30"))
        world.jobs = (waiting_job("a"), waiting_job("b"))
        world.settle(at("12:10"))
        assert [job.at_work for job in world.jobs] == [True, False]

    def test_a_slot_is_missed_whose_turn_does_not_come_in_time(self) -> None:
        world = World(a_task(schedule=YEARLY, startingDeadline="5m", concurrency={"policy": "Queue"}))
        world.settle(at("11:30"))
        slot, manual = waiting_job("slot"), waiting_job("manual", scheduled_time=None)
        world.jobs = (a_job("works", creation_time=at("11:40")), slot, manual)
        planned = world.settle(at("12:05"))
        assert planned.requeue_at == at("12:05:01")
        assert [run.waiting_for is not None for run in world.status().active] == [False, True, True]
        world.settle(at("12:05:01"))
        entry = world.status().history[0]
        assert (entry.run, entry.outcome, entry.reason) == ("slot", Outcome.MISSED, "DeadlineExceeded")
        assert (entry.start_time, world.status().missed_count) == (None, 1)
        assert [job.name for job in world.jobs] == ["works", "manual"]

    def test_a_timeout_counts_from_the_first_turn(self) -> None:
        concurrency = {"policy": "Queue"}
        world = World(
            a_task(schedule=YEARLY, timeouts={"run": "10m"}, retry={"backoff": ["2m"]}, concurrency=concurrency)
        )
        world.settle(at("11:30"))
        world.jobs = (waiting_job(),)
        world.settle(at("13:00"))
        (job,) = world.jobs
        assert (job.at_work, world.status().active[0].start_time) == (True, at("13:00"))
        world.pods = (a_pod(job, exited(1, "busy"), end_time=at("13:01")),)
        world.jobs = (replace(job, failed=1),)
        world.settle(at("13:01"))
        found = next_turn([world.snapshot()], at("13:03"))
        assert found is not None
        assert found.patch.time_left == timedelta(minutes=7)

    @pytest.mark.parametrize(
        ("jobs", "state"),
        [
            ((waiting_job(), waiting_job("b")), State.QUEUED),
            ((a_job(), waiting_job("b")), State.RUNNING),
            ((a_job(failed=1), waiting_job("b")), State.RETRYING),
        ],
        ids=["all wait", "one runs", "one is retried"],
    )
    def test_its_state_is_that_of_the_runs_that_do_not_wait(self, jobs: tuple[Job, ...], state: State) -> None:
        world = World(a_task(schedule=YEARLY, concurrency={"group": "miner"}))
        world.settle(at("11:30"))
        world.jobs = jobs
        status = world.plan(at("12:01")).status
        assert status is not None
        assert status.state is state

    def test_one_whose_job_is_deleted_while_it_waits_had_no_attempt(self) -> None:
        world = World(a_task(schedule=YEARLY, concurrency={"policy": "Queue"}))
        world.settle(at("11:30"))
        world.jobs = (a_job("works"), waiting_job())
        world.settle(at("12:01"))
        world.jobs = world.jobs[:1]
        world.settle(at("12:02"))
        entry = world.status().history[0]
        assert (entry.outcome, entry.reason, entry.start_time, entry.attempts) == (
            Outcome.CANCELLED,
            "JobDeleted",
            None,
            0,
        )

    def test_its_status_does_not_change_with_the_turns_of_others(self) -> None:
        world = World(a_task(schedule=YEARLY, concurrency={"policy": "Queue"}))
        world.settle(at("11:30"))
        world.jobs = (waiting_job("a"), waiting_job("b"), waiting_job("c"))
        world.settle(at("12:01"))
        before = world.status().active[2]
        world.jobs = (succeeded(world.jobs[0], at("12:02")), *world.jobs[1:])
        world.settle(at("12:02"))
        assert world.status().active[1] == before


@st.composite
def comings(draw: st.DrawFn) -> list[tuple[int, str, int]]:
    """Runs that come one after the other: at which second, of which task, and for how many seconds they will work."""
    tasks = st.sampled_from(sorted(PRIORITIES))
    return sorted(draw(st.lists(st.tuples(st.integers(0, 900), tasks, st.integers(1, 120)), min_size=1, max_size=15)))


PRIORITIES = {"a": 0, "b": 3, "c": -2}
TASKS = {name: of_task(name=name, group="miner", priority=priority) for name, priority in PRIORITIES.items()}


@given(comings(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_one_at_a_time_all_served_and_overtaken_only_as_priority_says(
    runs: list[tuple[int, str, int]], chance: Any
) -> None:
    """Simulated: a run comes, works for its time and ends; the gate is looked at whenever something happens."""
    jobs: dict[str, Job] = {}
    tasks = {f"run-{number}": task for number, (_, task, _) in enumerate(runs)}
    ends: dict[str, datetime] = {}
    now, number, order = NOON, 0, list[str]()
    while number < len(runs) or ends or any(job.never_started for job in jobs.values()):
        coming = NOON + timedelta(seconds=runs[number][0]) if number < len(runs) else None
        now = min(time for time in (coming, *ends.values()) if time)
        if coming == now:
            name = f"run-{number}"
            jobs[name] = waiting_job(name, creation_time=now)
            number += 1
        else:
            name = min(ends, key=lambda name: (ends[name], name))
            jobs[name] = succeeded(jobs[name], ends.pop(name))
        for _ in range(2):
            turn = next_turn(_shuffled(jobs, tasks, chance), now)
            if turn:
                job = turn.patch.job
                jobs[job.name] = replace(job, suspended=False, admitted_time=turn.patch.admitted_at)
                ends[job.name] = now + timedelta(seconds=runs[int(job.name[4:])][2])
                order.append(job.name)
            assert sum(job.at_work for job in jobs.values()) <= 1
    assert sorted(order) == sorted(jobs)
    for place, name in enumerate(order):
        for earlier in order[:place]:
            extra = PRIORITIES[tasks[earlier]] - PRIORITIES[tasks[name]]
            allowed = max(extra, 0) * WORTH_OF_PRIORITY
            overtaken = jobs[earlier].creation_time > jobs[name].creation_time
            assert not overtaken or jobs[earlier].creation_time <= jobs[name].creation_time + allowed


def _shuffled(jobs: dict[str, Job], tasks: dict[str, str], chance: Any) -> Iterable[Snapshot]:
    """The tasks with their Jobs, in any order."""
    snapshots = []
    for task, snapshot in TASKS.items():
        own = [job for name, job in jobs.items() if tasks[name] == task]
        chance.shuffle(own)
        snapshots.append(replace(snapshot, jobs=tuple(own)))
    chance.shuffle(snapshots)
    return snapshots


def test_without_a_spec_that_can_be_read_nobody_who_waits_is_started() -> None:
    task = replace(a_task(), spec=None, invalid="mend it", status=ScheduledTaskStatus())
    world = World(task, jobs=(waiting_job(),))
    world.settle(NOON)
    assert world.jobs[0].suspended
