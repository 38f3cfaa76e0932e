"""What is decided for a task: what is applied and written, and that a converged task is left alone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scheduledtask.api.status import State, format_time
from scheduledtask.domain.plan import Plan
from tests.unit.builders import NOON, a_cron_job, a_job, a_pod, a_task, at, exited, failed, succeeded
from tests.unit.world import World, is_quiet


def settled(**spec: object) -> World:
    """A task that is in place since 11:30."""
    world = World(a_task(**spec))
    world.settle(at("11:30"))
    return world


class TestANewTask:
    def test_first_its_cron_job_is_applied_and_nothing_else(self) -> None:
        planned = World(a_task()).plan(NOON)
        assert planned == Plan(apply=planned.apply)
        assert planned.apply is not None
        assert planned.apply.fence is None, "a new CronJob starts no slot from before it was made"

    def test_then_its_status_is_written_once(self) -> None:
        world = settled()
        assert (len(world.applies), world.status_writes) == (1, 1)
        status = world.status()
        assert world.ready() == ("True", "Scheduled", 'Runs by "0 * * * *", time zone Etc/UTC.')
        assert (status.state, status.observed_generation) == (State.IDLE, 1)
        assert (status.resolved_schedule, status.next_run_time) == ("0 * * * *", NOON)
        assert status.cron_job == world.applied

    def test_and_then_it_is_left_alone_until_its_slot_is_overdue(self) -> None:
        assert settled().plan(at("11:30")) == Plan(requeue_at=at("12:00:30"))

    def test_a_task_on_demand_needs_no_looking_after(self) -> None:
        world = settled(schedule=None)
        assert world.plan(at("11:30")) == Plan()
        assert world.ready()[1] == "OnDemand"
        assert world.status().next_run_times == ()


class TestARun:
    def test_its_start_is_one_write_that_also_moves_the_next_times(self) -> None:
        world = settled()
        world.jobs = (a_job(),)
        world.settle(at("12:00:02"))
        assert world.status_writes == 2
        status = world.status()
        assert (status.state, status.active_runs, status.next_run_time) == (State.RUNNING, 1, at("13:00"))

    def test_its_end_is_another(self) -> None:
        world = settled()
        world.jobs = (a_job(),)
        world.settle(at("12:00:02"))
        world.jobs = (succeeded(a_job(), at("12:05")),)
        world.settle(at("12:05:01"))
        assert world.status_writes == 3
        assert (world.status().state, world.status().success_count) == (State.IDLE, 1)

    def test_a_slot_whose_job_does_not_come_moves_the_next_times_after_half_a_minute(self) -> None:
        world = settled()
        assert is_quiet(world.plan(at("12:00:29")))
        world.settle(at("12:00:30"))
        assert world.status().next_run_time == at("13:00")

    def test_its_failure_is_told_in_one_event(self) -> None:
        world = settled()
        job = failed(a_job(), at("12:05"), attempts=5)
        world.jobs, world.pods = (job,), (a_pod(job, exited(3, "Traceback\nValueError: no matches\n"), attempt=5),)
        world.settle(at("12:05:01"))
        (event,) = world.events.values()
        assert (event.reason, event.subject) == ("RunFailed", job.uid)
        assert event.note == "Run run-1 failed after 5 attempts (NonZeroExit, exit code 3): ValueError: no matches"

    def test_of_many_failures_the_newest_three_are_told(self) -> None:
        world = settled()
        world.jobs = tuple(failed(a_job(f"run-{minute}"), at(f"12:{minute:02}")) for minute in range(1, 9))
        world.settle(at("12:30"))
        assert [event.note.split()[1] for event in world.events.values()] == ["run-6", "run-7", "run-8"]
        assert world.status().failure_count == 8

    def test_a_crash_before_the_status_is_written_tells_it_again_under_the_same_name(self) -> None:
        world = settled()
        world.jobs = (failed(a_job(), at("12:05")),)
        assert world.plan(at("12:05:01")).events == world.plan(at("12:05:09")).events

    def test_only_what_the_written_status_counts_is_pruned(self) -> None:
        world = settled(history={"succeededJobs": 1})
        world.jobs = tuple(succeeded(a_job(f"run-{minute}"), at(f"12:{minute:02}")) for minute in (1, 2, 3))
        first = world.plan(at("12:10"))
        assert (first.prune, first.status is None) == ((), False)
        world.carry_out(first, at("12:10"))
        assert [job.name for job in world.plan(at("12:10")).prune] == ["run-1", "run-2"]


class TestARunThatWaits:
    """Its Job is suspended until the next attempt is due."""

    JOB = a_job(failed=1)
    POD = a_pod(JOB, exited(1, "boom"), end_time=at("12:01"))

    def waiting(self) -> World:
        world = settled(retry={"backoff": ["30m"]})
        world.jobs, world.pods = (self.JOB,), (self.POD,)
        world.settle(at("12:01:01"))
        assert world.jobs[0].suspended
        return world

    def test_it_is_left_alone_until_then(self) -> None:
        world = self.waiting()
        assert world.plan(at("12:30:59")) == Plan(requeue_at=at("12:31"))
        assert world.status().active[0].next_attempt_time == at("12:31")

    def test_then_it_goes_on(self) -> None:
        world = self.waiting()
        world.settle(at("12:31"))
        assert not world.jobs[0].suspended
        assert world.status().active[0].next_attempt_time is None

    def test_then_it_goes_on_also_when_its_failed_pod_was_taken_away_with_its_node(self) -> None:
        world = self.waiting()
        world.pods = ()
        world.settle(at("12:20"))
        assert world.jobs[0].suspended
        world.settle(at("12:31"))
        assert not world.jobs[0].suspended


class TestASlotWithoutARun:
    def test_it_is_told_only_when_the_controller_can_not_start_it_any_more(self) -> None:
        world = settled(history={"runs": 2})
        world.jobs = (a_job("by-hand", creation_time=at("11:40"), scheduled_time=None),)
        world.settle(at("11:40"))
        planned = world.plan(at("12:01"))
        assert planned.adoption is not None
        assert (planned.adoption.last_schedule_time, planned.adoption.is_fence) == (NOON, True)
        assert planned.status is not None
        assert planned.status.skipped_count == 1
        world.carry_out(planned, at("12:01"), calls=1)
        world.settle(at("12:01"))
        assert (world.live().last_schedule_time, world.status().skipped_count) == (NOON, 1)

    def test_under_replace_it_is_started_when_the_active_run_has_made_way(self) -> None:
        world = settled(concurrency={"policy": "Replace"})
        world.jobs = (a_job("by-hand", creation_time=at("11:40"), scheduled_time=None),)
        world.settle(at("11:40"))
        world.settle(at("12:01"))
        run = "report-29922480"
        assert (world.created, world.jobs[0].given_up) == ([], ("Replaced", f"Replaced by run {run}."))
        world.jobs = (failed(world.jobs[0], at("12:02")),)
        world.settle(at("12:02"))
        assert world.created == [run]


class TestAnEdit:
    def test_an_edit_of_the_template_is_applied_without_a_fence(self) -> None:
        world = settled()
        world.edit(a_task(retry={"maxAttempts": 2}))
        world.settle(NOON)
        assert [applied.fence for applied in world.applies] == [None, None]
        assert world.status().observed_generation == 2

    @pytest.mark.parametrize("fields", [{"schedule": "30 * * * *"}, {"timeZone": "Asia/Kolkata"}])
    def test_an_edited_schedule_does_not_start_a_slot_from_before_the_edit(self, fields: dict[str, object]) -> None:
        world = settled()
        world.edit(a_task(**fields))
        world.settle(at("11:45"))
        assert world.applies[-1].fence == at("11:45")

    def test_a_schedule_that_comes_to_a_task_on_demand_starts_no_slot_from_before(self) -> None:
        world = settled(schedule=None)
        world.edit(a_task())
        world.settle(at("11:45"))
        assert world.applies[-1].fence == at("11:45")

    def test_what_concerns_only_the_operator_is_not_applied(self) -> None:
        world = settled()
        world.edit(a_task(history={"runs": 3}))
        world.settle(at("11:45"))
        assert len(world.applies) == 1
        assert world.status().observed_generation == 2

    def test_a_run_goes_on_through_an_edit_and_is_counted_once(self) -> None:
        world = settled()
        world.jobs = (a_job(),)
        world.settle(at("12:01"))
        world.edit(a_task(schedule="5 * * * *"))
        world.settle(at("12:02"))
        world.jobs = (succeeded(a_job(), at("12:05")),)
        world.settle(at("12:05"))
        assert (world.status().success_count, world.status().active_runs) == (1, 0)


class TestSuspension:
    def test_a_suspended_task_shows_no_next_run_and_needs_no_looking_after(self) -> None:
        world = settled(suspend=True)
        assert world.plan(NOON) == Plan()
        assert (world.ready()[:2], world.status().state) == (("True", "Suspended"), State.SUSPENDED)
        assert world.status().next_run_time is None

    def test_when_it_ends_the_slots_that_were_passed_over_stay_so(self) -> None:
        world = settled(suspend=True)
        world.edit(a_task())
        world.settle(at("12:10"))
        assert world.applies[-1].fence == at("12:10")
        assert world.status().next_run_time == at("13:00")

    def test_its_runs_go_on(self) -> None:
        world = settled()
        world.jobs = (a_job(),)
        world.edit(a_task(suspend=True))
        world.settle(at("12:01"))
        assert world.status().state == State.RUNNING

    def test_a_pause_ends_by_itself(self) -> None:
        world = settled(pauseUntil="2026-11-22T12:30:00Z")
        assert (world.ready()[1], world.status().state) == ("Paused", State.PAUSED)
        assert world.live().suspended
        assert world.plan(at("12:00")).requeue_at == at("12:30")
        world.settle(at("12:30"))
        assert not world.live().suspended
        assert (world.ready()[1], world.status().next_run_time) == ("Scheduled", at("13:00"))

    def test_the_slot_at_the_end_of_a_pause_runs(self) -> None:
        world = settled(pauseUntil="2026-11-22T12:00:00Z")
        assert world.status().next_run_time == NOON
        world.settle(NOON)
        fence = world.applies[-1].fence
        assert fence is not None
        assert at("11:00") <= fence < NOON

    def test_a_pause_may_end_by_the_clock_of_any_zone(self) -> None:
        world = settled(pauseUntil="2026-11-22T14:00:00+02:00")
        world.settle(at("12:20"))
        fence = world.applies[-1].fence
        assert fence is not None
        assert format_time(fence) == "2026-11-22T11:59:59Z"

    def test_a_pause_moved_into_the_past_does_not_run_a_slot_again(self) -> None:
        world = settled(pauseUntil="2026-11-22T13:00:00Z")
        world.cron_job = replace(world.live(), last_schedule_time=at("11:00"))
        world.edit(a_task(pauseUntil="2026-11-21T00:00:00Z"))
        world.settle(at("12:10"))
        last_slot = world.live().last_schedule_time
        assert last_slot is not None
        assert last_slot >= at("11:00")

    def test_a_pause_that_ends_while_the_task_is_suspended_changes_nothing(self) -> None:
        world = settled(pauseUntil="2026-11-22T12:30:00Z", suspend=True)
        world.settle(at("12:31"))
        assert world.live().suspended
        assert world.plan(at("12:31")) == Plan()


class TestACronJobChangedByOthers:
    def test_an_edit_by_hand_is_put_right(self) -> None:
        world = settled()
        world.cron_job = replace(world.live(), generation=2, schedule="* * * * *")
        world.settle(at("11:40"))
        assert world.live().schedule == "0 * * * *"
        assert world.applies[-1].fence == at("11:40")

    @pytest.mark.parametrize("change", [{"task_label": None}, {"owner_uid": None}])
    def test_a_label_or_owner_taken_away_is_put_back(self, change: dict[str, Any]) -> None:
        world = settled()
        world.cron_job = replace(world.live(), **change)
        world.settle(at("11:40"))
        assert (world.live().task_label, world.live().owner_uid) == ("report", "task-uid")

    def test_a_deleted_one_is_made_again(self) -> None:
        world = settled()
        world.cron_job = None
        world.settle(at("11:40"))
        assert world.status().cron_job == world.applied

    def test_one_that_is_being_deleted_is_awaited(self) -> None:
        world = settled()
        world.cron_job = replace(world.live(), deleting=True)
        world.settle(at("11:40"))
        assert (len(world.applies), world.ready()[:2], world.events) == (1, ("Unknown", "CronJobIsBeingDeleted"), {})

    def test_a_status_of_the_cron_job_changes_nothing(self) -> None:
        world = settled()
        world.cron_job = replace(world.live(), last_schedule_time=at("11:00"))
        assert is_quiet(world.plan(at("11:40")))

    def test_after_a_restart_what_was_applied_is_known_from_the_status(self) -> None:
        world = settled()
        world.applied = None
        assert is_quiet(world.plan(at("11:40")))

    def test_a_crash_between_applying_and_writing_the_status_applies_once_more(self) -> None:
        world = World(a_task())
        world.carry_out(world.plan(NOON), NOON)
        world.applied = None
        world.settle(NOON)
        assert [applied.digest for applied in world.applies] == [world.applies[0].digest] * 2


class TestANameThatIsTaken:
    @pytest.mark.parametrize("owner", [None, "somebody"])
    def test_a_cron_job_of_somebody_else_is_left_alone(self, owner: str | None) -> None:
        other = a_cron_job(owner_uid=owner, task_label=None)
        world = World(a_task(), cron_job=other)
        world.settle(NOON)
        assert (world.applies, world.cron_job) == ([], other)
        status, reason, message = world.ready()
        assert (status, reason, world.status().state) == ("False", "NameTaken", State.INVALID)
        assert '"report"' in message
        assert "delete it" in message
        assert [event.reason for event in world.events.values()] == ["NameTaken"]

    def test_no_next_run_is_promised(self) -> None:
        world = World(a_task(), cron_job=a_cron_job(owner_uid="somebody", task_label=None))
        world.settle(NOON)
        assert world.status().next_run_times == ()

    def test_when_the_name_is_free_the_task_takes_it(self) -> None:
        world = World(a_task(), cron_job=a_cron_job(owner_uid="somebody"))
        world.settle(NOON)
        world.cron_job = None
        world.settle(at("12:01"))
        assert world.ready()[0] == "True"

    def test_an_orphan_with_the_label_of_the_task_is_adopted(self) -> None:
        world = World(a_task(), cron_job=a_cron_job(owner_uid=None))
        world.settle(NOON)
        assert world.live().owner_uid == "task-uid"

    def test_what_an_earlier_task_of_the_name_left_is_awaited_without_alarm(self) -> None:
        world = World(a_task(), cron_job=a_cron_job(owner_uid="uid-of-an-earlier-task"))
        world.settle(NOON)
        assert (world.applies, world.events) == ([], {})
        assert world.ready()[0] == "Unknown"


class TestADeletedTask:
    def test_its_cron_job_is_not_made_again_while_it_goes(self) -> None:
        world = settled()
        world.task = replace(world.task, deleting=True)
        world.cron_job = None
        assert world.plan(at("12:10")).apply is None

    def test_nothing_is_promised_of_it_and_nobody_is_kept_busy(self) -> None:
        world = settled(schedule="@every 90m")
        world.task = replace(world.task, deleting=True)
        world.cron_job = None
        world.settle(at("12:10"))
        assert world.ready()[0] != "True"
        assert world.status().next_run_times == ()
        assert is_quiet(world.plan(at("12:11")))


def test_the_plan_comes_back_in_the_future_or_never() -> None:
    for minutes in range(0, 180, 7):
        now = at("11:30") + timedelta(minutes=minutes)
        planned = settled(schedule="@every 17m").settle(now)
        assert planned.requeue_at is None or planned.requeue_at > now
