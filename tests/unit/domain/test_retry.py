"""What follows a failed attempt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask.api.status import Trigger
from scheduledtask.domain.retry import Rules, Verdict, after_failure, pointless
from scheduledtask.domain.values import ContainerEnd, Job, Pod

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
JOB = Job(
    name="job-1",
    uid="uid-1",
    creation_time=START,
    scheduled_time=START,
    trigger=Trigger.SCHEDULE,
    max_attempts=5,
    failed=1,
    succeeded=0,
    end=None,
    deleting=False,
)


def spec(**fields: object) -> ScheduledTaskSpec:
    return ScheduledTaskSpec.model_validate({"template": {}, **fields})


def failed_pod(attempt: int = 1, at: float = 30, message: str = "connection reset", disrupted: bool = False) -> Pod:
    return Pod(
        name=f"pod-{attempt}",
        job_uid="uid-1",
        creation_time=START + timedelta(seconds=at - 1),
        succeeded=False,
        disrupted=disrupted,
        failures_before=attempt - 1,
        reason="",
        message="",
        containers=(ContainerEnd(1, "Error", message),),
        end_time=START + timedelta(seconds=at),
    )


def decide(
    job: Job, pods: tuple[Pod, ...], task: ScheduledTaskSpec, next_slot: datetime | None, now: datetime
) -> Verdict:
    return after_failure(job, pods, Rules(task, lambda _: next_slot), None, now)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_job_is_suspended_until_the_next_attempt_is_due() -> None:
    pods = (failed_pod(at=30),)

    waiting = decide(JOB, pods, spec(), None, after(31))
    assert waiting.next_attempt_time == after(90), "a minute, by default"
    assert waiting.patch is not None
    assert waiting.patch.suspend

    suspended = replace(JOB, suspended=True)
    assert decide(suspended, pods, spec(), None, after(89)) == Verdict(after(90))

    resumed = decide(suspended, pods, spec(), None, after(90))
    assert resumed.next_attempt_time is None
    assert resumed.patch is not None
    assert not resumed.patch.suspend
    assert decide(JOB, pods, spec(), None, after(90)) == Verdict(), "it goes on already"


def test_a_run_that_somebody_let_go_before_its_turn_has_started_all_the_same() -> None:
    waiting = decide(replace(JOB, gated=True), (failed_pod(at=30),), spec(), None, after(31))
    assert waiting.patch is not None
    assert waiting.patch.admitted_at == START

    admitted = replace(JOB, gated=True, admitted_time=after(5))
    again = decide(admitted, (failed_pod(at=30),), spec(), None, after(31))
    assert again.patch is not None
    assert again.patch.admitted_at is None


@pytest.mark.parametrize(
    ("attempt", "wait"), [(1, 60), (2, 300), (3, 900), (4, 3600), (5, 3600)], ids=lambda value: str(value)
)
def test_each_wait_is_longer_and_the_last_one_repeats(attempt: int, wait: int) -> None:
    job = replace(JOB, failed=attempt, max_attempts=9)
    pods = tuple(failed_pod(number, at=number) for number in range(1, attempt + 1))

    assert decide(job, pods, spec(), None, after(attempt)).next_attempt_time == after(attempt + wait)


def test_a_wait_below_the_job_controllers_own_needs_no_suspension() -> None:
    verdict = decide(JOB, (failed_pod(at=0),), spec(retry={"backoff": ["3s"]}), None, after(1))

    assert verdict == Verdict(after(10))


def test_at_a_gate_others_go_first_also_during_a_wait_below_the_job_controllers_own() -> None:
    job = replace(JOB, gated=True, admitted_time=START)

    waiting = decide(job, (failed_pod(at=0),), spec(retry={"backoff": ["3s"]}), None, after(1))
    assert waiting.next_attempt_time == after(10)
    assert waiting.patch is not None
    assert waiting.patch.suspend

    due = decide(replace(job, suspended=True), (failed_pod(at=0),), spec(retry={"backoff": ["3s"]}), None, after(10))
    assert due.patch is not None
    assert due.patch.resumes
    assert due.due_since == after(10)


@pytest.mark.parametrize(
    ("job", "seconds", "suspends"),
    [
        (replace(JOB, failed=0, active=1), 31, True),
        (replace(JOB, failed=1, active=0), 31, True),
        (replace(JOB, failed=1, active=1), 31, False),
        (replace(JOB, failed=1, active=0), 39, False),
        (replace(JOB, failed=1, active=0), 55, False),
    ],
    ids=["not booked yet", "booked", "the next pod is there", "a moment before it", "long after"],
)
def test_a_job_is_not_suspended_once_its_next_pod_is_there_or_about_to_be(
    job: Job, seconds: float, suspends: bool
) -> None:
    verdict = decide(job, (failed_pod(at=30),), spec(), None, after(seconds))

    assert (verdict.patch is not None) is suspends


def test_after_the_last_attempt_the_job_controller_has_the_word() -> None:
    assert decide(replace(JOB, max_attempts=1), (failed_pod(),), spec(), None, after(31)) == Verdict()


def test_a_disruption_is_no_attempt() -> None:
    assert decide(replace(JOB, failed=0), (failed_pod(disrupted=True),), spec(), None, after(31)) == Verdict()


def test_an_older_failure_says_nothing_while_the_latest_is_not_seen() -> None:
    assert decide(replace(JOB, failed=2), (failed_pod(1),), spec(), None, after(31)) == Verdict()


def test_a_run_is_given_up_when_the_next_slot_comes_first() -> None:
    verdict = decide(JOB, (failed_pod(at=30),), spec(), after(90), after(31))
    assert verdict.patch is not None
    assert verdict.patch.given_up is not None
    assert verdict.patch.given_up[0] == "NextSlotFirst"

    beyond = decide(JOB, (failed_pod(at=30),), spec(retry={"beyondNextSlot": True}), after(90), after(31))
    assert beyond.next_attempt_time == after(90)


def test_a_resumed_run_keeps_what_is_left_of_its_timeout() -> None:
    task = spec(timeouts={"run": "5m"})

    verdict = decide(replace(JOB, suspended=True), (failed_pod(at=30),), task, None, after(90))
    assert verdict.patch is not None
    assert verdict.patch.time_left == timedelta(seconds=210)

    too_late = decide(replace(JOB, failed=2), (failed_pod(2, at=60),), task, None, after(61))
    assert too_late.patch is not None
    assert too_late.patch.given_up is not None
    assert too_late.patch.given_up[0] == "RunTimeout"


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("HTTP 404 for /matches", "404"),
        ("Permission Denied", "permission denied"),
        ("ValueError: invalid literal", "invalid"),
        ("took 4040 ms", None),
        ("invalidated the cache", None),
        ("503 Service Unavailable", None),
        ("404, then timeout", None),
        ("nothing known", None),
        ('{"error": {"class": "Busy", "message": "invalid now", "retryable": true}}', None),
        ('{"error": {"class": "Gone", "message": "gone", "retryable": false}}', "retryable: false"),
    ],
)
def test_words_tell_whether_another_attempt_is_pointless(message: str, word: str | None) -> None:
    assert pointless(failed_pod(message=message), spec().retry) == word


def test_a_run_that_was_given_up_is_let_alone() -> None:
    job = replace(JOB, given_up=("NonRetryableMessage", "…"))

    assert decide(job, (failed_pod(message="not found"),), spec(), None, after(31)) == Verdict()


def test_a_non_retryable_exit_code_is_the_job_controllers_business() -> None:
    pod = replace(failed_pod(), containers=(ContainerEnd(77, "Error", "403: not found"),))

    assert decide(JOB, (pod,), spec(), None, after(31)) == Verdict()


def test_a_waiting_run_whose_failed_pod_is_gone_goes_on_when_the_status_says() -> None:
    waiting, rules = replace(JOB, suspended=True), Rules(spec(), lambda _: None)

    assert after_failure(waiting, (), rules, after(90), after(89)) == Verdict(after(90))
    for due in (after(90), None):
        resumed = after_failure(waiting, (), rules, due, after(90))
        assert resumed.patch is not None
        assert not resumed.patch.suspend
