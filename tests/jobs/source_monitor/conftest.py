"""The monitor on a real database, against real servers of pages, webhooks and mail on 127.0.0.1."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduledtask_sdk import Run, Success
from scheduledtask_sdk.redaction import forget_secrets
from scheduledtask_sdk.storage import open_database
from source_monitor import commands, sources
from source_monitor.models import Alert, Base, Change, Source, Version
from tests.receiver import Receiver, receiving
from tests.upstreams.watched_pages import PageServer

ROOT = Path(__file__).parents[3]
QUICK: dict[str, Any] = {
    "internal_networks": "127.0.0.1",
    "host_pause": 0.0,
    "retry_pause": 0.05,
    "alert_retry_pause": 0.05,
    "longest_wait": 2.0,
    "timeout": 5.0,
}
"""Settings under which a test need not wait, nor be refused the addresses of this machine."""


@dataclass
class Monitor:
    """The commands on one database, called as the command line calls them."""

    url: str
    settings: dict[str, Any] = field(default_factory=lambda: dict(QUICK))
    closing: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def engine(self) -> Engine:
        """For what the tests themselves do."""
        return self.closing.enter_context(open_database("source_monitor", self.url, "source_monitor.migrations", Run()))

    def add(self, url: str, kind: str = "html", **fields: Any) -> int:
        """Enter a source; its id."""
        entry = sources.Entry.of({"url": url, "kind": kind, "name": url.rpartition("/")[2], **fields})
        sources.store(self.engine, [entry])
        with Session(self.engine) as session:
            return session.scalars(select(Source.id).where(Source.url == entry.url)).one()

    def fetch(self, run: str = "", attempt: int = 1, **options: Any) -> dict[str, Any]:
        """Do a round; its result. What is due is fetched anew in each, unless the options say otherwise."""
        return dict(self.success(run, attempt, **options).result)

    def success(self, run: str = "", attempt: int = 1, **options: Any) -> Success:
        """As fetch, with the message."""
        named = {"TASK_NAME": "daily-fetch", "TASK_RUN": run} if run else {}
        context = Run.from_environment({**named, "TASK_FAILED_ATTEMPTS": str(attempt - 1)})
        return commands.daily_fetch(context, database_url=self.url, **{"force": True, **self.settings, **options})

    def all(self, table: type[Any]) -> list[Any]:
        """The rows of a table, by its key."""
        with Session(self.engine, expire_on_commit=False) as session:
            return list(session.scalars(select(table).order_by(*table.__table__.primary_key)))

    def source(self, number: int = 1) -> Source:
        with Session(self.engine, expire_on_commit=False) as session:
            return session.get_one(Source, number)

    def texts(self, number: int = 1) -> list[str]:
        """The versions of a source, the oldest first."""
        return [row.text for row in self.all(Version) if row.source_id == number]

    def accounts(self) -> list[str]:
        return [row.account for row in self.all(Change)]

    def alerts(self) -> list[Alert]:
        return self.all(Alert)

    def age(self, by: timedelta) -> None:
        """Let everything have happened so much earlier."""
        with Session(self.engine) as session, session.begin():
            for mapper in Base.registry.mappers:
                for row in session.scalars(select(mapper.class_)):
                    for column in mapper.column_attrs:
                        if isinstance(moment := getattr(row, column.key), datetime):
                            setattr(row, column.key, moment - by)

    def set_source(self, number: int, **values: Any) -> None:
        with Session(self.engine) as session, session.begin():
            session.execute(update(Source).where(Source.id == number).values(**values))


@contextmanager
def monitoring(url: str) -> Iterator[Monitor]:
    forget_secrets()
    monitor = Monitor(url)
    with monitor.closing:
        yield monitor


@pytest.fixture
def monitor(database_url: str) -> Iterator[Monitor]:
    with monitoring(database_url) as made:
        yield made


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "monitor.sqlite"
    with monitoring(f"sqlite:///{path}") as made:
        assert made.all(Source) == []
    return path


@pytest.fixture
def on_sqlite(tmp_path: Path, migrated: Path) -> Iterator[Monitor]:
    """For what the kind of database has no part in."""
    shutil.copyfile(migrated, tmp_path / "monitor.sqlite")
    with monitoring(f"sqlite:///{tmp_path / 'monitor.sqlite'}") as made:
        yield made


@pytest.fixture
def pages() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@dataclass(frozen=True)
class Ended:
    """How a process of the image's entry point ended."""

    exit_code: int
    output: str
    log: str
    termination: dict[str, Any]


@dataclass(frozen=True)
class Program:
    """The image's entry point, as a container runs it."""

    folder: Path
    url: str

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        quick = {
            "ALLOWED_INTERNAL_NETWORKS": "127.0.0.1",
            "FETCH_HOST_PAUSE": "0",
            "FETCH_RETRY_PAUSE": "0.05",
            "ALERT_RETRY_PAUSE": "0.05",
        }
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(ROOT / "job_images" / name) for name in ("sdk", "source_monitor")),
            "DATABASE_URL": self.url,
            "TERMINATION_LOG": str(self.folder / "termination-log"),
            **quick,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "source_monitor", *arguments],
            env=settings | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        output, log = process.communicate(timeout=60)
        written = self.folder / "termination-log"
        return Ended(process.returncode, output, log, json.loads(written.read_text()) if written.exists() else {})

    def run(self, *arguments: str, **environment: str) -> Ended:
        return self.ended(self.start(*arguments, **environment))


@pytest.fixture
def program(tmp_path: Path, on_sqlite: Monitor) -> Program:
    """On the database of ``on_sqlite``."""
    return Program(tmp_path, on_sqlite.url)


def events(log: str) -> list[str]:
    """The events of a log in logfmt, in order."""
    found = re.findall(r'^timestamp=\S+ level=\S+ event=("(?:[^"\\]|\\.)*"|\S+)', log, re.MULTILINE)
    return [json.loads(event) if event.startswith('"') else event for event in found]
