"""What `why` says of a task, from its status and its Jobs."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduledtask.api.status import HistoryEntry, Outcome, ScheduledTaskStatus, Trigger
from scheduledtask.cli.explanation import Explanation, explain
from scheduledtask.cli.facts import TaskFacts
from scheduledtask.cli.moments import distance
from scheduledtask.cli.why import sentences, show
from scheduledtask.domain.values import Job, JobEnd

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REFUSED = {"type": "Ready", "status": "False", "reason": "InvalidSpec", "message": "spec.timeZone: no"}
READY = {"type": "Ready", "status": "True", "reason": "Scheduled", "message": "Runs."}


def a_task(status: dict[str, Any] | None = None, **spec: Any) -> TaskFacts:
    """An hourly task whose schedule is in place, next due at 13:00, unless said otherwise."""
    known = {
        "observedGeneration": 1,
        "state": "Idle",
        "resolvedSchedule": "0 * * * *",
        "conditions": [READY],
        "nextRunTime": "2026-11-22T13:00:00Z",
        "nextRunTimes": ["2026-11-22T13:00:00Z"],
    }
    meta = {"name": "report", "namespace": "ns", "generation": 1, "creationTimestamp": "2026-11-21T12:00:00Z"}
    body = {"metadata": meta, "spec": {"schedule": "0 * * * *", **spec}, "status": {**known, **(status or {})}}
    return msgspec.convert(body, TaskFacts)


def an_entry(**fields: Any) -> dict[str, Any]:
    """A line of the history as the operator writes it."""
    known: dict[str, Any] = {
        "trigger": Trigger.SCHEDULE,
        "end_time": NOW,
        "reason": "Why",
        "run": "report-1",
        "uid": "1",
    }
    entry = HistoryEntry(**{**known, **fields})
    return entry.model_dump(mode="json", by_alias=True, exclude_none=True)


def an_active_run(**fields: Any) -> dict[str, Any]:
    """A manual run that started ten minutes ago."""
    known = {"run": "r", "uid": "u", "trigger": "Manual", "startTime": "2026-11-22T11:50:00Z", "attempt": 1}
    return known | fields


def a_job(name: str, **changes: Any) -> Job:
    job = Job(
        name=name,
        uid=name,
        creation_time=NOW - timedelta(minutes=5),
        scheduled_time=None,
        trigger=Trigger.MANUAL,
        max_attempts=5,
        failed=0,
        succeeded=0,
        end=None,
        deleting=False,
    )
    return replace(job, **changes)


def of(task: TaskFacts, *jobs: Job) -> Explanation:
    return explain(task, jobs, NOW)


class TestNext:
    @pytest.mark.parametrize(
        ("task", "reason", "said"),
        [
            (a_task(), "Scheduled", "2026-11-22T13:00:00Z, in 1h"),
            (
                a_task(suspend=True, pauseReason="moving"),
                "Suspended",
                "nothing: the task is suspended: moving; `kubectl scheduledtask resume report -n ns` ends that",
            ),
            (
                a_task(pauseUntil="2026-11-22T12:30:00Z"),
                "Paused",
                "nothing until 2026-11-22T12:30:00Z, because the task is paused; then 2026-11-22T13:00:00Z, in 1h. "
                "`kubectl scheduledtask resume report -n ns` ends that",
            ),
            (a_task(pauseUntil="2026-11-22T11:30:00Z"), "Scheduled", "2026-11-22T13:00:00Z, in 1h"),
            (
                a_task({"nextRunTime": None, "conditions": [READY | {"reason": "OnDemand"}]}, schedule=None),
                "OnDemand",
                "nothing by itself: without spec.schedule, runs start on demand only",
            ),
            (
                a_task(
                    {
                        "conditions": [
                            READY | {"status": "False", "reason": "InvalidSpec", "message": "spec.timeZone: no"}
                        ]
                    }
                ),
                "InvalidSpec",
                "nothing new, until this is mended: spec.timeZone: no",
            ),
            (
                a_task({"nextRunTime": None, "resolvedSchedule": "0 0 30 2 *"}, schedule="0 0 30 2 *"),
                "NeverDue",
                'nothing: the schedule "0 0 30 2 *" is never due again',
            ),
        ],
        ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
    )
    def test_it_is_a_time_or_the_reason_for_none(self, task: TaskFacts, reason: str, said: str) -> None:
        explanation = of(task)
        assert (explanation.next.reason, explanation.next.explanation) == (reason, said)

    @pytest.mark.parametrize(
        ("late", "reason"), [(timedelta(seconds=90), "Scheduled"), (timedelta(minutes=3), "Overdue")]
    )
    def test_a_slot_that_passed_without_a_run_is_overdue_after_a_grace(self, late: timedelta, reason: str) -> None:
        task = a_task({"nextRunTime": (NOW - late).isoformat()})
        assert of(task).next.reason == reason

    def test_it_is_unknown_until_the_operator_has_looked_at_the_edit(self) -> None:
        explanation = of(a_task({"observedGeneration": 0}))
        assert explanation.next.reason == "Unknown"
        assert not explanation.up_to_date
        assert "latest edit" in explanation.notes[0]

    def test_a_task_that_nobody_looked_at_says_so(self) -> None:
        new: dict[str, Any] = {"observedGeneration": None, "state": None, "conditions": [], "nextRunTime": None}
        explanation = of(a_task(new))
        assert "has not looked at this task yet: is the operator running?" in explanation.notes[0]
        assert explanation.next.reason == "Unknown"
        assert sentences(explanation, NOW)[0] == "ns/report is not looked at yet."


class TestHistory:
    @pytest.mark.parametrize(
        ("fields", "said", "last_words"),
        [
            ({"outcome": "Succeeded", "reason": "Completed", "attempts": 1, "exit_code": 0}, "Completed", None),
            (
                {"outcome": "Succeeded", "reason": "Completed", "attempts": 3, "message": "3 models"},
                "3 models",
                "3 models",
            ),
            (
                {
                    "outcome": "Failed",
                    "reason": "NonZeroExit",
                    "exit_code": 1,
                    "message": "Traceback:\n  x\nValueError: no\n",
                },
                "the program ended with exit code 1",
                "ValueError: no",
            ),
            (
                {"outcome": "Failed", "reason": "NonRetryableExitCode", "exit_code": 77, "attempts": 1},
                "exit code 77 is one of retry.nonRetryable.exitCodes: no other attempt was made",
                None,
            ),
            (
                {"outcome": "Failed", "reason": "NextSlotFirst", "attempts": 2},
                "the next attempt would not have come before the next slot, so none was made "
                "(retry.beyondNextSlot: true makes one)",
                None,
            ),
            (
                {"outcome": "Failed", "reason": "SomethingNew", "message": "what a newer operator says"},
                "what a newer operator says",
                "what a newer operator says",
            ),
            (
                {
                    "outcome": "Skipped",
                    "reason": "Overlap",
                    "run": None,
                    "uid": None,
                    "message": "report-1 was active.",
                },
                "report-1 was active.",
                "report-1 was active.",
            ),
            ({"outcome": "Missed", "reason": "NoOneThere", "run": None, "uid": None}, "NoOneThere", None),
            (
                {"outcome": "Skipped", "reason": "Paused", "slots": 3, "run": None, "message": "Passed over."},
                "Passed over. (3 slots in a row, this is the latest)",
                "Passed over.",
            ),
        ],
    )
    def test_each_entry_says_why(self, fields: dict[str, Any], said: str, last_words: str | None) -> None:
        (entry,) = of(a_task({"history": [an_entry(**fields)]})).history
        assert (entry.explanation, entry.last_words) == (said, last_words)

    def test_an_outcome_that_only_a_newer_operator_knows_is_no_obstacle(self) -> None:
        entry = an_entry(outcome=Outcome.SKIPPED, reason="Overlap") | {"outcome": "Postponed", "trigger": "Moon"}
        (told,) = of(a_task({"history": [entry], "state": "Queued"})).history
        assert (told.outcome, told.trigger) == ("Postponed", "Moon")


class TestActive:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"attempt": 1}, "attempt 1 of 5 is under way; started 10m ago"),
            (
                {"attempt": 2, "nextAttemptTime": "2026-11-22T12:05:00Z"},
                "attempt 2 of 5 is due at 2026-11-22T12:05:00Z, in 5m; the attempt before failed",
            ),
            (
                {"attempt": 2, "nextAttemptTime": "2026-11-22T11:59:59Z"},
                "attempt 2 of 5 was due at 2026-11-22T11:59:59Z and is about to start; the attempt before failed",
            ),
            (
                {"attempt": 2, "lastFailure": {"reason": "NonZeroExit", "message": "Traceback\nKeyError: 7"}},
                "attempt 2 of 5 is under way; started 10m ago; the attempt before failed: NonZeroExit: KeyError: 7",
            ),
            (
                {
                    "attempt": 2,
                    "nextAttemptTime": "2026-11-22T12:05:00Z",
                    "lastFailure": {"reason": "ErrImagePull", "message": "Not started within 10m: no such host"},
                },
                "attempt 2 of 5 is due at 2026-11-22T12:05:00Z, in 5m; "
                "the attempt before failed: ErrImagePull: Not started within 10m: no such host",
            ),
            (
                {"startTime": None, "waitingFor": 'its turn in group "g"'},
                'attempt 1 of 5 waits for its turn in group "g"',
            ),
            ({"attempt": 1, "progress": "7 of 9"}, "attempt 1 of 5 is under way; started 10m ago; 7 of 9"),
        ],
    )
    def test_a_run_says_where_it_stands(self, fields: dict[str, Any], said: str) -> None:
        (told,) = of(a_task({"active": [an_active_run(**fields)]})).active
        assert told.explanation == said

    def test_an_attempt_that_has_not_started_says_what_holds_it_up(self) -> None:
        task = a_task({"active": [an_active_run(run="stuck"), an_active_run(run="fine")]})
        stuck, fine = explain(task, (), NOW, {"stuck": "ErrImagePull: no image", "fine": ""}).active
        assert stuck.explanation == "attempt 1 of 5 of the run made 10m ago has not started: ErrImagePull: no image"
        assert (stuck.waiting_for, fine.waiting_for) == ("ErrImagePull: no image", None)
        assert "is under way" in fine.explanation

    def test_a_job_that_the_status_does_not_know_is_told_once_and_one_it_knows_never(self) -> None:
        ended = JobEnd(False, "BackoffLimitExceeded", "", NOW)
        history = [an_entry(outcome="Failed", uid="told")]
        status = {"history": history, "active": [an_active_run(uid="running")], "countedJobs": ["counted"]}
        jobs = [a_job("told"), a_job("running"), a_job("counted"), a_job("new"), a_job("over", end=ended)]
        before = a_job("of-an-earlier-task", creation_time=NOW - timedelta(days=9))

        notes = of(a_task(status), *jobs, before).notes

        assert [note.partition(" is not ")[0] for note in notes] == [
            "Run new (Manual, active)",
            "Run over (Manual, BackoffLimitExceeded at 2026-11-22T12:00:00Z)",
        ]


class TestProblems:
    @pytest.mark.parametrize(
        ("condition", "mend"),
        [
            ({"type": "Ready", "status": "False", "reason": "InvalidSpec"}, "apply the task again"),
            ({"type": "Ready", "status": "False", "reason": "NameTaken"}, "another name"),
            (
                {"type": "Healthy", "status": "False", "reason": "ConsecutiveFailures"},
                "`kubectl scheduledtask logs report -n ns`",
            ),
            (
                {"type": "Healthy", "status": "Unknown", "reason": "NoRunYet"},
                "`kubectl scheduledtask run report -n ns`",
            ),
            ({"type": "Healthy", "status": "False", "reason": "MissedSlots"}, "the next run of a slot heals it"),
            ({"type": "Healthy", "status": "False", "reason": "NoSuccess"}, "a success heals it"),
        ],
    )
    def test_a_condition_that_is_not_true_comes_with_its_mend(self, condition: dict[str, Any], mend: str) -> None:
        explanation = of(a_task({"conditions": [READY, condition | {"message": "The reason in words."}]}))

        (problem,) = explanation.problems
        assert (problem.condition, problem.reason) == (condition["type"], condition["reason"])
        text = "\n".join(sentences(explanation, NOW))
        assert "The reason in words." in text
        assert mend in text

    def test_a_task_without_problems_has_none(self) -> None:
        assert of(a_task()).problems == ()
        assert of(a_task()).notes == ()


def test_the_schedule_of_an_edit_that_nobody_has_looked_at_is_not_resolved_to_the_one_before() -> None:
    edited = of(a_task({"observedGeneration": 0, "resolvedSchedule": "5 * * * *"}))
    seen = of(a_task({"resolvedSchedule": "5 * * * *"}, schedule="H * * * *"))
    assert 'Schedule: "0 * * * *", Etc/UTC.' in sentences(edited, NOW)
    assert 'Schedule: "H * * * *" ("5 * * * *"), Etc/UTC.' in sentences(seen, NOW)


def test_the_table_goes_by_the_times_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    # The slot was found without a run after the manual run had ended, though it was due before that began.
    slot = an_entry(outcome="Skipped", run=None, slot=NOW - timedelta(minutes=5), reason="Overlap")
    manual = an_entry(outcome="Succeeded", start_time=NOW - timedelta(minutes=4), end_time=NOW - timedelta(minutes=3))
    show(of(a_task({"history": [slot, manual]})), NOW)
    times = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("2026")]
    assert times == ["2026-11-22T11:56:00Z", "2026-11-22T11:55:00Z"]


def test_the_keys_of_the_json_are_stable() -> None:
    status = {
        "history": [an_entry(outcome="Succeeded")],
        "active": [an_active_run()],
        "conditions": [READY | {"status": "False"}],
    }
    body = json.loads(msgspec.json.encode(of(a_task(status))))
    assert set(body) == {
        *("namespace", "name", "state", "schedule", "resolvedSchedule", "timeZone", "upToDate"),
        *("problems", "notes", "active", "history", "next"),
    }
    assert set(body["problems"][0]) == {"condition", "status", "reason", "message", "mend", "since"}
    assert set(body["active"][0]) == {
        *("run", "trigger", "slot", "startTime", "attempt", "maxAttempts", "nextAttemptTime", "progress"),
        *("waitingFor", "explanation"),
    }
    assert set(body["history"][0]) == {
        *("run", "trigger", "slot", "slots", "startTime", "endTime", "outcome", "reason", "attempts", "exitCode"),
        *("lastWords", "explanation"),
    }
    assert set(body["next"]) == {"time", "times", "reason", "explanation"}


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(list(Outcome)), max_size=5),
    st.sampled_from(["Completed", "NonZeroExit", "Evicted", "anything {code} else", ""]),
    st.one_of(st.none(), st.text()),
    st.booleans(),
)
def test_whatever_the_operator_wrote_is_explained(
    outcomes: list[Outcome], reason: str, message: str | None, suspend: bool
) -> None:
    entries = tuple(
        HistoryEntry(trigger=Trigger.SCHEDULE, end_time=NOW, outcome=outcome, reason=reason, message=message)
        for outcome in outcomes
    )
    written = ScheduledTaskStatus(observed_generation=1, history=entries).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    explanation = of(a_task(written, suspend=suspend))
    assert [entry.outcome for entry in explanation.history] == outcomes
    assert explanation.next.explanation
    assert all(line.strip() for line in sentences(explanation, NOW))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s ago"),
        (5, "in 5s"),
        (-65, "1m5s ago"),
        (3600, "in 1h"),
        (3661, "in 1h1m"),
        (-90_000, "1d1h ago"),
        (86_400 * 400, "in 400d"),
    ],
)
def test_distances_are_told_in_two_units_at_most(seconds: int, said: str) -> None:
    assert distance(NOW + timedelta(seconds=seconds), NOW) == said
