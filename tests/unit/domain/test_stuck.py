"""Attempts that do not start: when they are looked at, what ends them, what follows and what is said."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.api.status import State
from scheduledtask.domain.retry import JobPatch, Rules, Verdict, after_failure
from scheduledtask.domain.stuck import look
from scheduledtask.domain.values import Job, OpenPod, Start, Stuck
from tests.unit.builders import NOON, a_job, a_pod, a_spec, a_task, at, exited, failed, succeeded
from tests.unit.world import World, is_quiet

PULL_ERROR = ("ErrImagePull", "manifest unknown: not found")
NO_NODE = ("Unschedulable", "0/1 nodes are available: 1 Insufficient memory.")


def running_job(**changes: Any) -> Job:
    """A Job since noon, with a pod of which nobody knows whether it has started."""
    return a_job(**{"active": 1, "start_time": NOON, **changes})


def waiting_pod(created: datetime = NOON, **changes: Any) -> OpenPod:
    return replace(OpenPod("run-1-0-abc", created, pending=True, waiting=(PULL_ERROR,)), **changes)


def world(job: Job | None = None, pod: OpenPod | None = None, **spec: Any) -> World:
    """A task on demand in place since 11:30, with a run since noon that the status lists."""
    made = World(a_task(schedule=None, retry={"maxAttempts": 3, "backoff": ["1m", "5m"]}, **spec))
    made.settle(at("11:30"))
    job = job or running_job()
    made.jobs = (job,)
    if pod:
        made.open_pods[job.uid] = pod
    made.settle(at("12:00:10"))
    made.status_writes = 0
    return made


def look_at(pod: OpenPod | None, clock: str = "12:10", **timeouts: str) -> Start:
    return look(running_job(), [pod] if pod else [], a_spec(timeouts=timeouts), at(clock))


class TestWhenPodsAreRead:
    def test_once_when_the_attempt_is_late(self) -> None:
        found = world(pod=waiting_pod(pending=False))
        assert found.plan(at("12:09:59")).requeue_at == at("12:10")
        assert found.reads == []
        assert found.plan(at("12:10")).requeue_at is None
        for moment in ("12:10:01", "13:00", "20:00"):
            assert is_quiet(found.plan(at(moment)))
        assert found.reads == ["run-1"], "it runs, ready or not"

    @pytest.mark.parametrize(
        "job",
        [
            running_job(ready=1),
            running_job(active=0),
            running_job(suspended=True),
            running_job(deleting=True),
            running_job(given_up=("Cancelled", "")),
            running_job(start_time=None),
            succeeded(running_job(), at("12:05")),
        ],
        ids=["ready", "no pod", "suspended", "deleting", "given up", "not begun", "ended"],
    )
    def test_never_where_there_is_nothing_to_find_out(self, job: Job) -> None:
        found = world(pod=waiting_pod())
        found.jobs = (job,)
        found.plan(at("23:00"))
        assert found.reads == []

    def test_later_where_the_job_began_late_or_went_on_after_a_suspension(self) -> None:
        found = world(running_job(start_time=at("12:30")), waiting_pod(at("12:30")))
        assert found.plan(at("12:30")).requeue_at == at("12:40")

    def test_later_where_the_job_controller_waits_before_it_tries_again(self) -> None:
        job = running_job(failed=1)
        found = world(job, waiting_pod(at("12:05:10")), timeouts={"pending": "2m"})
        found.pods = (a_pod(job, exited(1), end_time=at("12:05")),)
        assert found.plan(at("12:06:30")).requeue_at == at("12:07:10"), "10 s after the failure, and 2 minutes"

    def test_again_for_each_attempt(self) -> None:
        found = world(pod=waiting_pod(pending=False))
        found.plan(at("12:10"))
        found.jobs = (running_job(failed=1),)
        found.plan(at("12:30"))
        assert found.reads == ["run-1", "run-1"]

    def test_again_where_a_pod_that_was_ready_has_another_in_its_place(self) -> None:
        found = world(pod=waiting_pod(pending=False))
        found.plan(at("12:10"))
        found.jobs = (running_job(ready=1),)
        found.plan(at("12:20"))
        found.jobs, found.open_pods = (running_job(),), {"uid-of-run-1": waiting_pod(at("12:30"))}
        assert found.plan(at("12:30")).requeue_at == at("12:40")

    def test_again_where_an_edit_allows_less(self) -> None:
        found = world(pod=waiting_pod(pending=False))
        found.plan(at("12:10"))
        found.edit(a_task(schedule=None, timeouts={"pending": "1m"}))
        found.settle(at("12:20"))
        assert found.reads == ["run-1", "run-1"]

    def test_by_each_process_once(self) -> None:
        found = world(pod=waiting_pod(pending=False))
        found.plan(at("12:10"))
        found.starts = {}
        found.plan(at("12:11"))
        assert found.reads == ["run-1", "run-1"]


class TestWhatAPodTells:
    @pytest.mark.parametrize(
        ("pod", "reason", "words"),
        [
            (waiting_pod(), "ErrImagePull", "manifest unknown: not found"),
            (waiting_pod(waiting=(("PodInitializing", ""), PULL_ERROR)), *PULL_ERROR),
            (waiting_pod(running=True), "ErrImagePull", "manifest unknown: not found"),
            (waiting_pod(waiting=(("CreateContainerError", "one\n  two"),)), "CreateContainerError", "one two"),
            (waiting_pod(waiting=(("InvalidImageName", ""),)), "InvalidImageName", "InvalidImageName"),
            (waiting_pod(waiting=(), unscheduled=NO_NODE), *NO_NODE),
        ],
        ids=["a container", "an init container", "a sidecar runs", "two lines", "no message", "no node"],
    )
    def test_what_it_waits_for_in_kubernetes_own_words(self, pod: OpenPod, reason: str, words: str) -> None:
        assert look_at(pod).stuck == (reason, f"Not started within timeouts.pending (10m): {words}")

    @pytest.mark.parametrize(
        ("pod", "words"),
        [
            (waiting_pod(waiting=(("ContainerCreating", ""),)), "ContainerCreating"),
            (waiting_pod(waiting=()), "Kubernetes gives no reason"),
        ],
    )
    def test_where_that_says_nothing_its_events_may(self, pod: OpenPod, words: str) -> None:
        events = "`kubectl get events --field-selector involvedObject.name=run-1-0-abc` may tell more"
        message = f"Not started within timeouts.pending (10m): {words}; {events}"
        assert look_at(pod).stuck == ("PendingTimeout", message)

    def test_long_words_are_cut_so_that_the_history_has_room_for_them(self) -> None:
        stuck = look_at(waiting_pod(waiting=(("ErrImagePull", "x" * 5000),))).stuck
        assert stuck is not None
        assert len(stuck[1]) < 1000

    def test_one_that_came_late_gets_its_time(self) -> None:
        assert look_at(waiting_pod(at("12:04"))).again_at == at("12:14")

    def test_one_that_initializes_has_started_and_its_wait_counts_from_the_end_of_that(self) -> None:
        initializing = waiting_pod(running=True, waiting=(("PodInitializing", ""),))
        assert look_at(initializing).again_at == at("12:20")
        assert look_at(waiting_pod(last_end=at("12:08"))).again_at == at("12:18")

    def test_none_at_all_is_awaited(self) -> None:
        assert look_at(None) == replace(look_at(None), stuck=None, again_at=at("12:20"))

    @pytest.mark.parametrize(
        ("timeouts", "before", "limit", "told"),
        [
            ({"attempt": "5m", "run": "6m"}, "12:04:54", "12:04:55", "timeouts.attempt (5m)"),
            ({"run": "6m"}, "12:05:54", "12:05:55", "timeouts.run (6m)"),
            ({"attempt": "8s", "run": "9s"}, "12:09:59", "12:10", "timeouts.pending (10m)"),
        ],
        ids=["attempt", "run", "too short to be looked at"],
    )
    def test_another_timeout_may_come_first_and_would_tell_nothing(
        self, timeouts: dict[str, str], before: str, limit: str, told: str
    ) -> None:
        assert look_at(waiting_pod(), before, **timeouts).again_at == at(limit)
        stuck = look_at(waiting_pod(), limit, **timeouts).stuck
        assert stuck is not None
        assert told in stuck[1]


class TestItsEnd:
    def test_is_a_suspension_that_counts_and_one_write_that_says_when_the_next_is_due(self) -> None:
        found = world(pod=waiting_pod())
        planned = found.plan(at("12:10"))
        stuck = Stuck(1, at("12:10"), *(look_at(waiting_pod()).stuck or ()))
        (patch,) = planned.job_patches
        assert (patch.suspend, patch.stuck, patch.given_up) == (True, stuck, None)
        assert planned.requeue_at == at("12:11")

        found.settle(at("12:10"))
        (run,) = found.status().active
        assert (run.attempt, run.next_attempt_time, found.status().state) == (2, at("12:11"), State.RETRYING)
        assert found.status_writes == 1

    @pytest.mark.parametrize("calls", [0, 1, 2])
    def test_a_crash_at_any_call_counts_it_once(self, calls: int) -> None:
        found = world(pod=waiting_pod())
        found.carry_out(found.plan(at("12:10")), at("12:10"), calls)
        found.starts = {}
        found.settle(at("12:10:03"))
        (job,) = found.jobs
        assert job.stuck is not None
        assert (job.stuck.attempts, job.suspended, found.status().active[0].attempt) == (1, True, 2)

    def test_the_next_attempt_comes_after_the_backoff_and_may_be_stuck_as_well(self) -> None:
        found = world(pod=waiting_pod())
        found.settle(at("12:10"))
        found.settle(at("12:11"))
        (job,) = found.jobs
        assert not job.suspended

        found.jobs = (replace(job, active=1, start_time=at("12:11")),)
        found.open_pods[job.uid] = waiting_pod(at("12:11"))
        found.settle(at("12:20:59"))
        found.settle(at("12:21"))
        assert found.reads == ["run-1", "run-1"]
        assert (found.status().active[0].attempt, found.status().active[0].next_attempt_time) == (3, at("12:26"))

    def test_its_pod_is_no_failure_although_the_kubelet_calls_it_failed_on_its_way_out(self) -> None:
        found = world(pod=waiting_pod())
        found.settle(at("12:10"))
        (job,) = found.jobs
        leaving = a_pod(job, exited(137, "could not be located"), deleting=True)
        found.pods = (leaving,)
        assert is_quiet(found.plan(at("12:10:01")))
        found.pods = (replace(leaving, deleting=False),)
        assert not is_quiet(found.plan(at("12:10:01"))), "another that failed before it counts"

    def test_a_command_that_ends_the_run_goes_first(self) -> None:
        found = world(pod=waiting_pod())
        found.task = replace(found.task, annotations=(("cancel.scheduledtask.dev/run-1", "enough"),))
        planned = found.plan(at("12:10"))
        assert [ending.reason for ending in planned.endings] == ["Cancelled"]
        assert planned.job_patches == ()

    def test_a_task_that_cannot_be_read_ends_nothing(self) -> None:
        found = world(pod=waiting_pod())
        found.task = replace(found.task, spec=None, invalid="no")
        assert found.plan(at("23:00")).job_patches == ()
        assert found.reads == []


def stuck_job(attempts: int = 1, when: str = "12:10", **changes: Any) -> Job:
    """A Job whose latest attempts did not start, suspended since, its pod removed."""
    stuck = Stuck(attempts, at(when), "ErrImagePull", "Not started within timeouts.pending (10m): not found")
    return running_job(**{"suspended": True, "active": 0, "stuck": stuck, "max_attempts": 3, **changes})


def follow(job: Job, now: str, *pods: Any, known_due: datetime | None = None, **spec: Any) -> Verdict:
    next_slot = spec.pop("next_slot", None)
    rules = Rules(a_spec(retry={"maxAttempts": 3, "backoff": ["1m", "5m"]}, **spec), lambda _: next_slot)
    return after_failure(job, pods, rules, known_due, at(now))


class TestWhatFollows:
    def test_the_next_attempt_when_the_backoff_of_all_attempts_says(self) -> None:
        assert follow(stuck_job(), "12:10:59") == Verdict(at("12:11"))
        assert follow(stuck_job(), "12:11") == Verdict(None, JobPatch(stuck_job(), suspend=False), at("12:11"))
        job = stuck_job(failed=1)
        assert follow(job, "12:11", a_pod(job, exited(1), end_time=at("12:01"))) == Verdict(at("12:15"))

    def test_words_that_would_make_another_attempt_pointless_do_not_here(self) -> None:
        assert follow(stuck_job(), "12:10").next_attempt_time == at("12:11"), "the image may be there in a minute"

    def test_nothing_before_the_job_controller_has_removed_the_pod(self) -> None:
        assert follow(stuck_job(active=1), "12:10") == Verdict(at("12:11"))
        assert follow(stuck_job(active=1), "12:11") == Verdict()
        assert follow(stuck_job(attempts=3, active=1), "12:10") == Verdict()

    def test_after_the_last_attempt_the_run_ends_for_the_reason_of_that(self) -> None:
        job = stuck_job(attempts=3)
        assert follow(job, "12:10") == Verdict(
            None, JobPatch(job, suspend=False, time_left=timedelta(0), given_up=("ErrImagePull", ""))
        )

    @pytest.mark.parametrize(
        ("rules", "reason"),
        [({"timeouts": {"run": "10m30s"}}, "RunTimeout"), ({"next_slot": at("12:11")}, "NextSlotFirst")],
    )
    def test_no_attempt_that_would_come_too_late(self, rules: dict[str, Any], reason: str) -> None:
        patch = follow(stuck_job(), "12:10", **rules).patch
        assert patch is not None
        assert patch.given_up is not None
        assert patch.given_up[0] == reason

    def test_an_attempt_that_the_runs_timeout_ends_is_its_last(self) -> None:
        patch = follow(stuck_job(attempts=3), "12:10", timeouts={"run": "10m5s"}).patch
        assert patch is not None
        assert patch.given_up == ("RunTimeout", "")

    def test_a_failure_after_it_counts_together_with_it(self) -> None:
        job = stuck_job(attempts=2, suspended=False, failed=0, active=1)
        last = a_pod(job, exited(3, "busy"), creation_time=at("12:16"), end_time=at("12:17"))
        assert follow(job, "12:17:01", last) == Verdict(
            None, JobPatch(job, suspend=False, given_up=("NonZeroExit", ""))
        )

    def test_a_failure_before_it_says_nothing_while_the_attempt_after_it_goes_on(self) -> None:
        job = stuck_job(suspended=False, active=1, failed=1)
        assert follow(job, "12:20", a_pod(job, exited(1), end_time=at("12:01"))) == Verdict()

    def test_a_failure_whose_pod_is_gone_is_waited_for_as_the_status_says(self) -> None:
        assert follow(stuck_job(failed=1), "12:15", known_due=at("12:30")) == Verdict(at("12:30"))
        assert follow(stuck_job(failed=1), "12:11") == Verdict(at("12:15"))


@given(
    failures=st.integers(0, 3),
    known=st.booleans(),
    attempts=st.integers(1, 3),
    stuck_at=st.integers(0, 30),
    suspended=st.booleans(),
    active=st.integers(0, 1),
    minute=st.integers(0, 59),
)
def test_no_attempt_beyond_the_last_and_none_before_the_pod_is_gone(
    failures: int, known: bool, attempts: int, stuck_at: int, suspended: bool, active: int, minute: int
) -> None:
    job = stuck_job(attempts, f"12:{stuck_at}", failed=failures, suspended=suspended, active=active)
    pods = [
        a_pod(job, exited(1), attempt=number, end_time=at(f"12:{number:02}"))
        for number in range(1, failures + 1)
        if known
    ]
    patch = follow(job, f"12:{minute:02}", *pods).patch
    if patch is None:
        return
    if patch.given_up:
        assert failures + attempts >= job.max_attempts, "nothing else ends this run"
    elif not patch.suspend:
        assert suspended
        assert failures + attempts < job.max_attempts
        assert not active or (known and failures - 1 > stuck_at), "a stuck pod is to be removed first"
        last = f"12:{max(stuck_at, failures if known else 0):02}"
        assert at(f"12:{minute:02}") > at(last), "each is followed by a pause"


class TestWhatIsSaid:
    def end(self, job: Job, *pods: Any) -> World:
        found = world()
        found.jobs, found.pods = (job,), pods
        found.settle(at("12:30:01"))
        return found

    def test_of_a_run_whose_attempts_never_started(self) -> None:
        given_up = stuck_job(attempts=3, given_up=("ErrImagePull", ""))
        found = self.end(failed(given_up, at("12:30"), attempts=0, reason="DeadlineExceeded", message="too long"))
        (entry,) = found.status().history
        assert (entry.reason, entry.attempts, entry.exit_code) == ("ErrImagePull", 3, None)
        assert entry.message == "Not started within timeouts.pending (10m): not found"
        assert found.status().retry_count == 2
        error = found.status().last_error
        assert error is not None
        assert (error.reason, error.message) == ("ErrImagePull", entry.message)
        (event,) = found.events.values()
        assert event.note == f"Run run-1 failed after 3 attempts (ErrImagePull): {entry.message}"

    def test_of_one_that_was_given_up_before_its_last_attempt(self) -> None:
        given_up = stuck_job(given_up=("NextSlotFirst", "attempt 2 would not be due before the next slot"))
        found = self.end(failed(given_up, at("12:30"), attempts=0, reason="DeadlineExceeded"))
        assert found.status().history[0].message == (
            "Given up: attempt 2 would not be due before the next slot.\n"
            "Not started within timeouts.pending (10m): not found"
        )

    def test_of_one_whose_last_attempt_failed_its_own_words(self) -> None:
        job = failed(stuck_job(attempts=2, given_up=("NonZeroExit", "")), at("12:30"))
        found = self.end(job, a_pod(job, exited(3, "busy"), creation_time=at("12:16")))
        (entry,) = found.status().history
        assert (entry.reason, entry.message, entry.attempts, entry.exit_code) == ("NonZeroExit", "busy", 3, 3)

    def test_of_one_whose_earlier_attempt_failed_not_its_words(self) -> None:
        job = failed(stuck_job(attempts=2, given_up=("ErrImagePull", "")), at("12:30"))
        found = self.end(job, a_pod(job, exited(3, "busy"), creation_time=at("12:01")))
        (entry,) = found.status().history
        assert (entry.reason, entry.attempts, entry.exit_code) == ("ErrImagePull", 3, None)
        assert "busy" not in (entry.message or "")

    def test_of_one_that_succeeded_in_the_end(self) -> None:
        (entry,) = self.end(succeeded(stuck_job(attempts=2), at("12:30"))).status().history
        assert (entry.reason, entry.attempts) == ("Completed", 3)
