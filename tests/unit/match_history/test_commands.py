"""What holds for every command: help, settings, logs, exit codes and the termination message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduledtask_sdk.termination import MESSAGE_LIMIT
from tests.unit.match_history.conftest import Job
from tests.unit.match_history.documents import put, raw

COMMANDS = ("refresh-history-index", "refresh-model-registry", "refresh-patch-meta")


def test_help_names_the_commands_and_the_exit_codes(job: Job) -> None:
    ended = job.run("--help")
    assert ended.exit_code == 0
    assert all(word in ended.log for word in (*COMMANDS, "75", "DATA_ROOT", "LOG_FORMAT", "TERMINATION_LOG"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_names_its_settings_with_their_values(job: Job, command: str) -> None:
    ended = job.run(command, "--help", COLUMNS="500", PATCH_FALLBACK="100%")
    assert ended.exit_code == 0
    assert f"[DATA_ROOT, now: {job.root}]" in ended.log
    assert ended.termination is None


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((), {}, "the following arguments are required: COMMAND"),
        (("refresh",), {}, "invalid choice: 'refresh'"),
        (("refresh-patch-meta", "--speed", "9"), {}, "unrecognized arguments: --speed 9"),
        (("refresh-history-index", "--queues", "ranked"), {}, "HISTORY_QUEUES: 'ranked' is not a whole number"),
        (("refresh-history-index",), {"HISTORY_PRIOR_GAMES": "0"}, "HISTORY_PRIOR_GAMES: '0' is not a positive number"),
        (("refresh-patch-meta",), {"RIOT_PLATFORM": "eu/west"}, "RIOT_PLATFORM: 'eu/west' is not a platform"),
        (("refresh-patch-meta",), {"RIOT_BASE_URL": "riot"}, "RIOT_BASE_URL: 'riot' is not an address"),
        (("refresh-patch-meta",), {"RIOT_BASE_URL": "http://h:x"}, "RIOT_BASE_URL: 'http://h:x' is not an address"),
        (("refresh-patch-meta",), {"PATCH_FALLBACK": "latest"}, "PATCH_FALLBACK: 'latest' is not a patch"),
        (("refresh-patch-meta",), {"RIOT_API_KEY": "two words"}, "RIOT_API_KEY holds characters that no key has"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(
    job: Job, arguments: tuple[str, ...], environment: dict[str, str], message: str
) -> None:
    ended = job.run(*arguments, **environment)
    assert ended.exit_code == 78
    assert message in ended.error["message"]
    assert ended.error["class"] == "Misconfigured"


def test_logs_are_json_on_request_and_carry_the_run(job: Job) -> None:
    (job.root / "models").mkdir()
    ended = job.run("refresh-model-registry", LOG_FORMAT="json", TASK_NAME="registry", TASK_RUN="registry-29345")
    lines = [json.loads(line) for line in ended.log.splitlines()]
    assert [line["event"] for line in lines] == ["started", "succeeded"]
    assert {(line["task_name"], line["task_run"]) for line in lines} == {("registry", "registry-29345")}


def test_a_missing_folder_is_missing_input(job: Job) -> None:
    ended = job.run("refresh-history-index")
    assert ended.exit_code == 66
    assert ended.error["class"] == "NotFound"
    assert ended.error["context"]["path"] == str(job.root / "data" / "processed")


@pytest.mark.parametrize(
    ("command", "path"),
    [("refresh-history-index", "data/processed/1.json"), ("refresh-model-registry", "models/draft/card.json")],
)
def test_a_disk_that_fails_to_read_may_pass_and_the_file_is_named(job: Job, command: str, path: str) -> None:
    unreadable = job.root / path
    unreadable.parent.mkdir(parents=True)
    # The kernel answers whoever reads its first bytes with EIO, as for a broken disk.
    unreadable.symlink_to("/proc/self/mem")
    ended = job.run(command)
    assert ended.exit_code == 75
    assert ended.error["message"] == f"{unreadable}: Input/output error"
    assert ended.error["context"]["path"] == str(unreadable)


def test_nothing_usable_is_bad_input_and_the_files_are_named(job: Job) -> None:
    put(job.root / "data" / "processed" / "1.json", b"{")
    ended = job.run("refresh-history-index")
    assert ended.exit_code == 65
    assert ended.error["context"]["skipped_files"][0]["path"] == "1.json"


def test_hundreds_of_broken_files_leave_a_message_that_fits(job: Job) -> None:
    put(job.root / "data" / "processed" / "good.json", raw())
    for number in range(300):
        put(job.root / "data" / "processed" / f"{number:0200}.json", b"{")
    ended = job.run("refresh-history-index")
    assert ended.exit_code == 0
    assert ended.result["skipped"] == 300
    assert job.termination_log.stat().st_size <= MESSAGE_LIMIT
    assert ended.log.count("skipped path=") + ended.log.count("event=skipped") >= 300


def test_an_unexpected_error_ends_in_its_traceback_without_a_message(job: Job) -> None:
    put(job.root / "models" / "m" / "card.json", b"{}")
    put(job.root / "ml_pipeline", b"a file where a folder should be")
    ended = job.run("refresh-model-registry")
    assert ended.exit_code == 70
    assert "Traceback" in ended.log
    assert ended.termination is None, "Kubernetes falls back to the end of the log"


def test_where_no_termination_log_exists_none_is_made(job: Job, tmp_path: Path) -> None:
    (job.root / "models").mkdir()
    assert job.run("refresh-model-registry", TERMINATION_LOG="").exit_code == 0
    assert not job.termination_log.exists()
