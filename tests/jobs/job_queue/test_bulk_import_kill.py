"""bulk-import killed anywhere: the next run goes on, and the end is that of a run that nobody disturbed.

``BULK_IMPORT_KILLS=50 pytest tests/jobs/job_queue/test_bulk_import_kill.py -s`` kills oftener and tells where.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from job_queue.cli import bulk_import
from tests.jobs.job_queue.conftest import Queue

KILLS = int(os.environ.get("BULK_IMPORT_KILLS", "2"))
EACH = 2
"""Kills of one import; then it is let finish, and the next file comes."""

ROWS = 1500
VALUES: dict[str, Any] = {"on_error": "skip", "fields": "amount:number", "batch_size": 20}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in VALUES.items()]
MOMENTS = (("started", 0.8), ("progress", 0.4), ("progress", 0.4), ("progress", 0.4))
"""Kill at some time within so many seconds after this word in the log: while all is made ready, or while rows are read
and taken over."""


def fill(queue: Queue, name: str, seed: int) -> str:
    """A file with bad rows and repeated keys; files of several seeds share most keys."""
    rng = random.Random(seed)
    rows = "".join(
        f"{rng.randrange(ROWS * 9)},Name {number},{'bad' if rng.random() < 0.02 else number}\n"
        for number in range(ROWS)
    )
    (queue.imports / name).write_text("id,name,amount\n" + rows)
    return name


def kill_at(process: subprocess.Popen[str], word: str, seconds: float) -> bool:
    """Kill it so long after it wrote the word; False where it ended before."""
    assert process.stderr is not None
    any(word in line for line in process.stderr)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def where(queue: Queue, path: str) -> str:
    """How far the import is; also the making of the tables may have been cut short."""
    try:
        return str(queue.rows("SELECT status, line FROM imports WHERE path = :path", path=path) or "not begun")
    except sa.exc.DBAPIError:
        return "no tables yet"


def test_the_database_is_that_of_undisturbed_runs(queue: Queue, tmp_path: Path) -> None:
    rng = random.Random(KILLS)
    (tmp_path / "calm").mkdir()
    calm = Queue(tmp_path / "calm", f"sqlite:///{tmp_path / 'calm.sqlite'}")
    calm.imports.mkdir()
    killed = 0
    for number in range(-(-KILLS // EACH)):
        path = fill(queue, f"rows-{number}.csv", number)
        fill(calm, path, number)
        undisturbed = calm.call(bulk_import, path=path, **VALUES)
        for _ in range(EACH):
            process = queue.start("bulk-import", f"--path={path}", *FLAGS)
            word, seconds = rng.choice(MOMENTS)
            killed += kill_at(process, word, rng.uniform(0, seconds))
            print(path, where(queue, path))

        assert queue.call(bulk_import, path=path, **VALUES).result == undisturbed.result

    print(f"{killed} of {KILLS} were killed in time")
    assert killed > 0
    assert queue.content() == calm.content()


def test_sigterm_ends_it_at_a_commit_and_the_next_run_continues(light: Queue) -> None:
    path = fill(light, "rows.csv", 1)
    process = light.start("bulk-import", f"--path={path}", *FLAGS)
    assert process.stderr is not None
    assert any("progress" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    stopped = light.ended(process)
    assert (stopped.exit_code, stopped.error["class"]) == (75, "Interrupted")
    assert light.rows("SELECT * FROM records") == []
    [reached] = light.column("SELECT line FROM imports")
    assert 0 < reached < ROWS

    finished = light.call(bulk_import, path=path, **VALUES)

    assert light.column("SELECT COUNT(*) FROM records") == [finished.result["imported"]]
    assert light.column("SELECT line FROM imports") == [ROWS + 1]
