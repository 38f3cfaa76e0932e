"""A database for a job: SQLite on its volume, or PostgreSQL, with its tables brought up to date (extra ``storage``).

::

    with open_database("ticket_miner", database_url, "ticket_miner.migrations", run) as engine:
        with engine.begin() as connection:
            …

The package ``migrations`` holds alembic revisions (``r0001_tickets.py`` with ``revision``, ``down_revision`` and
``upgrade()``). Each set of jobs keeps its version in a table of its own, so several can share a database. Errors of the
database keep their own classes; the rules of the SDK class them.

SQLite takes its write lock at the begin of a transaction, so that two writers wait for each other instead of failing in
the midst; ``engine.execution_options(read_only=True)`` reads beside a writer.
"""

from __future__ import annotations

import importlib.util
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from scheduledtask_sdk.failures import Misconfigured
from scheduledtask_sdk.redaction import keep_secret
from scheduledtask_sdk.run import Run

BUSY_TIMEOUT = 20
"""Seconds that one writer of SQLite waits for another. SIGTERM is heeded only when the wait is over: it must be shorter
than the 30 s that a pod has by default to end."""


@contextmanager
def open_database(name: str, url: str, migrations: str, run: Run) -> Iterator[sqlalchemy.Engine]:
    """An engine on the database with the newest tables. ``url``: ``postgresql://…`` or ``sqlite:///…``; empty:
    ``$DATA_ROOT/<name>.sqlite``.

    Raises Misconfigured for an address of no such database, and for a database that a newer program has migrated.
    """
    keep_secret(url)
    engine = _engine(_address(name, url), run)
    try:
        migrate(engine, name, migrations, run)
        yield engine
    finally:
        engine.dispose()


def migrate(engine: sqlalchemy.Engine, name: str, migrations: str, run: Run) -> None:
    """Bring the tables up to date, in one transaction; of several at a time, one does it and the others wait."""
    table = f"{name}_version"
    config = _config(_folder(migrations), table)
    heads = set(ScriptDirectory.from_config(config).get_heads())
    with engine.execution_options(read_only=True).connect() as connection:
        if heads == _version(connection, table):
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            key = zlib.crc32(f"scheduledtask {table}".encode())
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        before = _version(connection, table)
        if heads == before:
            return
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "heads")
        except CommandError as error:
            raise Misconfigured(
                f"the tables of {name} stand at version {', '.join(sorted(before))}, and this program can't bring them "
                f"to {', '.join(sorted(heads))}: {error}; use a program that is not older than the database"
            ) from None
    run.log.info("migrated", database=name, version=",".join(sorted(heads)), before=",".join(sorted(before)))


def _address(name: str, url: str) -> URL:
    if not url:
        folder = Path(os.environ.get("DATA_ROOT") or "/data")
        folder.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite", database=str(folder / f"{name}.sqlite"))
    try:
        address = make_url(url)
    except ArgumentError:
        raise Misconfigured("DATABASE_URL is not an address such as postgresql://user:password@host/name") from None
    match address.get_backend_name():
        case "postgresql" | "postgres":
            return address.set(drivername="postgresql+psycopg")
        case "sqlite":
            return address
    raise Misconfigured(f"DATABASE_URL: {address.drivername} is neither postgresql nor sqlite")


def _engine(address: URL, run: Run) -> sqlalchemy.Engine:
    if address.get_backend_name() == "postgresql":
        arguments = {"connect_timeout": 10, "application_name": run.name or run.task or "by hand"}
        return sqlalchemy.create_engine(address, connect_args=arguments, pool_pre_ping=True)
    engine = sqlalchemy.create_engine(address, connect_args={"timeout": BUSY_TIMEOUT})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by rules of its own.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "temp_store = MEMORY",  # the root file system may be read-only
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sqlalchemy.Connection) -> None:
    reads = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _version(connection: sqlalchemy.Connection, table: str) -> set[str]:
    return set(MigrationContext.configure(connection, opts={"version_table": table}).get_current_heads())


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise TypeError(f"{package} is no package of migrations")
    return Path(next(iter(found.submodule_search_locations)))


def _config(versions: Path, table: str) -> Config:
    config = Config()
    config.set_main_option("script_location", _plain(Path(__file__).parent / "migration"))
    config.set_main_option("version_locations", _plain(versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["version_table"] = table
    return config


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")
