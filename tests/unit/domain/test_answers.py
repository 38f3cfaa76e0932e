"""What becomes of commands: each is carried out once, or told, whatever happens in between."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduledtask.api.status import HistoryEntry, Outcome, Trigger
from scheduledtask.domain.answers import EndRun
from scheduledtask.domain.plan import plan
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.values import Job
from tests.unit.builders import NOON, a_job, a_task, at, failed, succeeded
from tests.unit.world import World, is_quiet

PARAMETERS = [{"name": "days", "type": "integer", "default": "1"}]


def run(command_id: str, value: str = "") -> tuple[str, str]:
    return f"run.scheduledtask.dev/{command_id}", value


def cancel(name: str, reason: str = "") -> tuple[str, str]:
    return f"cancel.scheduledtask.dev/{name}", reason


def retry(name: str) -> tuple[str, str]:
    return f"retry.scheduledtask.dev/{name}", ""


def asked(world: World, *commands: tuple[str, str]) -> World:
    """The same world with these commands besides those it has."""
    world.task = replace(world.task, annotations=tuple(sorted({*world.task.annotations, *commands})))
    return world


def settled(*commands: tuple[str, str], **spec: Any) -> World:
    """A task that is in place since 11:30, and then gets commands. No slot is due."""
    world = World(a_task(**{"schedule": "0 0 1 1 *", **spec}))
    world.settle(at("11:30"))
    return asked(world, *commands)


def refusals(world: World) -> list[str]:
    return [event.note for event in world.events.values() if event.reason == "CommandRefused"]


def entries(world: World) -> dict[str | None, tuple[Outcome, str]]:
    return {entry.run: (entry.outcome, entry.reason) for entry in world.status().history}


class TestARunByCommand:
    def test_first_its_job_is_made_then_the_status_tells_it_then_the_command_goes(self) -> None:
        world = settled(run("x"))
        first = world.plan(NOON)
        assert (first.create is not None, first.answered) == (True, ())
        world.carry_out(first, NOON)
        second = world.plan(NOON)
        assert second.status is not None
        assert (second.create, second.answered, second.status.active[0].run) == (None, (), "report-x")
        world.carry_out(second, NOON)
        third = world.plan(NOON)
        assert (third.status, third.answered) == (None, ("run.scheduledtask.dev/x",))
        world.carry_out(third, NOON)
        assert is_quiet(world.plan(NOON))

    def test_its_job_says_who_asked_and_with_which_parameters(self) -> None:
        world = settled(run("x", '{"parameters": {"days": 7}}'), parameters=PARAMETERS)
        world.settle(NOON)
        (job,) = world.jobs
        assert (job.trigger, job.parameters, job.max_attempts) == (Trigger.MANUAL, '{"days": "7"}', 5)

    @pytest.mark.parametrize(
        "spec",
        [
            {"schedule": None},
            {"suspend": True},
            {"pauseUntil": "2026-12-01T00:00:00Z"},
            {"schedule": "0 0 30 2 *"},
        ],
    )
    def test_it_asks_for_no_schedule(self, spec: dict[str, Any]) -> None:
        world = settled(run("x"), **spec)
        world.settle(NOON)
        assert world.created == ["report-x"]

    def test_the_same_id_again_is_the_same_run(self) -> None:
        world = settled(run("x"), history={"succeededJobs": 0})
        world.settle(NOON)
        world.jobs = tuple(succeeded(job, at("12:05")) for job in world.jobs)
        world.settle(at("12:05"))
        assert world.jobs == ()
        asked(world, run("x", "{}")).settle(at("12:06"))
        assert (world.created, world.task.annotations, world.status().success_count) == (["report-x"], (), 1)

    @pytest.mark.parametrize(
        ("spec", "value", "told"),
        [
            ({}, "x", "run.scheduledtask.dev/x: x is no JSON: write"),
            ({}, '{"parameters": {"days": 1}}', 'run.scheduledtask.dev/x: "days" is no parameter'),
            ({"timeZone": "Nowhere/At_all"}, "", "run.scheduledtask.dev/x: the task is not Ready: spec.timeZone"),
        ],
    )
    def test_what_can_not_be_done_is_told_once_and_removed(self, spec: dict[str, Any], value: str, told: str) -> None:
        world = settled(run("x", value), **spec)
        world.settle(NOON)
        (note,) = refusals(world)
        assert note.startswith(told)
        assert (world.created, world.task.annotations) == ([], ())

    def test_what_the_api_server_refuses_is_told_in_its_words(self) -> None:
        world = settled(run("x"))
        snapshot = replace(world.snapshot(), refused_commands={"run.scheduledtask.dev/x": "exceeded quota"})
        planned = plan(snapshot, NOON)
        assert [event.note for event in planned.events] == ["run.scheduledtask.dev/x: exceeded quota"]
        assert (planned.create, planned.answered) == (None, ("run.scheduledtask.dev/x",))

    def test_while_its_cron_job_is_made_again_it_waits(self) -> None:
        world = settled(run("x"))
        world.cron_job = replace(world.live(), deleting=True)
        world.settle(NOON)
        assert (world.created, len(world.task.annotations)) == ([], 1)

    def test_a_task_that_is_going_starts_nothing(self) -> None:
        world = settled(run("x"))
        world.task = replace(world.task, deleting=True)
        assert world.plan(NOON).create is None


class TestOverlap:
    @pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.MANUAL])
    def test_forbid_skips_and_says_which_run_was_active(self, trigger: Trigger) -> None:
        world = settled(run("x"))
        world.jobs = (a_job(trigger=trigger),)
        world.settle(at("12:01"))
        entry = world.status().history[0]
        assert (entry.run, entry.outcome, entry.reason) == ("report-x", Outcome.SKIPPED, "Overlap")
        assert entry.message == "Run run-1 was active, and concurrency.policy is Forbid."
        assert (world.status().skipped_count, world.created, world.task.annotations) == (1, [], ())
        assert world.status().last_outcome is None, "a skip is not the end of a run"

    def test_of_two_commands_forbid_runs_one(self) -> None:
        world = settled(run("x"), run("y"))
        world.settle(NOON)
        assert (world.created, entries(world)) == (["report-x"], {"report-y": (Outcome.SKIPPED, "Overlap")})

    def test_with_a_history_of_one_many_skips_are_each_counted_once(self) -> None:
        world = settled(run("x"), run("y"), run("z"), history={"runs": 1})
        late = succeeded(a_job("ended"), at("12:09"))
        world.jobs = (a_job(), late)
        world.settle(at("12:01"))
        assert (world.status().skipped_count, world.task.annotations) == (3, ())

    def test_allow_runs_all(self) -> None:
        world = settled(run("x"), run("y"), concurrency={"policy": "Allow"})
        world.settle(NOON)
        assert world.created == ["report-x", "report-y"]

    def test_queue_makes_all_and_has_all_but_one_wait(self) -> None:
        world = settled(run("x"), run("y"), concurrency={"policy": "Queue"})
        world.settle(NOON)
        assert world.task.annotations == ()
        x, y = world.status().active
        assert (x.run, x.start_time, x.waiting_for) == ("report-x", NOON, None)
        assert (y.run, y.start_time, y.waiting_for) == ("report-y", None, "its turn after the runs before it")
        world.jobs = (succeeded(world.jobs[0], at("12:05")), world.jobs[1])
        world.settle(at("12:05"))
        (y,) = world.status().active
        assert (y.run, y.start_time, y.waiting_for) == ("report-y", at("12:05"), None)

    def test_in_a_group_replace_withdraws_what_waits(self) -> None:
        world = settled(concurrency={"policy": "Replace", "group": "miner"})
        world.jobs = (a_job(gated=True, suspended=True),)
        asked(world, run("x"))
        world.settle(at("12:01"))
        assert (world.created, entries(world)) == (["report-x"], {"run-1": (Outcome.CANCELLED, "Replaced")})

    def test_replace_ends_the_active_run_and_then_starts(self) -> None:
        world = settled(run("x"), concurrency={"policy": "Replace"})
        world.jobs = (a_job(),)
        world.settle(at("12:01"))
        assert (world.created, world.jobs[0].given_up) == ([], ("Replaced", "Replaced by run report-x."))
        world.jobs = tuple(failed(job, at("12:02")) for job in world.jobs)
        world.settle(at("12:02"))
        assert (world.created, entries(world)["run-1"]) == (["report-x"], (Outcome.CANCELLED, "Replaced"))


class TestACancellation:
    def test_it_ends_the_run_and_goes_when_the_end_is_in_the_history(self) -> None:
        world = settled(cancel("run-1", "wrong region"))
        world.jobs = (a_job(),)
        world.settle(at("12:01"))
        assert (world.jobs[0].given_up, len(world.task.annotations)) == (("Cancelled", "wrong region"), 1)
        world.jobs = tuple(failed(job, at("12:02")) for job in world.jobs)
        world.settle(at("12:02"))
        entry = world.status().history[0]
        assert (entry.outcome, entry.reason, entry.message) == (Outcome.CANCELLED, "Cancelled", "wrong region")
        status = world.status()
        assert (status.cancelled_count, status.failure_count, status.last_error) == (1, 0, None)
        assert (world.task.annotations, refusals(world)) == ((), [])

    def test_a_run_that_succeeds_all_the_same_has_succeeded_and_that_is_told(self) -> None:
        world = settled(cancel("run-1"))
        world.jobs = (a_job(),)
        world.settle(at("12:01"))
        world.jobs = tuple(succeeded(job, at("12:02")) for job in world.jobs)
        world.settle(at("12:02"))
        assert refusals(world) == ["cancel.scheduledtask.dev/run-1: run run-1 has ended already: Succeeded"]

    def test_a_run_that_waits_in_the_queue_never_starts(self) -> None:
        world = settled(run("x"), run("y"), concurrency={"policy": "Queue"})
        world.settle(at("12:01"))
        asked(world, cancel("report-y", "no more"))
        world.settle(at("12:02"))
        entry = world.status().history[0]
        assert (entry.run, entry.outcome, entry.message) == ("report-y", Outcome.CANCELLED, "no more")
        assert (entry.start_time, entry.attempts, world.task.annotations) == (None, 0, ())
        assert [job.name for job in world.jobs] == ["report-x"], "it is deleted as soon as it is counted"

    def test_an_unknown_run_is_told_with_those_that_are_active(self) -> None:
        world = settled(cancel("run-2"))
        world.jobs = (a_job(),)
        world.settle(at("12:01"))
        assert refusals(world) == ["cancel.scheduledtask.dev/run-2: there is no run run-2; active runs: run-1"]

    @pytest.mark.parametrize(("counted", "pods"), [(2, 2), (2, 0), (1, 2)])
    def test_a_pod_that_runs_gets_time_and_its_failure_ends_the_job(self, counted: int, pods: int) -> None:
        job = a_job(failed=counted)
        assert EndRun(job, "Cancelled", "why").patch(True, pods, at("12:10")) == JobPatch(
            job, suspend=False, time_left=timedelta(minutes=11), given_up=("Cancelled", "why"), failures_left=2
        )

    def test_without_one_the_job_ends_by_its_deadline(self) -> None:
        job = a_job(failed=2)
        assert EndRun(job, "Cancelled", "why").patch(False, 2, at("12:10")) == JobPatch(
            job, suspend=False, time_left=timedelta(0), given_up=("Cancelled", "why")
        )


class TestARetry:
    def test_a_failed_run_starts_again_with_the_parameters_on_its_job(self) -> None:
        world = settled(retry("run-1"), parameters=PARAMETERS)
        world.jobs = (failed(a_job(parameters='{"days": "30"}'), at("12:05")),)
        world.settle(at("12:06"))
        (job,) = (job for job in world.jobs if job.name == "run-1-r1")
        assert (job.trigger, job.parameters, world.task.annotations) == (Trigger.RETRY, '{"days": "30"}', ())

    def test_a_run_of_a_slot_had_the_defaults(self) -> None:
        world = settled(retry("run-1"), parameters=[{**PARAMETERS[0], "required": True}])
        world.jobs = (failed(a_job(), at("12:05")),)
        world.settle(at("12:06"))
        assert [job.parameters for job in world.jobs if job.name == "run-1-r1"] == ['{"days": "1"}']

    def test_without_the_job_the_defaults_are_taken_and_that_is_told(self) -> None:
        world = settled(retry("gone"), parameters=PARAMETERS)
        entry = HistoryEntry(
            run="gone", trigger=Trigger.MANUAL, end_time=at("11:00"), outcome=Outcome.FAILED, reason="NonZeroExit"
        )
        world.task = replace(world.task, status=world.status().model_copy(update={"history": (entry,)}))
        world.settle(NOON)
        assert [(job.name, job.parameters) for job in world.jobs] == [("gone-r1", '{"days": "1"}')]
        (event,) = world.events.values()
        assert (event.reason, "run gone is gone" in event.note) == ("RetriedWithDefaults", True)

    @pytest.mark.parametrize(
        ("job", "told"),
        [
            (a_job(), "run run-1 is active: cancel it first, or await its end"),
            (succeeded(a_job(), at("12:05")), "run run-1 is Succeeded: only failed and cancelled runs are retried"),
            (a_job("another"), "run run-1 is not in status.history, and its Job is gone"),
        ],
        ids=["active", "succeeded", "unknown"],
    )
    def test_no_other_run_is_retried(self, job: Job, told: str) -> None:
        world = settled(retry("run-1"))
        world.jobs = (job,)
        world.settle(at("12:06"))
        assert refusals(world) == [f"retry.scheduledtask.dev/run-1: {told}"]
        assert world.created == []


COMMANDS = st.sampled_from(
    [
        run("a"),
        run("b"),
        run("c", "{}"),
        run("bad", "{"),
        cancel("report-a", "why"),
        cancel("report-b"),
        retry("report-a"),
        retry("report-a-r1"),
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), COMMANDS),
        st.tuples(st.just("pass"), st.sampled_from([0, 1, 2, 3, None])),
        st.tuples(st.just("end"), st.integers(-5, 5)),
    ),
    max_size=25,
)


@dataclass
class Story:
    """A world in which the operator may crash after any call. `outcomes` are the runs that a status counted."""

    world: World
    now: datetime = NOON
    outcomes: list[str | None] = field(default_factory=list)

    def step(self, kind: str, what: Any) -> None:
        self.now += timedelta(seconds=1)
        if kind == "ask":
            asked(self.world, what)
        elif kind == "pass":
            self._pass(what)
        else:
            self._end_one(what)

    def finish(self) -> None:
        """Let every run end and the operator come to rest."""
        for _ in range(100):
            self.step("pass", None)
            if is_quiet(self.world.plan(self.now)):
                if not self._active():
                    return
                self.step("end", 0)
        raise AssertionError("it never comes to rest")

    def _pass(self, calls: int | None) -> None:
        planned, writes = self.world.plan(self.now), self.world.status_writes
        self.world.carry_out(planned, self.now, calls)
        if calls is None:
            self.world.admit(self.now)
        if self.world.status_writes > writes:
            self.outcomes += [ended.entry.run for ended in planned.ended]

    def _end_one(self, seconds: int) -> None:
        """The oldest run that is at work ends, by a clock that differs by so many seconds."""
        for job in [job for job in self._active() if job.at_work][:1]:
            end = failed if seconds % 2 or job.given_up else succeeded
            ended = end(job, self.now + timedelta(seconds=seconds))
            self.world.jobs = tuple(ended if known == job else known for known in self.world.jobs)

    def _active(self) -> list[Job]:
        return [job for job in self.world.jobs if not job.end]


@given(st.sampled_from(["Forbid", "Allow", "Replace", "Queue"]), st.integers(1, 3), st.integers(0, 1), STEPS)
@settings(deadline=None)
def test_a_crash_between_any_two_calls_neither_loses_nor_doubles_a_run(
    policy: str, runs: int, jobs: int, steps: list[tuple[str, Any]]
) -> None:
    history = {"runs": runs, "succeededJobs": jobs, "failedJobs": jobs}
    story = Story(settled(concurrency={"policy": policy}, history=history))
    commands: dict[str, str] = {}
    for kind, what in steps:
        if kind == "ask" and what[0] in commands:
            continue
        if kind == "ask":
            commands[what[0]] = what[1]
        story.step(kind, what)
    story.finish()

    world, status = story.world, story.world.status()
    assert world.task.annotations == ()
    assert len(set(world.created)) == len(world.created), "no Job is made twice"
    assert len(set(story.outcomes)) == len(story.outcomes), "nothing is counted twice"
    assert set(world.created) <= set(story.outcomes)
    counted = status.success_count + status.failure_count + status.cancelled_count + status.skipped_count
    assert counted == len(story.outcomes)
    told = {event.subject.split()[0] for event in world.events.values() if event.reason == "CommandRefused"}
    for annotation in commands:
        name = {"run.scheduledtask.dev/a": "report-a", "run.scheduledtask.dev/b": "report-b"}.get(annotation)
        if name:
            assert name in story.outcomes, "each run that was asked for has its outcome"
        elif annotation == "run.scheduledtask.dev/bad":
            assert annotation in told
        elif annotation.startswith("retry."):
            new = {"report-a": "report-a-r1", "report-a-r1": "report-a-r2"}[annotation.partition("/")[2]]
            assert annotation in told or new in story.outcomes
