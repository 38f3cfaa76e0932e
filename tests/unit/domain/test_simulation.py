"""The promises, whatever happens in which order, on the pure core in simulated time.

SIMULATION_EXAMPLES makes more of it: how many histories are tried.
"""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scheduledtask.api.status import Trigger
from scheduledtask.domain.plan import plan
from scheduledtask.domain.values import Job, Snapshot
from tests.unit.builders import a_job, a_task
from tests.unit.simulation import ConflictError, Controllers, Operator, Server, fail_attempt
from tests.unit.world import World

EXAMPLES = int(os.environ.get("SIMULATION_EXAMPLES", "120"))
BEGINNINGS = [
    datetime.fromisoformat(text)
    for text in (
        "2026-11-22T12:00:00Z",
        "2026-11-01T03:10:00Z",  # New York sets its clocks back at 06:00
        "2026-03-08T05:20:00Z",  # and ahead at 07:00
        "2026-04-04T13:40:00Z",  # Lord Howe, half an hour back at 15:00
    )
]
SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "schedule": st.sampled_from(
            [
                *("*/20 * * * *", "*/3 * * * *", "0 9-17 * * 1-5", "*/5 9-16 * * *", "30 1,2,23 * * *", "7 * * * *"),
                *("@every 45m", "61 * * * *", None),
            ]
        ),
        "history": st.fixed_dictionaries({"runs": st.integers(3, 8), "succeededJobs": st.integers(0, 2)}),
    },
    optional={
        "timeZone": st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Nowhere/At_all"]),
        "suspend": st.booleans(),
        "pauseUntil": st.sampled_from(BEGINNINGS).flatmap(
            lambda moment: st.integers(0, 600).map(lambda minutes: (moment + timedelta(minutes=minutes)).isoformat())
        ),
        "catchUp": st.just("None"),
        "startingDeadline": st.sampled_from(["10s", "4m", "2h"]),
        "concurrency": st.sampled_from([{"policy": policy} for policy in ("Forbid", "Allow", "Replace")]),
        "retry": st.fixed_dictionaries(
            {"maxAttempts": st.integers(1, 3), "backoff": st.sampled_from([["1m"], ["30m"], ["0s", "2h"]])}
        ),
    },
)
MINUTES = st.integers(1, 90)


class Simulation(RuleBasedStateMachine):
    """One task in a cluster of which every part may be away, late, or end in the middle of what it does."""

    @initialize(spec=SPECS, beginning=st.sampled_from(BEGINNINGS), seconds=st.integers(0, 3600), brief=st.booleans())
    def task_is_made(self, spec: dict[str, Any], beginning: datetime, seconds: int, brief: bool) -> None:
        """With `brief` runs end by themselves, while time passes."""
        self.brief = brief
        self.now = beginning + timedelta(seconds=seconds)
        self.server = Server(replace(a_task(**spec), creation_time=self.now))
        self.controllers = Controllers(self.server)
        self.operator = Operator(self.server)
        self.controllers_up = self.operator_up = True
        self.held: tuple[Snapshot, tuple[int, int]] | None = None
        self.manual = 0
        self.look()

    @rule(spec=SPECS)
    def task_is_edited(self, spec: dict[str, Any]) -> None:
        self.server.edit(a_task(**spec))
        self.look()

    @rule()
    def suspension_is_flipped(self) -> None:
        spec = self.server.task.spec
        assert spec is not None
        flipped = spec.model_copy(update={"suspend": not spec.suspend})
        self.server.edit(replace(self.server.task, spec=flipped))
        self.look()

    @rule(minutes=MINUTES, seconds=st.integers(0, 59))
    def time_passes(self, minutes: int, seconds: int) -> None:
        self.advance(self.now + timedelta(minutes=minutes, seconds=seconds))

    @rule(hours=st.integers(2, 60))
    def much_time_passes_while_all_are_away(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.operator.restart()
        self.look()

    @rule(minutes=st.integers(-45, 45))
    def clocks_jump(self, minutes: int) -> None:
        self.now = max(self.now + timedelta(minutes=minutes), self.server.task.creation_time)
        self.look()

    @rule(up=st.booleans())
    def controllers_come_or_go(self, up: bool) -> None:
        self.controllers_up = up
        self.look()

    @rule(up=st.booleans())
    def operator_comes_or_goes(self, up: bool) -> None:
        self.operator_up = up
        self.operator.restart()
        self.look()

    @rule(spec=st.none() | SPECS, calls=st.integers(0, 4), minutes=st.integers(0, 30), away=st.booleans())
    def operator_ends_in_the_middle(self, spec: dict[str, Any] | None, calls: int, minutes: int, away: bool) -> None:
        if spec:
            self.server.edit(a_task(**spec))
        self.now += timedelta(minutes=minutes)
        self.operator.cut_short(self.now, calls)
        self.operator_up = not away

    @rule()
    def view_is_held(self) -> None:
        """A pass begins, and its calls are slow."""
        self.held = (self.server.snapshot(), self.server.version())

    @precondition(lambda self: self.held)
    @rule()
    def held_pass_goes_on(self) -> None:
        assert self.held
        (view, version), self.held = self.held, None
        try:
            self.server.carry_out_from(view, version, plan(view, self.now), self.now, 99)
        except ConflictError:
            return

    @rule()
    def manual_run_starts(self) -> None:
        self.manual += 1
        job = a_job(f"manual-{self.manual}", creation_time=self.now, scheduled_time=None, trigger=Trigger.MANUAL)
        self.server.add_job(job)
        self.look()

    @precondition(lambda self: self.running())
    @rule(data=st.data(), well=st.booleans())
    def run_ends(self, data: st.DataObject, well: bool) -> None:
        self.server.end_job(data.draw(st.sampled_from(self.running())), well, self.now)
        self.look()

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def attempt_fails(self, data: st.DataObject) -> None:
        fail_attempt(self.server, data.draw(st.sampled_from(self.running())), self.now)
        self.look()

    @precondition(lambda self: self.server.noted_jobs())
    @rule(data=st.data())
    def somebody_deletes_a_job(self, data: st.DataObject) -> None:
        self.held = None
        self.server.delete_job(data.draw(st.sampled_from(self.server.noted_jobs())))
        self.look()

    @rule()
    def the_job_of_a_slot_is_deleted_before_the_operator_sees_it(self) -> None:
        self.held = None
        up, self.operator_up = self.operator_up, False
        slot = self.controllers.next_slot(self.now)
        if slot and slot < self.now + timedelta(hours=2):
            self.advance(slot)
        for job in self.server.noted_jobs():
            if job.scheduled_time == slot:
                self.server.delete_job(job)
        self.operator_up = up
        self.operator.restart()
        self.look()

    @rule(data=st.data(), late=st.integers(0, 59), slow=st.integers(0, 80))
    def controller_is_slow_to_start_a_slot(self, data: st.DataObject, late: int, slow: int) -> None:
        """A run may have been in its way and ends; the request is on the way while the operator goes on."""
        self.held = None
        slot = self.controllers.next_slot(self.now)
        if slot and slot < self.now + timedelta(hours=2):
            self.advance(slot + timedelta(seconds=late))
        if self.running():
            self.server.end_job(data.draw(st.sampled_from(self.running())), True, self.now)
        decided = self.controllers.decide(self.now)
        up, self.controllers_up = self.controllers_up, False
        self.advance(self.now + timedelta(seconds=slow))
        if decided:
            self.controllers.start(decided, self.now)
        self.controllers_up = up
        self.look()

    @invariant()
    def no_slot_has_two_runs(self) -> None:
        assert len(self.server.slots_created) == len(set(self.server.slots_created))

    @invariant()
    def the_account_is_true_whenever_the_operator_has_looked(self) -> None:
        if self.operator_up and self.held is None:
            self.look()
            self.check_account()

    def teardown(self) -> None:
        """With all at work and some quiet time, every slot has its outcome, and the rest is as if made so."""
        if not hasattr(self, "server"):
            return
        self.held = None
        self.operator_up = self.controllers_up = True
        self.operator.restart()
        self.look()
        self.advance(self.now + timedelta(minutes=10))
        self.check_account()
        self.check_all_is_told()
        self.check_as_if_made_so()

    def check_account(self) -> None:
        status, server = self.server.status(), self.server
        told = (status.success_count, status.failure_count, status.cancelled_count)
        outcomes = list(server.tally.values())
        assert told == tuple(outcomes.count(outcome) for outcome in ("Succeeded", "Failed", "Cancelled"))
        if server.exact:
            assert status.skipped_count + status.missed_count == len(server.untold_slots())

    def check_all_is_told(self) -> None:
        account, live = self.server.status().slots, self.server.cron_job
        due = self.controllers.next_slot(account.until) if account and live else None
        ready = self.server.ready()[0] == "True"
        if ready and due and live and not live.suspended:
            spec = self.server.task.spec
            assert spec is not None
            assert due > self.now - timedelta(minutes=6) or spec.catch_up == "None"

    def check_as_if_made_so(self) -> None:
        fresh = World(replace(self.server.task, status=World(a_task()).task.status))
        fresh.settle(self.now)
        assert self.server.ready()[:2] == fresh.ready()[:2]
        if self.server.ready()[0] == "True":
            ours, theirs = self.server.status().cron_job, fresh.status().cron_job
            assert ours
            assert theirs
            assert ours.digest == theirs.digest
            live, made = self.server.live(), fresh.live()
            assert (live.schedule, live.time_zone, live.suspended) == (made.schedule, made.time_zone, made.suspended)

    def running(self) -> list[Job]:
        return [job for job in self.server.jobs if not job.end and not job.suspended]

    def look(self) -> None:
        """Whoever is there has a look."""
        if self.controllers_up:
            self.controllers.sync(self.now)
        if self.operator_up:
            self.operator.look(self.now)

    def advance(self, until: datetime) -> None:
        """Time goes on from one event to the next."""
        while self.now < until:
            times = [until]
            if self.controllers_up and (slot := self.controllers.next_slot(self.now)):
                times.append(slot)
            if self.operator_up and self.operator.due:
                times.append(self.operator.due)
            self.now = max(min(times), self.now + timedelta(seconds=1))
            for job in self.running() if self.brief else ():
                self.server.end_job(job, True, self.now)
            self.look()


Simulation.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSimulation = Simulation.TestCase
