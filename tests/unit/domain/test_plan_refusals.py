"""What becomes of a task that can't be carried out: it says so once, and never keeps anybody busy."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from scheduledtask.api.status import State
from scheduledtask.domain.readiness import REFUSAL_RETRY
from scheduledtask.domain.refusal import refusal
from scheduledtask.domain.values import Task
from tests.unit.builders import NOON, a_cron_job, a_job, a_task, at, failed, succeeded
from tests.unit.world import World, is_quiet

BAD_IMAGE = {"spec": {"containers": [{"name": "job", "image": ""}]}}
AFTER_RETRY = NOON + REFUSAL_RETRY


def refused(world: World, code: int, now: datetime = NOON, message: str = "no") -> World:
    """The world in which the API server answers the apply that is planned now with this no, and that is dealt with."""
    planned = world.plan(now)
    assert planned.apply is not None
    world.refusal = refusal(code, message, planned.apply.digest, now + timedelta(microseconds=700_000))
    world.settle(now)
    return world


class TestAFinalRefusal:
    def test_it_is_told_with_the_reason_and_one_event(self) -> None:
        world = refused(World(a_task(template=BAD_IMAGE)), 422, message="image: Required value")
        assert world.ready() == ("False", "Refused", "The API server refuses the CronJob: image: Required value")
        assert world.status().state == State.INVALID
        assert [event.reason for event in world.events.values()] == ["Refused"]

    def test_it_is_not_tried_again(self) -> None:
        world = refused(World(a_task(template=BAD_IMAGE)), 422)
        for later in (1, 60, 3600, 86400):
            planned = world.settle(NOON + timedelta(seconds=later))
            assert planned.apply is None

    def test_it_promises_no_run_that_will_not_come(self) -> None:
        world = refused(World(a_task(template=BAD_IMAGE)), 422)
        assert world.status().next_run_times == ()

    def test_it_writes_nothing_more(self) -> None:
        world = refused(World(a_task(template=BAD_IMAGE, schedule="@every 90m")), 422)
        writes = world.status_writes
        for minutes in range(1, 10):
            world.settle(NOON + timedelta(minutes=minutes))
        assert world.status_writes == writes

    def test_an_edit_is_tried_at_once(self) -> None:
        world = refused(World(a_task(template=BAD_IMAGE)), 422)
        world.edit(a_task())
        world.settle(at("12:01"))
        assert world.ready()[:2] == ("True", "Scheduled")

    def test_the_version_that_was_accepted_goes_on_running_and_the_message_says_so(self) -> None:
        world = World(a_task())
        world.settle(at("11:30"))
        world.edit(a_task(template=BAD_IMAGE))
        refused(world, 422)
        assert "goes on running" in world.ready()[2]
        world.jobs = (succeeded(a_job(), at("12:05")),)
        world.settle(at("12:06"))
        assert world.status().success_count == 1


class TestARefusalThatMayPass:
    def test_it_is_tried_again_after_a_while(self) -> None:
        world = refused(World(a_task()), 403)
        assert world.plan(AFTER_RETRY - timedelta(seconds=1)).apply is None
        assert world.plan(AFTER_RETRY).apply is not None

    def test_until_then_nobody_is_kept_busy(self) -> None:
        world = refused(World(a_task()), 403)
        planned = world.plan(NOON + timedelta(seconds=1))
        assert planned.requeue_at == AFTER_RETRY
        assert is_quiet(planned)

    def test_the_same_no_once_more_writes_and_tells_nothing(self) -> None:
        world = refused(World(a_task()), 403)
        writes = world.status_writes
        refused(world, 403, AFTER_RETRY)
        assert (world.status_writes, len(world.events)) == (writes, 1)

    @pytest.mark.parametrize(
        "then",
        [
            pytest.param(a_task(), id="the edit is undone"),
            pytest.param(a_task(schedule="no schedule"), id="the spec turns invalid"),
            pytest.param(a_task(history={"runs": 3}), id="the edit is undone and something else changes"),
        ],
    )
    def test_a_no_to_what_is_not_wanted_any_more_keeps_nobody_busy(self, then: Task) -> None:
        world = World(a_task())
        world.settle(at("11:30"))
        world.edit(a_task(retry={"maxAttempts": 2}))
        refused(world, 403)
        world.edit(then)
        for minutes in (1, 4, 5, 6, 30, 90):
            now = NOON + timedelta(minutes=minutes)
            planned = world.settle(now)
            assert planned.requeue_at is None or planned.requeue_at > now + timedelta(seconds=20)

    def test_a_no_before_the_name_was_taken_keeps_nobody_busy(self) -> None:
        world = refused(World(a_task()), 403)
        world.cron_job = a_cron_job(owner_uid="somebody", task_label=None)
        now = NOON + timedelta(hours=1)
        assert world.settle(now).requeue_at is None

    @pytest.mark.parametrize("microseconds", [0, 1, 700_000, 999_999])
    def test_a_timer_that_fires_within_the_second_finds_it_due(self, microseconds: int) -> None:
        world = refused(World(a_task()), 403)
        due = world.plan(at("12:00:30")).requeue_at
        assert due is not None
        assert world.plan(due + timedelta(microseconds=microseconds)).apply is not None


class TestAnInvalidSpec:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"schedule": "61 * * * *"}, "spec.schedule"),
            ({"timeZone": "Europe/Berln"}, "Europe/Berlin"),
            ({"template": {"spec": {"containers": ["job"]}}}, "spec.template"),
        ],
    )
    def test_it_is_told_once_and_costs_nothing_more(self, fields: dict[str, object], words: str) -> None:
        world = World(a_task(**fields))
        assert world.settle(NOON).requeue_at is None
        assert (world.ready()[:2], world.status().state) == (("False", "InvalidSpec"), State.INVALID)
        assert words in world.ready()[2]
        assert len(world.events) == 1
        assert is_quiet(world.plan(NOON + timedelta(days=1)))

    def test_a_spec_that_cannot_be_read_is_told_in_the_words_of_the_reader(self) -> None:
        world = World(replace(a_task(), spec=None, invalid="spec.retry.maxAttempts: it is 0"))
        world.settle(NOON)
        assert world.ready()[2] == "spec.retry.maxAttempts: it is 0"

    def test_the_version_accepted_before_goes_on_and_its_runs_are_counted(self) -> None:
        world = World(a_task())
        world.settle(at("11:30"))
        world.edit(a_task(schedule="61 * * * *"))
        world.jobs = (failed(a_job(), at("12:05")),)
        world.settle(at("12:05"))
        assert "goes on running" in world.ready()[2]
        assert world.status().failure_count == 1
        assert world.status().cron_job == world.applied

    def test_once_mended_it_is_as_if_it_had_been_made_so(self) -> None:
        world = World(a_task(schedule="61 * * * *"))
        world.settle(at("11:00"))
        world.edit(a_task())
        world.settle(NOON)
        assert world.ready() == ("True", "Scheduled", 'Runs by "0 * * * *", time zone Etc/UTC.')
        assert world.live().schedule == "0 * * * *"

    def test_a_very_long_message_is_cut_so_that_the_status_can_be_written(self) -> None:
        world = World(replace(a_task(), spec=None, invalid="ü" * 100_000))
        world.settle(NOON)
        assert world.ready()[1] == "InvalidSpec"
