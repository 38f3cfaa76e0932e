"""The commands as a container runs them: a process with an environment, an exit code and a termination message.

The processes are forked from one that has imported everything already, or the imports would be most of the time of
these tests. What runs in them is the program's own entry point.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ticket_miner.models import Base

DIE_AT = "DIE_AT"
"""In the environment of a command: the number of the database statement before which it is killed."""

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.jobs.ticket_miner.preloaded"])


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a command ended."""

    exit_code: int | None
    log: str
    termination: dict[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        assert "result" in self.termination, self.log
        return dict(self.termination["result"])

    @property
    def message(self) -> str:
        assert "message" in self.termination, self.log
        return str(self.termination["message"])

    @property
    def error(self) -> dict[str, Any]:
        assert "error" in self.termination, self.log
        return dict(self.termination["error"])


@dataclass(slots=True)
class Miner:
    """The image's entry point with a data folder and a database of its own."""

    folder: Path
    settings: dict[str, str]
    started: list[ForkServerProcess] = field(default_factory=list)

    @property
    def report(self) -> str:
        """What `trends` wrote for people."""
        return (self.folder / "reports" / "trends.html").read_text()

    def start(self, *arguments: str, **environment: str) -> ForkServerProcess:
        """Begin a command."""
        for left in (self._log, self._termination):
            left.unlink(missing_ok=True)
        process = _CONTEXT.Process(
            target=_command, args=(arguments, self._environment(environment), str(self._log)), daemon=True
        )
        process.start()
        self.started.append(process)
        return process

    def ended(self, process: ForkServerProcess) -> Ended:
        """Await the end of a command."""
        process.join(60)
        assert process.exitcode is not None, f"it still runs after a minute: {self._log.read_text()}"
        termination = json.loads(self._termination.read_text()) if self._termination.exists() else {}
        return Ended(process.exitcode, self._log.read_text() if self._log.exists() else "", termination)

    def run(self, *arguments: str, **environment: str) -> Ended:
        """Run a command to its end. Whatever it wrote, it wrote no secret."""
        ended = self.ended(self.start(*arguments, **environment))
        for name in ("ZENDESK_TOKEN", "ANTHROPIC_API_KEY"):
            secret = (self.settings | environment).get(name)
            assert not secret or secret not in ended.log + json.dumps(ended.termination), f"{name} got out"
        return ended

    def rows(self, model: type[Base], *columns: str) -> list[tuple[Any, ...]]:
        """All rows of a table, in the order of their keys; of these columns, or of all."""
        table = model.__table__
        shown = [table.c[name] for name in columns] or list(table.columns)
        with self.engine().connect() as connection:
            order = list(table.primary_key)
            return [tuple(row) for row in connection.execute(sa.select(*shown).order_by(*order))]

    def engine(self) -> sa.Engine:
        """The database, for a look from outside."""
        url = sa.make_url(self.settings["DATABASE_URL"])
        postgresql = url.get_backend_name() == "postgresql"
        return sa.create_engine(url.set(drivername="postgresql+psycopg") if postgresql else url, poolclass=sa.NullPool)

    def close(self) -> None:
        """End what is still running."""
        for process in self.started:
            process.kill()
            process.join()

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        fixed = {"PATH": os.environ["PATH"], "DATA_ROOT": str(self.folder), "TERMINATION_LOG": str(self._termination)}
        # No certificates: all is plain HTTP here, and to read them takes longer than what most of these commands do.
        return fixed | {"SSL_CERT_DIR": str(self.folder)} | self.settings | more

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def _termination(self) -> Path:
        return self.folder / "termination-log"


def _command(arguments: tuple[str, ...], environment: dict[str, str], log: str) -> None:
    from ticket_miner.commands import jobs

    die_at = environment.pop(DIE_AT, "")
    os.environ.clear()
    os.environ.update(environment)
    if die_at:
        _die_at(int(die_at))
    with Path(log).open("w", buffering=1) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        sys.stdout, sys.stderr = output, output
        code = jobs.main(arguments)
        output.flush()
        os._exit(code)


def _die_at(number: int) -> None:
    """End by SIGKILL before the statement of this number, commits counted as well."""
    left = iter(range(number))

    def count(*_: object) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    for moment in ("before_cursor_execute", "commit"):
        sa.event.listen(sa.Engine, moment, count)
