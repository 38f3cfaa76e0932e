"""How long the commands of ticket_miner take, and how much memory: ``python -m tests.bench.ticket_miner``.

A first sync and one with nothing new, an analysis of one batch, trends over all tickets (those that the analysis left
are classified by the stand-in's own rule, written straight into the database), and a pipeline with nothing to do; each
in a process of its own: wall-clock time, processor time and peak resident memory (RSS) of that process. The upstreams
are stand-ins in other processes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from tests.upstreams.anthropic_messages import classification_of
from tests.upstreams.zendesk import EMAIL
from ticket_miner.models import Analysis, Ticket

REPOSITORY = Path(__file__).parents[2]
BATCH = 500


@contextmanager
def upstream(name: str, *arguments: str) -> Iterator[str]:
    """A stand-in in a process of its own; its address."""
    command = [sys.executable, str(REPOSITORY / "tests" / "upstreams" / name), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip().rpartition(" ")[2]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def measure(environment: dict[str, str], *arguments: str) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processor time and MiB of one run."""
    started = time.monotonic()
    command = [sys.executable, "-m", "ticket_miner", *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def classify_the_rest(database: Path) -> None:
    """As the stand-in would, without asking it."""
    with sa.create_engine(f"sqlite:///{database}").begin() as connection:
        waiting = sa.select(Ticket.id, Ticket.subject, Ticket.description, Ticket.content_digest).where(
            Ticket.id.not_in(sa.select(Analysis.ticket_id))
        )
        rows = [
            {"ticket_id": number, "content_digest": digest, "model": "bench"}
            | classification_of(f"Subject: {subject}\n\n{description}")
            for number, subject, description, digest in connection.execute(waiting)
        ]
        connection.execute(sa.insert(Analysis), rows)


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description="Measure the commands of ticket_miner.")
    parser.add_argument("--tickets", type=int, default=10_000, help="how many there are (default 10000)")
    tickets = parser.parse_args().tickets
    with (
        tempfile.TemporaryDirectory() as folder,
        upstream("zendesk.py", f"--tickets={tickets}") as zendesk,
        upstream("anthropic_messages.py") as claude,
    ):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(REPOSITORY / "job_images" / name) for name in ("sdk", "ticket_miner")),
            "DATA_ROOT": folder,
            "TERMINATION_LOG": os.devnull,
            "ZENDESK_URL": zendesk,
            "ZENDESK_EMAIL": EMAIL,
            "ZENDESK_TOKEN": "zd-demo",
            "ANTHROPIC_BASE_URL": claude,
            "ANTHROPIC_API_KEY": "sk-ant-demo",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        print(f"{tickets} tickets\n{'run':<32}{'seconds':>8}{'CPU s':>8}{'RSS MiB':>9}")
        for label, arguments in (
            ("sync, first", ("sync", "--backfill-days", "90")),
            ("sync, nothing new", ("sync",)),
            (f"analyze, {BATCH} tickets", ("analyze", "--batch-size", str(BATCH))),
            (f"trends, {tickets} tickets", ("trends",)),
            ("trends, again", ("trends",)),
            ("pipeline, nothing new", ("pipeline",)),
        ):
            if label.startswith("trends, ") and label != "trends, again":
                classify_the_rest(Path(folder) / "ticket_miner.sqlite")
            seconds, processor, memory = measure(environment, *arguments)
            print(f"{label:<32}{seconds:>8.2f}{processor:>8.2f}{memory:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
