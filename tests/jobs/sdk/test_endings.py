"""How a job ends: the exit code, and the message that the operator reads."""

from __future__ import annotations

import json

import pytest

from scheduledtask.domain.report import read_report
from tests.jobs.sdk.conftest import Trial


@pytest.mark.parametrize(
    ("failure", "exit_code"),
    [
        ("InvalidInput", 65),
        ("MissingInput", 66),
        ("NotFound", 66),
        ("PermissionDenied", 77),
        ("Misconfigured", 78),
        ("Unavailable", 75),
        ("Timeout", 75),
        ("RateLimited", 75),
        ("Interrupted", 75),
    ],
)
def test_each_failure_has_its_exit_code_and_says_whether_to_try_again(
    trial: Trial, failure: str, exit_code: int
) -> None:
    ended = trial.run("fail", f"--failure={failure}")
    assert ended.exit_code == exit_code
    assert ended.error == {
        "class": failure,
        "message": "told to, with ",
        "context": {"token": "", "item": 7},
        "retryable": exit_code == 75,
    }
    report = read_report(json.dumps(ended.termination))
    assert (report.message, report.retryable) == (f"{failure}: told to, with ", exit_code == 75)


@pytest.mark.parametrize(
    ("exception", "exit_code", "kind"),
    [("KeyError", 66, "NotFound"), ("IndexError", 65, "InvalidInput"), ("missing", 66, "MissingInput")],
)
def test_an_exception_is_classed_by_the_rules_of_the_job_and_then_by_the_common_ones(
    trial: Trial, exception: str, exit_code: int, kind: str
) -> None:
    ended = trial.run("fail", f"--failure={exception}")
    assert (ended.exit_code, ended.error["class"]) == (exit_code, kind)
    assert "Traceback" in ended.log


def test_a_defect_ends_in_its_traceback_without_a_message(trial: Trial) -> None:
    ended = trial.run("fail", "--failure=anything")
    assert ended.exit_code == 70
    assert ended.log.rstrip().endswith("RuntimeError: a defect near")
    assert ended.termination is None, "Kubernetes falls back to the end of the log"


def test_a_result_is_read_by_the_operator(trial: Trial) -> None:
    ended = trial.run("show")
    report = read_report(json.dumps(ended.termination))
    assert report.message == "shown with "
    assert report.result is not None
    assert report.result["count"] == 1
    assert report.result["duration_seconds"] >= 0


def test_where_the_message_cannot_be_written_the_job_succeeds_all_the_same(trial: Trial) -> None:
    ended = trial.run("show", TERMINATION_LOG="/nowhere/termination-log")
    assert ended.exit_code == 0
    assert "the termination message could not be written" in ended.log
