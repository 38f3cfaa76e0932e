"""The commands of job_queue on a folder and a database of their own: called as functions, or run as a container runs
them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from job_queue.tables import Base
from scheduledtask_sdk import Run, Success

IMAGES = Path(__file__).parents[3] / "job_images"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a command ended."""

    exit_code: int
    log: str
    termination: dict[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        return dict(self.termination["result"])

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.termination["error"])


@dataclass(slots=True)
class Queue:
    """A data folder and a database, and the commands on them."""

    root: Path
    url: str
    settings: dict[str, Any] = field(default_factory=dict)
    """What each call of a command is given beside its own."""
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def documents(self) -> Path:
        return self.root / "documents"

    @property
    def imports(self) -> Path:
        return self.root / "imports"

    def call(self, command: Callable[..., Success], run: str = "", **values: Any) -> Success:
        """The command's own function, with the real database; Failures come out as they are."""
        given = {"data_root": self.root, **self.settings, **values, "database_url": self.url}
        taken = command.__code__.co_varnames[: command.__code__.co_argcount]
        return command(Run(name=run), **{name: value for name, value in given.items() if name in taken})

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """The command as a process, as in a container."""
        (self.root / "termination-log").unlink(missing_ok=True)
        folders = (IMAGES / "sdk", IMAGES / "job_queue")
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "DATA_ROOT": str(self.root),
            "DATABASE_URL": self.url,
            "TERMINATION_LOG": str(self.root / "termination-log"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "job_queue", *arguments],
            env=settings | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        """Await its end."""
        output, log = process.communicate(timeout=120)
        written = self.root / "termination-log"
        return Ended(process.returncode, output + log, json.loads(written.read_text()) if written.exists() else {})

    def run(self, *arguments: str, **environment: str) -> Ended:
        return self.ended(self.start(*arguments, **environment))

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """What the database answers."""
        engine = sa.create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query), values)]

    def column(self, query: str, **values: Any) -> list[Any]:
        """The first column of what the database answers."""
        return [row[0] for row in self.rows(query, **values)]

    def content(self, *without: str) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the tables hold but for times, numbers of rows and the columns in `without`."""
        engine = sa.create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
        held: dict[str, list[tuple[Any, ...]]] = {}
        with engine.connect() as connection:
            for table in Base.metadata.sorted_tables:
                names = [
                    column.name
                    for column in table.columns
                    if not isinstance(column.type, sa.DateTime)
                    and not column.name.endswith("at")
                    and column.name != "id"
                    and f"{table.name}.{column.name}" not in without
                ]
                rows = connection.execute(sa.select(*(table.c[name] for name in names)))
                held[table.name] = sorted(map(tuple, rows), key=str)
        return held


@pytest.fixture
def queue(tmp_path: Path, database_url: str) -> Iterator[Queue]:
    """The commands on each kind of database."""
    yield from _queue(tmp_path, database_url)


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Queue]:
    """The commands on SQLite, for what has nothing to do with the database."""
    yield from _queue(tmp_path, f"sqlite:///{tmp_path / 'light.sqlite'}")


def _queue(folder: Path, url: str) -> Iterator[Queue]:
    root = folder / "data-root"
    queue = Queue(root, url)
    queue.documents.mkdir(parents=True)
    queue.imports.mkdir()
    yield queue
    for process in queue.started:
        process.kill()
        process.communicate()
