"""SIGTERM: a clean stop, not within what is held, and whatever a job swallows."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.sdk.conftest import Trial


def await_line(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    assert any(word in line for line in process.stderr), "it ended before"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_a_wait_and_asks_for_another_attempt(trial: Trial, number: signal.Signals) -> None:
    process = trial.start("wait")
    await_line(process, "waiting")
    process.send_signal(number)
    ended = trial.ended(process)
    assert ended.exit_code == 75
    assert (ended.error["class"], ended.error["retryable"]) == ("Interrupted", True)
    assert ended.error["message"].startswith(f"stopped by {number.name};")


@pytest.mark.parametrize("how", ["--no-swallow", "--swallow", "--threaded"])
def test_a_batch_that_is_held_is_done_whole(trial: Trial, tmp_path: Path, how: str) -> None:
    file = tmp_path / "batches"
    file.touch()
    process = trial.start("batches", f"--file={file}", how)
    await_line(process, "progress")
    whole = len(file.read_text().splitlines())
    while len(file.read_text().splitlines()) == whole or file.read_text().endswith("end\n"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    ended = trial.ended(process)
    assert (ended.exit_code, ended.error["class"]) == (75, "Interrupted")
    lines = file.read_text().split()
    assert lines == ["begin", "end"] * (len(lines) // 2)
    assert len(lines) <= whole + 4, "it stopped at the end of the batch"


def test_on_a_terminal_there_is_a_bar_that_gives_way_to_log_lines(trial: Trial) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(trial.program), "steps"],
        env=trial.environment() | {"TERM": "xterm", "COLUMNS": "80"},
        stderr=follower,
        close_fds=True,
    )
    os.close(follower)
    screen = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        screen += part
    os.close(leader)
    assert process.wait() == 0
    assert b"Syncing tickets [" + b"#" * 30 + b"] 300/300 100%" in screen
    assert b"\r\x1b[Ktimestamp=" in screen
    assert b"event=progress" not in screen


def test_elsewhere_progress_is_a_few_log_lines_and_a_file(trial: Trial, tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    ended = trial.run("steps", TASK_PROGRESS_FILE=str(file))
    told = [line for line in ended.log.splitlines() if "event=progress" in line]
    assert 3 <= len(told) <= 6, "the first, the last, the next step, and what 5 seconds let through"
    assert 'message="Syncing tickets" done=300 total=300' in told[-2]
    written = json.loads(file.read_text())
    assert written["message"] == "Closing"
    assert written["updated_at"] > 1.7e9
    assert list(tmp_path.glob(".progress*")) == []
