"""Counters equal outcomes, whatever happens in which order: the plan against a model of what a fair account says.

The API server, the operator's view of it and the operator's writes go apart here: the view lags behind, writes fail or
meet a conflict, the operator is away. The model only keeps sets of names.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scheduledtask.api.status import Trigger
from scheduledtask.domain.plan import Plan, plan
from scheduledtask.domain.values import Job
from tests.unit.builders import NOON, a_job, a_pod, a_spec, a_task, exited, failed, succeeded
from tests.unit.world import World

YEARLY = "0 0 1 1 *"
"""No slot comes in the way: slots have tests of their own."""


@dataclass(frozen=True)
class Write:
    """A request of the operator that has not arrived yet: what it does, and what it was made from."""

    version: tuple[int, int]
    planned: Plan
    view: tuple[Job, ...]


class Account(RuleBasedStateMachine):
    """`jobs` is what the API server has, `world` what the operator has seen and written."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.jobs: dict[str, Job] = {}
        self.made = 0
        self.world = World(a_task(schedule=YEARLY))
        self.under_way: Write | None = None
        self.outcomes: dict[str, str] = {}
        self.retries = 0
        self.row_of_failures = 0
        self.listed: set[str] = set()

    @initialize(runs=st.integers(1, 4), succeeded_jobs=st.integers(0, 3), failed_jobs=st.integers(0, 3))
    def task_is_made(self, runs: int, succeeded_jobs: int, failed_jobs: int) -> None:
        self._set_limits(runs, succeeded_jobs, failed_jobs)
        self.world.settle(self.now)

    @rule(runs=st.integers(1, 4), succeeded_jobs=st.integers(0, 3), failed_jobs=st.integers(0, 3))
    def limits_are_edited(self, runs: int, succeeded_jobs: int, failed_jobs: int) -> None:
        self._set_limits(runs, succeeded_jobs, failed_jobs)

    @rule(seconds=st.integers(0, 600))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(manual=st.booleans())
    def run_starts(self, manual: bool) -> None:
        self.made += 1
        slot = None if manual else self.now.replace(second=0)
        trigger = Trigger.MANUAL if manual else Trigger.SCHEDULE
        job = a_job(f"run-{self.made}", creation_time=self.now, trigger=trigger, scheduled_time=slot)
        self.jobs[job.uid] = job

    @precondition(lambda self: self.active())
    @rule(data=st.data())
    def attempt_fails(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.active()))
        self.jobs[job.uid] = replace(job, failed=min(job.failed + 1, 4))

    @precondition(lambda self: self.active())
    @rule(data=st.data(), well=st.booleans())
    def run_ends(self, data: st.DataObject, well: bool) -> None:
        job = data.draw(st.sampled_from(self.active()))
        self.jobs[job.uid] = succeeded(job, self.now) if well else failed(job, self.now, attempts=job.failed + 1)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def somebody_deletes_a_job(self, data: st.DataObject) -> None:
        del self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]

    @rule()
    def watch_catches_up(self) -> None:
        self.world.jobs = tuple(self.jobs.values())
        self.world.pods = tuple(
            a_pod(job, exited(0 if job.end.succeeded else 1, "x" * 50)) for job in self.jobs.values() if job.end
        )

    @rule()
    def pass_goes_well(self) -> None:
        self._write(self.world.plan(self.now), self.world.jobs)

    @rule()
    def write_is_slow(self) -> None:
        """Sent, and then the process ends: it may arrive much later, or never."""
        self.under_way = Write(self.version(), self.world.plan(self.now), self.world.jobs)

    @precondition(lambda self: self.under_way)
    @rule()
    def slow_write_arrives(self) -> None:
        """Optimistic locking lets it through only if the task was not written meanwhile."""
        write, self.under_way = self.under_way, None
        if write and write.version == self.version():
            self._write(write.planned, write.view)

    @rule()
    def operator_starts_anew(self) -> None:
        self.world.applied = None
        self.watch_catches_up()

    @invariant()
    def counters_equal_the_model(self) -> None:
        status = self.world.status()
        told = (status.success_count, status.failure_count, status.cancelled_count)
        outcomes = list(self.outcomes.values())
        assert told == tuple(outcomes.count(outcome) for outcome in ("Succeeded", "Failed", "Cancelled"))
        assert status.retry_count == self.retries
        assert status.consecutive_failures == self.row_of_failures

    @invariant()
    def no_job_stands_in_the_account_twice(self) -> None:
        status = self.world.status()
        uids = [*status.counted_jobs, *(entry.uid for entry in status.history if entry.uid)]
        assert len(uids) == len(set(uids))
        assert not {run.uid for run in status.active} & set(uids)

    @invariant()
    def the_history_tells_what_was_counted(self) -> None:
        for entry in self.world.status().history:
            if entry.run is None:
                continue
            assert entry.uid is not None
            assert entry.outcome == self.outcomes[entry.uid]

    def teardown(self) -> None:
        """At the end, with a working operator, the account is complete and the operator comes to rest."""
        self.watch_catches_up()
        self.pass_goes_well()
        self.counters_equal_the_model()
        assert all(uid in self.outcomes for uid, job in self.jobs.items() if job.end)
        self.world.settle(self.now)
        spec = self.world.task.spec
        assert spec is not None
        status = self.world.status()
        assert len(status.history) <= spec.history.runs
        assert set(status.counted_jobs) <= {job.uid for job in self.world.jobs}

    def active(self) -> list[Job]:
        return [job for job in self.jobs.values() if not job.end]

    def _set_limits(self, runs: int, succeeded_jobs: int, failed_jobs: int) -> None:
        history = {"runs": runs, "succeededJobs": succeeded_jobs, "failedJobs": failed_jobs}
        self.world.edit(replace(a_task(), spec=a_spec(history=history, schedule=YEARLY)))

    def version(self) -> tuple[int, int]:
        """What optimistic locking compares."""
        return self.world.status_writes, self.world.task.generation

    def _write(self, planned: Plan, view: tuple[Job, ...]) -> None:
        """Carry out a plan that was made from a view of the Jobs."""
        self._model_counts({job.uid: job for job in view})
        now_seen = self.world.jobs
        self.world.carry_out(planned, self.now)
        # Deleted at the API server at once, in the view when the watch says so.
        for job in planned.prune:
            self.jobs.pop(job.uid, None)
        self.world.jobs = now_seen

    def _model_counts(self, view: dict[str, Job]) -> None:
        """What the pass has to account for, from the operator's view alone."""
        news = [(job.end.time, job.name, job) for job in view.values() if job.end and job.uid not in self.outcomes]
        for _, _, job in sorted(news, key=lambda row: row[:2]):
            assert job.end is not None
            self.outcomes[job.uid] = "Succeeded" if job.end.succeeded else "Failed"
            self.row_of_failures = 0 if job.end.succeeded else self.row_of_failures + 1
            self.retries += max(0, job.failed + job.succeeded - 1)
        attempts = {run.uid: run.attempt for run in self.world.status().active}
        for uid in sorted(self.listed - view.keys() - self.outcomes.keys()):
            self.outcomes[uid] = "Cancelled"
            self.retries += attempts[uid] - 1
        self.listed = {job.uid for job in view.values() if not job.end}


Account.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestAccount = Account.TestCase


def test_a_plan_does_not_change_what_it_is_made_from() -> None:
    world = World(a_task(), jobs=(a_job(), succeeded(a_job("done"), NOON)))
    world.settle(NOON)
    before = repr(world.snapshot())
    plan(world.snapshot(), NOON + timedelta(hours=1))
    assert repr(world.snapshot()) == before
