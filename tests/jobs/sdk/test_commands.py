"""Parameters, settings and secrets: where they come from, what is told when they are wrong, what nobody gets to see."""

from __future__ import annotations

import json

import pytest

from tests.jobs.sdk.conftest import Trial

TOKEN = "zd-5e1c/tok en+1"


def test_defaults_hold_where_nothing_is_given(trial: Trial) -> None:
    ended = trial.run("show")
    assert ended.exit_code == 0
    shown = {"count": 1, "kind": "small", "tags": [], "dry_run": False, "address": "http://default", "limit": 2.5}
    assert {name: ended.result[name] for name in shown} == shown


def test_a_flag_goes_before_the_tasks_parameters_and_the_environment(trial: Trial) -> None:
    parameters = json.dumps({"count": "5", "kind": "large", "tags": "a, b", "dry_run": "true"})
    environment = {"TASK_PARAMETERS": parameters, "TRIAL_ADDRESS": "http://set", "TRIAL_LIMIT": "0.5"}
    from_operator = trial.run("show", **environment).result
    assert (from_operator["count"], from_operator["kind"], from_operator["dry_run"]) == (5, "large", True)
    assert (from_operator["tags"], from_operator["address"], from_operator["limit"]) == (["a", "b"], "http://set", 0.5)
    by_hand = trial.run(
        "show", "--count=7", '--tags=["x,y"]', "--no-dry-run", "--address", "http://flag", **environment
    ).result
    assert (by_hand["count"], by_hand["tags"], by_hand["dry_run"]) == (7, ["x,y"], False)
    assert (by_hand["address"], by_hand["kind"]) == ("http://flag", "large")


def test_an_empty_variable_is_an_unset_one(trial: Trial) -> None:
    ended = trial.run("show", TRIAL_LIMIT="", TRIAL_ADDRESS="", TASK_PARAMETERS='{"count": "", "kind": null}')
    assert (ended.result["limit"], ended.result["address"], ended.result["count"]) == (2.5, "http://default", 1)


@pytest.mark.parametrize(
    ("arguments", "environment", "exit_code", "message"),
    [
        (("show", "--count", "-1"), {}, 65, "count: '-1' should be greater than or equal to 0 (given by --count)"),
        (("show",), {"TASK_PARAMETERS": '{"kind": "huge"}'}, 65, "kind: 'huge' should be 'small' or 'large'"),
        (("show",), {"TASK_PARAMETERS": "[1]"}, 65, "TASK_PARAMETERS: [1] is not a JSON object"),
        (("show",), {"TASK_PARAMETERS": "{"}, 65, "TASK_PARAMETERS is not JSON"),
        (("show",), {"TRIAL_LIMIT": "soon"}, 78, "TRIAL_LIMIT: 'soon' is not a number of seconds"),
        (("show", "--count=x"), {"TRIAL_LIMIT": "-1"}, 78, "TRIAL_LIMIT: '-1' is not a number of seconds; count: 'x'"),
        (("show",), {"TASK_FAILED_ATTEMPTS": "one"}, 78, "TASK_FAILED_ATTEMPTS: 'one' is not a whole number"),
        (("show", "--token", "x"), {}, 78, "unrecognized arguments: --token x; see trial --help"),
        (("shows",), {}, 78, "invalid choice: 'shows'"),
        ((), {}, 78, "the following arguments are required: COMMAND"),
        (
            ("need",),
            {"TRIAL_ADDRESS": "a", "TRIAL_TOKEN": "token"},
            65,
            "name is missing: whose; give --name, or the task's parameter name",
        ),
        (("need", "--name=n"), {"TRIAL_TOKEN": "token"}, 78, "TRIAL_ADDRESS is not set: where; set it, or give"),
        (
            ("need", "--name=n"),
            {"TRIAL_ADDRESS": "a"},
            78,
            "TRIAL_TOKEN is not set: API token; give it to",
        ),
    ],
)
def test_what_is_wrong_is_told_with_name_value_and_mend(
    trial: Trial, arguments: tuple[str, ...], environment: dict[str, str], exit_code: int, message: str
) -> None:
    ended = trial.run(*arguments, **environment)
    assert ended.exit_code == exit_code
    assert message in ended.error["message"]
    assert (ended.error["class"], ended.error["retryable"]) == (
        "InvalidInput" if exit_code == 65 else "Misconfigured",
        False,
    )


def test_a_parameter_that_no_command_has_is_told_and_passed_over(trial: Trial) -> None:
    ended = trial.run("show", TASK_PARAMETERS='{"cuont": "3"}')
    assert ended.exit_code == 0
    assert "no such parameters" in ended.log
    assert "cuont" in ended.log


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_is_taken_and_written_nowhere(trial: Trial, log_format: str) -> None:
    ended = trial.run("show", TRIAL_TOKEN=f"{TOKEN}\n", LOG_FORMAT=log_format)
    assert ended.result["has_token"] is True
    assert ended.termination is not None
    written = ended.log + json.dumps(ended.termination)
    assert TOKEN not in written
    assert "zd-5e1c" not in written
    assert ended.termination["message"] == "shown with [redacted]"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_libraries_log_looks_the_same(trial: Trial, log_format: str) -> None:
    ended = trial.run("chat", TRIAL_TOKEN=TOKEN, LOG_FORMAT=log_format, LOG_LEVEL="info")
    assert "too much detail" not in ended.log
    assert "retrying with [redacted]" in ended.log
    assert "ValueError: no [redacted]" in ended.log
    assert "zd-5e1c" not in ended.log
    if log_format == "json":
        lines = [json.loads(line) for line in ended.log.splitlines()]
        assert [(line["level"], line["logger"]) for line in lines[1:3]] == [
            ("warning", "some.library"),
            ("error", "some.library"),
        ]
    assert "too much detail" in trial.run("chat", LOG_LEVEL="debug").log


@pytest.mark.parametrize("failure", ["InvalidInput", "a defect"])
def test_a_secret_in_an_error_is_written_nowhere(trial: Trial, failure: str) -> None:
    ended = trial.run("fail", f"--failure={failure}", TRIAL_TOKEN=TOKEN)
    assert ended.exit_code in (65, 70)
    assert "[redacted]" in ended.log
    assert "zd-5e1c" not in ended.log + json.dumps(ended.termination)


def test_help_names_everything_that_can_be_given_and_what_holds_now(trial: Trial) -> None:
    ended = trial.run("--help", COLUMNS="200")
    assert ended.exit_code == 0
    words = ("show", "need", "Ends the help.", "75", "LOG_FORMAT", "TERMINATION_LOG", "TASK_PARAMETERS")
    assert [word for word in words if word not in ended.log] == []
    ended = trial.run("show", "--help", COLUMNS="200", TRIAL_ADDRESS="http://50%", TRIAL_TOKEN=TOKEN)
    assert "The long help.\n\nWith a second paragraph." in ended.log
    for line in (
        "--count VALUE how many [now: 1]",
        "--tags VALUE what about [now: empty]",
        "--dry-run, --no-dry-run",
        "where, 100 % sure [TRIAL_ADDRESS, now: http://50%]",
        "TRIAL_TOKEN API token [set]",
    ):
        assert line in " ".join(ended.log.split())
    assert "--token" not in ended.log
    assert "zd-5e1c" not in ended.log
    assert ended.termination is None


def test_the_run_is_known_from_what_the_operator_gives(trial: Trial) -> None:
    operator = {
        "TASK_NAME": "sync",
        "TASK_NAMESPACE": "ticket-miner",
        "TASK_RUN": "sync-29345760",
        "TASK_FAILED_ATTEMPTS": "1",
        "TASK_MAX_ATTEMPTS": "3",
    }
    ended = trial.run("show", LOG_FORMAT="json", **operator)
    slot = "2025-10-18T00:00:00+00:00"
    assert ended.result["run"] == ["sync", "ticket-miner", "sync-29345760", 2, 3, 1, slot, "Schedule"]
    lines = [json.loads(line) for line in ended.log.splitlines()]
    assert [line["event"] for line in lines] == ["started", "shown", "succeeded"]
    assert {(line["task_run"], line["task_failed_attempts"]) for line in lines} == {("sync-29345760", "1")}
    by_command = trial.run("show", **(operator | {"TASK_RUN": "sync-backfill", "TASK_TRIGGER": "Retry"}))
    assert by_command.result["run"][-2:] == [None, "Retry"]
    assert trial.run("show").result["run"] == ["", "", "", 1, 1, 0, None, "Manual"]
