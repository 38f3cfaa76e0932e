"""A manual run: its name, its progress, and the exit code of the command that waited for it."""

from datetime import UTC, datetime

import msgspec
import pytest

from scheduledtask.cli.facts import ActiveFacts
from scheduledtask.cli.run import Ended, exit_code, progress, sentence
from scheduledtask.kube.wire import JobObject

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "program", "code"),
    [
        ("Succeeded", 0, 0),
        ("Succeeded", None, 0),
        ("Failed", 42, 42),
        ("Failed", 137, 137),
        ("Failed", None, 1),
        ("Failed", 0, 1),
        ("Cancelled", None, 1),
    ],
)
def test_the_exit_code_is_that_of_the_program(outcome: str, program: int | None, code: int) -> None:
    assert exit_code(Ended(outcome, "", 1, program, None)) == code


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (Ended("Succeeded", "Completed", 1, 0, None), "run r: Succeeded after 1 attempt (Completed, exit code 0)"),
        (
            Ended("Failed", "NonZeroExit", 3, 2, "Traceback\nValueError: no\n"),
            "run r: Failed after 3 attempts (NonZeroExit, exit code 2): ValueError: no",
        ),
        (Ended("Failed", "RunTimeout", 1, None, "late"), "run r: Failed after 1 attempt (RunTimeout): late"),
        (Ended("Skipped", "Overlap", 0, None, "Run q was active."), "run r: Skipped (Overlap): Run q was active."),
    ],
)
def test_the_end_is_told_in_one_line(ended: Ended, said: str) -> None:
    assert sentence("r", ended) == said


def an_active_run(**more: object) -> ActiveFacts:
    known = {"run": "r", "uid": "u", "trigger": "Manual", "startTime": "2026-11-22T12:00:00Z", "attempt": 2}
    return msgspec.convert({**known, **more}, ActiveFacts)


@pytest.mark.parametrize(
    ("failed", "active", "obstacle", "said"),
    [
        (0, None, "", "attempt 1 of 3"),
        (1, None, "", "attempt 2 of 3"),
        (3, None, "", "attempt 3 of 3"),
        (1, an_active_run(), "", "attempt 2 of 3"),
        (1, an_active_run(progress="7 of 9 files"), "", "attempt 2 of 3; 7 of 9 files"),
        (1, an_active_run(nextAttemptTime=NOON), "", "attempt 2 of 3, due at 2026-11-22T12:00:00Z"),
        (1, an_active_run(waitingFor='its turn in group "g"'), "", 'attempt 2 of 3 waits for its turn in group "g"'),
        (0, None, "ErrImagePull", "attempt 1 of 3 has not started: ErrImagePull"),
    ],
)
def test_progress_is_what_the_job_and_the_status_know(
    failed: int, active: ActiveFacts | None, obstacle: str, said: str
) -> None:
    job = msgspec.convert(
        {
            "metadata": {"name": "r", "creationTimestamp": "2026-11-22T12:00:00Z"},
            "spec": {"backoffLimitPerIndex": 2},
            "status": {"failed": failed},
        },
        JobObject,
    )
    assert progress(job, active, obstacle) == said
