"""The commands as a container runs them: a process with an environment, an exit code and a termination message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.upstreams.riot import RiotServer

IMAGES = Path(__file__).parents[3] / "job_images"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a command ended."""

    exit_code: int
    log: str
    termination: dict[str, Any] | None

    @property
    def result(self) -> dict[str, Any]:
        assert self.termination is not None, self.log
        return dict(self.termination["result"])

    @property
    def message(self) -> str:
        assert self.termination is not None, self.log
        return str(self.termination["message"])

    @property
    def error(self) -> dict[str, Any]:
        assert self.termination is not None, self.log
        return dict(self.termination["error"])


@dataclass(frozen=True, slots=True)
class Job:
    """The image's entry point on a data folder of its own."""

    root: Path
    termination_log: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        self.termination_log.unlink(missing_ok=True)
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(IMAGES / name) for name in ("match_history", "sdk")),
            "DATA_ROOT": str(self.root),
            "TERMINATION_LOG": str(self.termination_log),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "match_history", *arguments],
            env=settings | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        output, log = process.communicate(timeout=60)
        written = self.termination_log.exists()
        return Ended(
            process.returncode, output + log, json.loads(self.termination_log.read_text()) if written else None
        )

    def run(self, *arguments: str, **environment: str) -> Ended:
        return self.ended(self.start(*arguments, **environment))


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    root = tmp_path / "data-root"
    root.mkdir()
    job = Job(root, tmp_path / "termination-log")
    yield job
    for process in job.started:
        process.kill()
        process.communicate()


@pytest.fixture
def riot() -> Iterator[RiotServer]:
    with RiotServer(key="RGAPI-5e1c-secret") as server:
        yield server
