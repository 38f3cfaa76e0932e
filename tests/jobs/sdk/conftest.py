"""The trial program as a container runs it: a process with an environment, an exit code and a termination message."""

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

from scheduledtask_sdk.redaction import forget_secrets
from tests.jobs.sdk.answers import AnswerServer

REPOSITORY = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("trial.py")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code, all it printed, and its termination message."""

    exit_code: int
    log: str
    termination: dict[str, Any] | None

    @property
    def result(self) -> dict[str, Any]:
        assert self.termination is not None, self.log
        return dict(self.termination["result"])

    @property
    def error(self) -> dict[str, Any]:
        assert self.termination is not None, self.log
        return dict(self.termination["error"])


@dataclass(slots=True)
class Trial:
    """Runs commands of the trial program, or of another one."""

    folder: Path
    program: Path = PROGRAM
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What every process gets."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "job_images" / "sdk"), str(REPOSITORY))),
            "DATA_ROOT": str(self.folder),
            "TERMINATION_LOG": str(self.folder / f"termination-log-{len(self.started)}"),
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(self.program), *arguments],
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        output, log = process.communicate(timeout=60)
        termination = self.folder / f"termination-log-{self.started.index(process)}"
        said = json.loads(termination.read_bytes()) if termination.exists() else None
        return Ended(process.returncode, output + log, said)

    def run(self, *arguments: str, **environment: str) -> Ended:
        return self.ended(self.start(*arguments, **environment))


@pytest.fixture(autouse=True)
def nothing_secret_afterwards() -> Iterator[None]:
    yield
    forget_secrets()


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    trial = Trial(tmp_path)
    yield trial
    for process in trial.started:
        process.kill()
        process.communicate()


@pytest.fixture
def server() -> Iterator[AnswerServer]:
    with AnswerServer() as server:
        yield server
