"""`kubectl scheduledtask` as a process of its own."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import Cluster
from tests.integration.operator_process import REPOSITORY, eventually


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)


@dataclass(frozen=True)
class Running:
    """A command that has not ended, perhaps."""

    process: subprocess.Popen[str]
    errors: Path

    def answer(self) -> Answer:
        output, _ = self.process.communicate(timeout=60)
        return Answer(self.process.returncode, output, self.errors.read_text())

    def await_words(self, words: str) -> None:
        """Await that it says so on standard error."""
        eventually(self.errors.read_text, lambda text: words in text, f"it says: {words}")


@dataclass(frozen=True)
class CommandLine:
    """`kubectl scheduledtask` as a process of its own, with a kubeconfig whose context names the namespace."""

    kubeconfig: Path

    def start(self, *arguments: str) -> Running:
        errors = self.kubeconfig.with_name(f"errors-{uuid.uuid4().hex}")
        with errors.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "scheduledtask.cli", *arguments],
                cwd=REPOSITORY / "operator",
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        return Running(process, errors)

    def __call__(self, *arguments: str) -> Answer:
        return self.start(*arguments).answer()


def kubeconfig_of(cluster: Cluster, namespace: str, folder: Path, **user: str) -> Path:
    """The administrator's kubeconfig, or that of another `user`, with a default namespace."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = namespace
    config["users"][0]["user"] |= user
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
