"""The account of a task's runs: what is counted, what is listed, what may be deleted."""

from dataclasses import replace
from datetime import timedelta

from scheduledtask.api.status import Outcome, ScheduledTaskStatus, State
from scheduledtask.domain.ledger import jobs_to_prune, jobs_to_read, keep_ledger, missing_runs
from scheduledtask.domain.values import Job, Pod, Snapshot, Stuck
from tests.unit.builders import NOON, a_job, a_pod, a_task, at, exited, failed, succeeded
from tests.unit.world import World

LATER = at("12:30")
ENDED = succeeded(a_job("done"), at("12:05"))


def snapshot(*jobs: Job, status: ScheduledTaskStatus | None = None, pods: tuple[Pod, ...] = ()) -> Snapshot:
    task = a_task()
    return Snapshot(replace(task, status=status or task.status), None, jobs, pods, None, None)


class TestCounting:
    def test_a_success_counts_once_however_often_it_is_seen(self) -> None:
        once = keep_ledger(snapshot(ENDED), LATER, 10).status
        twice = keep_ledger(snapshot(ENDED, status=once), LATER, 10)
        assert once.success_count == 1
        assert twice.status == once
        assert twice.ended == ()

    def test_attempts_beyond_the_first_are_retries(self) -> None:
        status = keep_ledger(snapshot(failed(a_job(), at("12:05"), attempts=4)), LATER, 10).status
        assert (status.failure_count, status.retry_count) == (1, 3)

    def test_a_run_that_never_got_a_pod_has_no_retries(self) -> None:
        ended = failed(a_job(), at("12:05"), attempts=0, reason="DeadlineExceeded")
        assert keep_ledger(snapshot(ended), LATER, 10).status.retry_count == 0

    def test_failures_in_a_row_go_by_the_order_in_which_runs_ended(self) -> None:
        jobs = (
            failed(a_job("first-started", creation_time=at("11:00")), at("12:20")),
            succeeded(a_job("last-started", creation_time=at("12:10")), at("12:15")),
        )
        status = keep_ledger(snapshot(*jobs), LATER, 10).status
        assert status.consecutive_failures == 1
        assert status.last_outcome == Outcome.FAILED

    def test_a_success_ends_the_row_of_failures_but_keeps_the_last_error(self) -> None:
        before = keep_ledger(snapshot(failed(a_job("bad"), at("12:05"))), LATER, 10).status
        after = keep_ledger(snapshot(succeeded(a_job("good"), at("12:10")), status=before), LATER, 10).status
        assert (before.consecutive_failures, after.consecutive_failures) == (1, 0)
        assert after.last_error is not None
        assert after.last_error.run == "bad"

    def test_a_job_older_than_the_task_is_that_of_a_deleted_task_of_the_same_name(self) -> None:
        old = succeeded(a_job("old", creation_time=NOON - timedelta(days=2)), LATER)
        status = keep_ledger(snapshot(old), LATER, 10).status
        assert (status.success_count, status.history, status.counted_jobs) == (0, (), ())

    def test_times_of_the_status_are_those_of_the_runs(self) -> None:
        status = keep_ledger(snapshot(ENDED), LATER, 10).status
        assert (status.last_run_time, status.last_schedule_time) == (NOON, NOON)
        assert (status.last_success_time, status.last_duration) == (at("12:05"), "5m")

    def test_a_clock_that_went_back_gives_no_negative_duration(self) -> None:
        ended = succeeded(a_job(), at("11:59"))
        assert keep_ledger(snapshot(ended), LATER, 10).status.last_duration == "0s"


class TestActiveRuns:
    def test_a_run_is_listed_from_its_start(self) -> None:
        ledger = keep_ledger(snapshot(a_job()), LATER, 10)
        assert [run.run for run in ledger.status.active] == ["run-1"]
        assert [run.run for run in ledger.started] == ["run-1"]

    def test_a_run_starts_once(self) -> None:
        known = keep_ledger(snapshot(a_job()), LATER, 10).status
        assert keep_ledger(snapshot(a_job(), status=known), LATER, 10).started == ()

    def test_a_listed_run_whose_job_is_gone_was_cancelled(self) -> None:
        known = keep_ledger(snapshot(replace(a_job(), failed=2)), LATER, 10).status
        ledger = keep_ledger(snapshot(status=known), LATER, 10)
        entry = ledger.status.history[0]
        assert (entry.outcome, entry.reason, entry.attempts, entry.end_time) == ("Cancelled", "JobDeleted", 3, LATER)
        assert (ledger.status.cancelled_count, ledger.status.active) == (1, ())

    def test_a_cancelled_run_is_no_failure(self) -> None:
        known = keep_ledger(snapshot(a_job(), failed(a_job("bad"), at("12:05"))), LATER, 10).status
        status = keep_ledger(snapshot(status=known), LATER, 10).status
        assert (status.failure_count, status.consecutive_failures, status.cancelled_count) == (1, 1, 1)

    def test_a_job_that_is_being_deleted_goes_on_until_it_is_gone(self) -> None:
        status = keep_ledger(snapshot(replace(a_job(), deleting=True)), LATER, 10).status
        assert status.active_runs == 1

    def test_so_many_active_runs_as_the_status_can_hold_are_listed(self) -> None:
        jobs = [a_job(f"run-{number}", uid=f"{number}") for number in range(1500)]
        status = keep_ledger(snapshot(*jobs), LATER, 10).status
        ScheduledTaskStatus.model_validate(status.model_dump())
        assert status.active_runs == 1500


class TestHistory:
    def test_it_holds_the_newest_first(self) -> None:
        jobs = [succeeded(a_job(f"run-{minute}"), at(f"12:{minute:02}")) for minute in (7, 3, 9, 5)]
        status = keep_ledger(snapshot(*jobs), LATER, 3).status
        assert [entry.run for entry in status.history] == ["run-9", "run-7", "run-5"]

    def test_what_it_drops_stays_counted_while_its_job_exists(self) -> None:
        jobs = [succeeded(a_job(f"run-{minute}"), at(f"12:{minute:02}")) for minute in range(1, 6)]
        full = keep_ledger(snapshot(*jobs), LATER, 2).status
        assert full.counted_jobs == ("uid-of-run-1", "uid-of-run-2", "uid-of-run-3")
        again = keep_ledger(snapshot(*jobs, status=full), LATER, 2).status
        assert again.success_count == 5
        fewer = keep_ledger(snapshot(*jobs[1:], status=full), LATER, 2).status
        assert fewer.counted_jobs == ("uid-of-run-2", "uid-of-run-3")

    def test_a_shorter_history_forgets_no_count(self) -> None:
        jobs = [succeeded(a_job(f"run-{minute}"), at(f"12:{minute:02}")) for minute in range(1, 6)]
        long = keep_ledger(snapshot(*jobs), LATER, 100).status
        short = keep_ledger(snapshot(*jobs, status=long), LATER, 1).status
        assert (len(short.history), len(short.counted_jobs), short.success_count) == (1, 4, 5)

    def test_a_long_absence_leaves_a_status_that_can_be_written(self) -> None:
        ended = [succeeded(a_job(f"run-{number}", uid=f"{number}"), LATER) for number in range(1100)]
        world = World(a_task(), jobs=tuple(ended))
        world.settle(LATER)
        assert world.status().success_count == 1100

    def test_of_so_many_those_that_ended_first_are_counted_first(self) -> None:
        minutes = [*range(30), *range(59, 29, -1)] * 20
        ended = [succeeded(a_job(f"run-{number}"), at(f"12:{minute:02}")) for number, minute in enumerate(minutes)]
        first = keep_ledger(snapshot(*ended), at("13:00"), 10).ended
        assert len(first) < len(ended)
        latest = max(run.entry.end_time for run in first)
        left = {job.uid for job in ended} - {run.entry.uid for run in first}
        assert all(job.end and job.end.time >= latest for job in ended if job.uid in left)

    def test_a_run_that_vanished_beside_a_thousand_that_ended_is_counted_too(self) -> None:
        world = World(a_task(), jobs=(a_job("vanishes"),))
        world.settle(NOON)
        world.jobs = tuple(succeeded(a_job(f"run-{number}", uid=f"{number}"), LATER) for number in range(1000))
        world.settle(LATER)
        assert (world.status().success_count, world.status().cancelled_count) == (1000, 1)

    def test_a_listed_run_that_ended_among_a_thousand_and_was_deleted_before_it_was_counted_is_not_lost(self) -> None:
        world = World(a_task(), jobs=(a_job("listed"),))
        world.settle(NOON)
        others = tuple(succeeded(a_job(f"run-{number}", uid=f"{number}"), at("12:05")) for number in range(1000))
        world.jobs = (*others, succeeded(a_job("listed"), LATER))
        world.carry_out(world.plan(LATER), LATER)
        world.jobs = others
        world.settle(LATER)
        status = world.status()
        assert status.success_count + status.cancelled_count == 1001


class TestMissingRuns:
    def test_an_active_run_whose_job_is_not_known_is_missing_until_it_is_counted(self) -> None:
        active = keep_ledger(snapshot(a_job("run")), LATER, 10).status
        assert missing_runs(snapshot(a_job("run"), status=active)) == ()
        assert [run.run for run in missing_runs(snapshot(status=active))] == ["run"]
        counted = keep_ledger(snapshot(status=active), LATER, 10).status
        assert missing_runs(snapshot(status=counted)) == ()


class TestLastWords:
    def test_the_pods_of_a_succeeded_run_are_read(self) -> None:
        assert jobs_to_read(snapshot(ENDED)) == (ENDED,)

    def test_those_of_an_active_or_counted_run_are_not(self) -> None:
        counted = keep_ledger(snapshot(ENDED), LATER, 10).status
        assert jobs_to_read(snapshot(a_job(), ENDED, status=counted)) == ()

    def test_a_failed_pod_that_is_known_need_not_be_read(self) -> None:
        job = failed(a_job(), at("12:05"))
        assert jobs_to_read(snapshot(job, pods=(a_pod(job, exited(1)),))) == ()

    def test_a_run_whose_last_failed_pod_is_not_known_yet_is_read(self) -> None:
        job = failed(a_job(), at("12:05"), attempts=3)
        assert jobs_to_read(snapshot(job, pods=(a_pod(job, exited(1), attempt=1),))) == (job,)

    def test_failed_attempts_before_a_success_do_not_stand_for_it(self) -> None:
        job = succeeded(replace(a_job(), failed=1), at("12:05"))
        assert jobs_to_read(snapshot(job, pods=(a_pod(job, exited(1)),))) == (job,)

    def test_a_run_whose_attempts_never_started_has_no_pod_to_read(self) -> None:
        stuck = Stuck(1, at("12:04"), "ErrImagePull", "no such host")
        assert jobs_to_read(snapshot(failed(a_job(stuck=stuck), at("12:05"), attempts=0))) == ()
        both = failed(a_job(stuck=stuck), at("12:05"), attempts=1)
        assert jobs_to_read(snapshot(both)) == (both,)

    def test_of_many_only_as_many_as_the_history_shows(self) -> None:
        jobs = [succeeded(a_job(f"run-{minute}"), at(f"12:{minute:02}")) for minute in range(30)]
        assert [job.name for job in jobs_to_read(snapshot(*jobs))] == [f"run-{minute}" for minute in range(20, 30)]


class TestPruning:
    JOBS = tuple(succeeded(a_job(f"run-{minute}"), at(f"12:{minute:02}")) for minute in range(1, 6))
    COUNTED = keep_ledger(snapshot(*JOBS), LATER, 10).status

    def test_the_oldest_go_first(self) -> None:
        surplus = jobs_to_prune(snapshot(*self.JOBS, status=self.COUNTED), 3, 3, LATER).jobs
        assert [job.name for job in surplus] == ["run-1", "run-2"]

    def test_that_of_a_slot_holds_its_name_while_a_request_to_make_it_may_be_under_way(self) -> None:
        slot = replace(succeeded(a_job("slot"), at("12:00")), scheduled_time=at("12:00"))
        by_hand = replace(succeeded(a_job("by-hand"), at("12:00")), scheduled_time=None)
        found = snapshot(slot, by_hand, status=keep_ledger(snapshot(slot, by_hand), LATER, 10).status)
        made = slot.creation_time
        held = jobs_to_prune(found, 0, 0, made + timedelta(seconds=119))
        assert (held.jobs, held.look_again_at) == ((by_hand,), made + timedelta(minutes=2))
        assert set(jobs_to_prune(found, 0, 0, made + timedelta(minutes=2)).jobs) == {slot, by_hand}

    def test_what_the_written_status_does_not_count_stays(self) -> None:
        assert jobs_to_prune(snapshot(*self.JOBS), 0, 0, LATER).jobs == ()

    def test_failed_ones_have_a_limit_of_their_own(self) -> None:
        bad = failed(a_job("bad"), at("12:00"))
        status = keep_ledger(snapshot(*self.JOBS, bad), LATER, 10).status
        assert jobs_to_prune(snapshot(*self.JOBS, bad, status=status), 5, 0, LATER).jobs == (bad,)

    def test_active_ones_and_those_already_going_stay(self) -> None:
        going = replace(self.JOBS[0], deleting=True)
        surplus = jobs_to_prune(snapshot(a_job("active"), going, status=self.COUNTED), 0, 0, LATER).jobs
        assert surplus == ()

    def test_a_task_whose_spec_cannot_be_read_keeps_all(self) -> None:
        unread = replace(a_task(), spec=None, invalid="spec: it is no spec", status=self.COUNTED)
        world = World(unread, jobs=self.JOBS)
        world.settle(LATER)
        assert world.jobs == self.JOBS
        assert world.status().state == State.INVALID
