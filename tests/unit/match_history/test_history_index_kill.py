"""refresh-history-index stopped anywhere: no reader sees half an index, and the next run heals what was left.

``HISTORY_INDEX_KILLS=50 pytest tests/unit/match_history/test_history_index_kill.py -s`` kills oftener and tells where.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.match_history.conftest import Job
from tests.unit.match_history.documents import put, raw
from tests.upstreams import match_v5
from tests.upstreams.expected_index import differences

KILLS = int(os.environ.get("HISTORY_INDEX_KILLS", "4"))
MATCHES = 2500  # three commits
STAGES = {"before the first commit": 0.4, "between commits": 0.8, "while publishing": 0.02}
"""Where to aim at: within so many seconds after the run, its commits or its writing of the index has begun."""


@pytest.fixture
def many(job: Job) -> Job:
    index_of(job).parent.mkdir()
    for number in range(MATCHES):
        put_match(job, number, number, random.Random(number))
    return job


def put_match(job: Job, file: int, match: int, rng: random.Random) -> None:
    """Have a file tell of a match, with champions as they come."""
    teams = rng.sample(sorted(match_v5.CHAMPIONS), 10)
    content = raw(match_id=f"EUW1_{match}", blue=teams[:5], red=teams[5:], blue_won=rng.random() < 0.4)
    put(job.root / "data" / "processed" / f"{file}.json", content)


def index_of(job: Job) -> Path:
    return job.root / "ml_pipeline" / "history_index.json"


def committed(process: subprocess.Popen[str]) -> bool:
    """Wait for the first commit; False when the run ends without one."""
    assert process.stderr is not None
    return any("committed" in line for line in process.stderr)


def published(job: Job) -> set[tuple[str, int]]:
    """Which files there are of the index, finished and not: their names and inodes."""
    with os.scandir(index_of(job).parent) as entries:
        return {(entry.name, entry.inode()) for entry in entries if index_of(job).name in entry.name}


def killed(job: Job, rng: random.Random) -> str:
    """Kill a run somewhere; which of the STAGES that was in, or where it ended before."""
    before = published(job)
    process = job.start("refresh-history-index")
    aim, seconds = rng.choice(list(STAGES.items()))
    commits = aim == "between commits" and committed(process)
    while aim == "while publishing" and process.poll() is None and published(job) == before:
        pass  # It takes too little time to sleep meanwhile.
    try:
        process.wait(timeout=rng.uniform(0, seconds))
    except subprocess.TimeoutExpired:
        process.kill()
    _, log = process.communicate(timeout=10)
    if process.returncode != -signal.SIGKILL:
        return "too late"
    if published(job) != before:
        return "while publishing"
    return "between commits" if commits or "committed" in log else "before the first commit"


def index_is_right(job: Job) -> bool:
    index = json.loads(index_of(job).read_bytes())
    return differences(index, job.root / "data" / "processed") == []


def test_after_kills_at_random_points_the_index_is_that_of_an_undisturbed_build(many: Job, tmp_path: Path) -> None:
    rng = random.Random(KILLS)
    fell: Counter[str] = Counter()
    for _ in range(KILLS):
        fell[killed(many, rng)] += 1
        if index_of(many).exists():
            json.loads(index_of(many).read_bytes())
        for file in rng.sample(range(MATCHES), 300):  # also some that tell of the same match as others
            put_match(many, file, rng.randrange(MATCHES), rng)
        (many.root / "data" / "processed" / f"{rng.randrange(MATCHES)}.json").unlink(missing_ok=True)
    print(f"{KILLS} kills: {', '.join(f'{count} {where}' for where, count in sorted(fell.items()))}")
    assert fell.keys() & STAGES.keys()

    assert many.run("refresh-history-index").exit_code == 0

    calm = Job(tmp_path / "calm", tmp_path / "calm-termination-log")
    calm.root.mkdir()
    (calm.root / "data").symlink_to(many.root / "data")
    assert calm.run("refresh-history-index").exit_code == 0
    # Behind the time at which each was made all is the same, byte for byte.
    [index, undisturbed] = [index_of(each).read_bytes().partition(b",")[2] for each in (many, calm)]
    assert index == undisturbed


def test_sigterm_stops_at_a_commit_and_the_next_run_goes_on(many: Job) -> None:
    process = many.start("refresh-history-index")
    assert committed(process)
    process.send_signal(signal.SIGTERM)
    stopped = many.ended(process)
    assert stopped.exit_code == 75
    assert (stopped.error["class"], stopped.error["retryable"]) == ("Interrupted", True)
    assert not index_of(many).exists()
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
