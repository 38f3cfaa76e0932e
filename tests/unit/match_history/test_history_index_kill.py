"""refresh-history-index stopped anywhere: no reader sees half an index, and the next run heals what was left."""

from __future__ import annotations

import json
import random
import signal
import subprocess

import pytest

from tests.unit.match_history.conftest import Job
from tests.unit.match_history.documents import put, raw
from tests.upstreams import match_v5
from tests.upstreams.expected_index import differences

MATCHES = 2500  # three commits


@pytest.fixture
def many(job: Job) -> Job:
    for number in range(MATCHES):
        champions = random.Random(number).sample(sorted(match_v5.CHAMPIONS), 10)
        content = raw(match_id=f"EUW1_{number}", blue=champions[:5], red=champions[5:], blue_won=number % 3 == 0)
        put(job.root / "data" / "processed" / f"{number}.json", content)
    return job


def committed(process: subprocess.Popen[str]) -> bool:
    """Wait for the first commit; False when the run ends without one."""
    assert process.stderr is not None
    return any("committed" in line for line in process.stderr)


def index_is_right(job: Job) -> bool:
    index = json.loads((job.root / "ml_pipeline" / "history_index.json").read_bytes())
    return differences(index, job.root / "data" / "processed") == []


def test_a_run_killed_at_random_points_is_healed_by_the_next(many: Job) -> None:
    rng = random.Random(20)
    index = many.root / "ml_pipeline" / "history_index.json"
    for number in range(4):
        process = many.start("refresh-history-index")
        if number % 2 == 0:
            committed(process)
        try:
            process.wait(timeout=rng.uniform(0.0, 0.8))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate(timeout=10)
        if index.exists():
            json.loads(index.read_bytes())
        (many.root / "data" / "processed" / f"{number}.json").unlink()
        corrected = raw(match_id=f"EUW1_{100 + number}", blue_won=number % 2 == 0)
        for name in range(500 * (number % 5), 500 * (number % 5) + 300):
            put(many.root / "data" / "processed" / f"{name}.json", corrected)
    assert many.run("refresh-history-index").exit_code == 0
    assert index_is_right(many)


def test_sigterm_stops_at_a_commit_and_the_next_run_goes_on(many: Job) -> None:
    process = many.start("refresh-history-index")
    assert committed(process)
    process.send_signal(signal.SIGTERM)
    stopped = many.ended(process)
    assert stopped.exit_code == 75
    assert (stopped.error["class"], stopped.error["retryable"]) == ("Interrupted", True)
    assert not (many.root / "ml_pipeline" / "history_index.json").exists()
    finished = many.run("refresh-history-index")
    assert finished.exit_code == 0
    assert finished.result["files"]["new"] <= MATCHES - 1000, "what was committed is not read again"
    assert index_is_right(many)


def test_two_runs_at_once_do_not_mix(many: Job) -> None:
    first = many.start("refresh-history-index")
    assert committed(first)
    first.send_signal(signal.SIGSTOP)
    second = many.run("refresh-history-index")
    assert second.exit_code == 75
    assert "another run is working on" in second.error["message"]
    first.send_signal(signal.SIGCONT)
    assert many.ended(first).exit_code == 0
    assert index_is_right(many)
