"""How a run ended, told from its Job and pods: the outcome, the reason, the last words."""

from dataclasses import replace
from typing import Any

import pytest

from scheduledtask.api.status import AttemptFailure, Outcome, State
from scheduledtask.domain.outcome import EndedRun, active_run, ended_run
from scheduledtask.domain.values import ContainerEnd, Job, Pod, Stuck
from tests.unit.builders import a_job, a_pod, a_task, at, exited, failed, succeeded
from tests.unit.world import World

END = at("12:05")
TRACEBACK = "Traceback (most recent call last):\n" + '  File "run.py"\n' * 300 + "ValueError: no matches"


def ended(job: Job, *pods: Pod) -> EndedRun:
    assert job.end is not None
    return ended_run(job, job.end, pods)


def ended_with(job: Job, *containers: ContainerEnd, **pod: Any) -> EndedRun:
    return ended(job, a_pod(job, *containers, **pod))


class TestASuccess:
    JOB = succeeded(a_job(), END)

    def test_it_has_the_result_of_its_program(self) -> None:
        run = ended_with(self.JOB, exited(0, '{"result": {"matches": 7}, "message": "7 new"}'))
        assert (run.entry.outcome, run.entry.reason, run.entry.exit_code) == (Outcome.SUCCEEDED, "Completed", 0)
        assert (run.entry.result, run.entry.message, run.error) == ({"matches": 7}, "7 new", None)

    def test_without_words_it_has_none(self) -> None:
        run = ended_with(self.JOB, exited(0))
        assert (run.entry.result, run.entry.message) == (None, None)

    def test_without_pods_it_is_a_success_all_the_same(self) -> None:
        run = ended(self.JOB)
        assert (run.entry.outcome, run.entry.exit_code, run.entry.attempts) == (Outcome.SUCCEEDED, None, 1)

    def test_its_last_attempt_speaks_not_the_failed_ones_before(self) -> None:
        job = replace(self.JOB, failed=1)
        pods = a_pod(job, exited(1, "first try"), attempt=1), a_pod(job, exited(0, "second try"), attempt=2)
        run = ended(job, *pods)
        assert (run.entry.message, run.entry.exit_code, run.entry.attempts) == ("second try", 0, 2)

    def test_a_failed_attempt_does_not_speak_for_a_succeeded_one_that_is_gone(self) -> None:
        job = replace(self.JOB, failed=1)
        run = ended_with(job, exited(1, "first try"))
        assert (run.entry.outcome, run.entry.exit_code, run.entry.message) == (Outcome.SUCCEEDED, None, None)

    def test_a_sidecar_that_is_told_to_stop_does_not_speak_for_the_program(self) -> None:
        """A native sidecar that ends with 143 on SIGTERM leaves the pod Succeeded."""
        program, sidecar = exited(0, '{"result": {"matches": 7}}'), exited(143, "received SIGTERM")
        run = ended_with(self.JOB, program, sidecar, succeeded=True)
        assert (run.entry.exit_code, run.entry.result) == (0, {"matches": 7})


class TestAFailure:
    JOB = failed(a_job(), END)

    @pytest.mark.parametrize(
        ("containers", "reason", "exit_code", "message"),
        [
            pytest.param([exited(1, "boom")], "NonZeroExit", 1, "boom", id="a program that fails"),
            pytest.param([exited(137, "", "OOMKilled")], "OutOfMemory", 137, "Job has failed indexes", id="no memory"),
            pytest.param(
                [exited(128, "exec: not found", "StartError")], "StartError", 128, "exec: not found", id="no such file"
            ),
            pytest.param(
                [exited(0, "fine"), exited(3, "sad")], "NonZeroExit", 3, "sad", id="the container that failed speaks"
            ),
            pytest.param(
                [exited(1, "boom"), exited(143, "told to stop")], "NonZeroExit", 1, "boom", id="the first that failed"
            ),
            pytest.param([exited(4, "no database")], "NonZeroExit", 4, "no database", id="an init container"),
            pytest.param([exited(1)], "NonZeroExit", 1, "Job has failed indexes", id="a program without words"),
            pytest.param(
                [exited(1, '{"level": "error", "msg": "boom"}')],
                "NonZeroExit",
                1,
                '{"level": "error", "msg": "boom"}',
                id="a log of one JSON line",
            ),
            pytest.param([exited(1, '{"error": "boom"}')], "NonZeroExit", 1, "boom", id="an error that is only words"),
            pytest.param(
                [exited(1, '{"result": {"n": 1}}')],
                "NonZeroExit",
                1,
                '{"result": {"n": 1}}',
                id="a result and then a failure",
            ),
        ],
    )
    def test_it_is_explained_by_its_container(
        self, containers: list[ContainerEnd], reason: str, exit_code: int, message: str
    ) -> None:
        run = ended_with(self.JOB, *containers)
        assert run.error is not None
        assert (run.error.reason, run.error.exit_code, run.error.message) == (reason, exit_code, message)
        assert (run.entry.reason, run.entry.exit_code, run.entry.message) == (reason, exit_code, message)
        assert (run.entry.outcome, run.entry.result) == (Outcome.FAILED, None)

    def test_of_a_long_traceback_the_end_is_kept(self) -> None:
        run = ended_with(self.JOB, exited(1, TRACEBACK))
        assert run.error is not None
        assert run.entry.message is not None
        assert (len(run.error.message), len(run.entry.message)) == (4096, 1024)
        assert run.error.message.endswith("ValueError: no matches")
        assert run.entry.message.endswith("ValueError: no matches")

    @pytest.mark.parametrize(
        ("job_reason", "pod_reason", "told"),
        [
            ("PodFailurePolicy", "", "NonRetryableExitCode"),
            ("DeadlineExceeded", "", "RunTimeout"),
            ("FailedIndexes", "DeadlineExceeded", "AttemptTimeout"),
            ("FailedIndexes", "Evicted", "Evicted"),
            ("FailedIndexes", "", "NonZeroExit"),
            ("PodFailurePolicy", "Evicted", "NonRetryableExitCode"),
        ],
    )
    def test_its_reason_is_what_ended_the_run_then_the_pod_then_the_container(
        self, job_reason: str, pod_reason: str, told: str
    ) -> None:
        job = failed(a_job(), END, reason=job_reason)
        run = ended_with(job, exited(65, "boom"), reason=pod_reason)
        assert run.entry.reason == told

    def test_an_evicted_pod_has_no_containers_and_explains_itself(self) -> None:
        run = ended_with(self.JOB, reason="Evicted", message="The node was low on resource: memory.")
        assert run.error is not None
        assert (run.error.reason, run.error.exit_code) == ("Evicted", None)
        assert run.error.message == "The node was low on resource: memory."

    def test_without_pods_the_job_explains_itself(self) -> None:
        job = failed(
            a_job(), END, attempts=0, reason="DeadlineExceeded", message="Job was active longer than specified"
        )
        run = ended(job)
        assert run.error is not None
        assert (run.error.reason, run.error.message) == ("RunTimeout", "Job was active longer than specified")
        assert run.entry.attempts == 0

    def test_without_any_reason_it_has_one(self) -> None:
        assert ended(failed(a_job(), END, reason="", message="")).entry.reason == "Failed"

    def test_its_last_attempt_speaks(self) -> None:
        job = failed(a_job(), END, attempts=3)
        pods = [a_pod(job, exited(code, f"try {code}"), attempt=code) for code in (2, 3, 1)]
        assert ended(job, *pods).entry.message == "try 3"

    @pytest.mark.parametrize("length", [256, 257, 5000])
    def test_a_reason_of_any_length_can_be_stored(self, length: int) -> None:
        job = failed(a_job(), END)
        world = World(a_task(), jobs=(job,), pods=(a_pod(job, reason="R" * length),))
        world.settle(END)
        assert world.status().failure_count == 1


class TestAnActiveRun:
    @pytest.mark.parametrize(("failed_pods", "attempt"), [(0, 1), (1, 2), (4, 5), (5, 5)])
    def test_its_attempt_follows_the_failed_ones(self, failed_pods: int, attempt: int) -> None:
        assert active_run(a_job(failed=failed_pods), ()).attempt == attempt

    def test_a_failed_pod_counts_before_its_job_says_so(self) -> None:
        job = a_job()
        assert active_run(job, (a_pod(job, exited(1), attempt=2),)).attempt == 3

    def test_a_pod_that_a_drained_node_ended_does_not(self) -> None:
        job = a_job()
        assert active_run(job, (a_pod(job, exited(143), disrupted=True),)).attempt == 1

    def test_it_says_why_the_attempt_before_failed(self) -> None:
        job = a_job(failed=2)
        pods = a_pod(job, exited(1, "first"), attempt=1), a_pod(job, exited(75, "HTTP 503"), attempt=2)
        assert active_run(job, pods).last_failure == AttemptFailure(
            reason="NonZeroExit", message="HTTP 503", exit_code=75
        )

    def test_it_says_what_held_up_an_attempt_that_did_not_start(self) -> None:
        job = a_job(failed=1, stuck=Stuck(1, END, "ErrImagePull", "no such host"))
        run = active_run(job, (a_pod(job, exited(1, "first")),))
        assert (run.attempt, run.last_failure) == (3, AttemptFailure(reason="ErrImagePull", message="no such host"))

    @pytest.mark.parametrize(("attempt", "remembered"), [(2, True), (1, False)], ids=["same attempt", "earlier one"])
    def test_a_reason_outlives_its_pod_until_the_next_attempt_fails(self, attempt: int, remembered: bool) -> None:
        failure = AttemptFailure(reason="NonZeroExit", message="HTTP 503")
        job = a_job(failed=1)
        written = active_run(job, ()).model_copy(update={"attempt": attempt, "last_failure": failure})
        assert active_run(job, (), known=written).last_failure == (failure if remembered else None)

    def test_a_first_attempt_follows_no_failure(self) -> None:
        assert active_run(a_job(), ()).last_failure is None

    @pytest.mark.parametrize(
        ("attempts", "state"), [([1], State.RUNNING), ([2], State.RETRYING), ([2, 1], State.RUNNING)]
    )
    def test_a_task_is_retrying_when_all_its_runs_are(self, attempts: list[int], state: State) -> None:
        jobs = [a_job(f"run-{number}", failed=attempt - 1) for number, attempt in enumerate(attempts)]
        world = World(a_task(), jobs=tuple(jobs))
        world.settle(END)
        assert world.status().state == state
