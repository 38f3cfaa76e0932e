"""A database from nothing to the newest tables, and what its troubles mean; SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from scheduledtask_sdk import Run
from scheduledtask_sdk.failures import InvalidInput, Misconfigured, PermissionDenied, Unavailable
from scheduledtask_sdk.rules import failure_of
from scheduledtask_sdk.storage import open_database
from tests import postgres
from tests.jobs.sdk.conftest import Trial

MIGRATIONS = "tests.jobs.sdk.migrations"
NEWER = "tests.jobs.sdk.newer_migrations"


def names(url: str, migrations: str = MIGRATIONS) -> list[str]:
    with open_database("trial", url, migrations, Run()) as engine, engine.connect() as connection:
        return list(connection.execute(sqlalchemy.text("SELECT name FROM things ORDER BY id")).scalars())


def add(url: str, name: str) -> None:
    with open_database("trial", url, MIGRATIONS, Run()) as engine, engine.begin() as connection:
        connection.execute(sqlalchemy.text("INSERT INTO things (name) VALUES (:name)"), {"name": name})


def test_tables_are_made_and_kept(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert names(database_url) == []
    assert "event=migrated" in capsys.readouterr().err
    add(database_url, "first")
    assert "event=migrated" not in capsys.readouterr().err
    assert names(database_url, NEWER) == ["first"]
    assert "version=0002 before=0001" in capsys.readouterr().err


def test_several_that_start_at_once_migrate_once_and_lose_nothing(trial: Trial, database_url: str) -> None:
    processes = [trial.start("store", "--items=5", DATABASE_URL=database_url) for _ in range(3)]
    ended = [trial.ended(process) for process in processes]
    assert [end.exit_code for end in ended] == [0, 0, 0], "\n".join(end.log for end in ended)
    assert sum("event=migrated" in end.log for end in ended) == 1
    assert len(names(database_url)) == 15


def test_an_older_program_leaves_a_newer_database_alone(database_url: str) -> None:
    names(database_url, NEWER)
    with pytest.raises(Misconfigured, match="the tables of trial stand at version 0002"):
        names(database_url)
    assert names(database_url, NEWER) == []


def test_sigterm_comes_after_the_transaction(trial: Trial, database_url: str) -> None:
    process = trial.start("store", "--items=100", "--pause=0.2", DATABASE_URL=database_url)
    assert process.stderr is not None
    assert any("event=opened" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    ended = trial.ended(process)
    assert ended.exit_code == 75
    assert names(database_url) in ([], ["t0"], ["t0", "t1"])


def test_a_killed_transaction_leaves_no_trace(trial: Trial, database_url: str) -> None:
    process = trial.start("store", "--items=1", "--pause=60", DATABASE_URL=database_url)
    assert process.stderr is not None
    assert any("event=opened" in line for line in process.stderr)
    process.kill()
    process.wait()
    assert names(database_url) == []


def test_two_sets_of_jobs_share_a_database(database_url: str) -> None:
    with open_database("trial", database_url, MIGRATIONS, Run()) as engine, engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE things"))
    with open_database("other", database_url, MIGRATIONS, Run()) as engine:
        assert {"trial_version", "other_version", "things"} <= set(sqlalchemy.inspect(engine).get_table_names())


def test_without_an_address_the_database_is_a_file_below_the_data_root(trial: Trial) -> None:
    assert trial.run("store").result["things"] == 1
    with sqlite3.connect(trial.folder / "trial.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_foreign_keys_hold_and_readers_go_beside_a_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    with open_database("trial", url, MIGRATIONS, Run()) as engine:
        reader = engine.execution_options(read_only=True)
        with engine.begin() as writing, reader.connect() as reading:
            writing.execute(sqlalchemy.text("INSERT INTO things (name) VALUES ('new')"))
            assert reading.execute(sqlalchemy.text("SELECT count(*) FROM things")).scalar_one() == 0
            assert reading.execute(sqlalchemy.text("PRAGMA foreign_keys")).scalar_one() == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://root@127.0.0.1/x", "mysql is neither postgresql nor sqlite"),
        ("host-only", "DATABASE_URL is not an address"),
    ],
)
def test_an_address_of_no_database_is_a_matter_of_configuration(url: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        names(url)


def test_a_file_that_can_not_be_made_is_a_matter_of_permission() -> None:
    with pytest.raises(sqlalchemy.exc.OperationalError) as caught:
        names("sqlite:////proc/x.sqlite")
    assert type(failure_of(caught.value)) is PermissionDenied


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_text("no database, but long enough to look at" * 100)
    with pytest.raises(sqlalchemy.exc.DatabaseError) as caught:
        names(f"sqlite:///{path}")
    assert type(failure_of(caught.value)) is InvalidInput


def test_a_locked_database_is_worth_another_attempt(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    holder, waiting = sqlite3.connect(path), sqlite3.connect(path, timeout=0)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        waiting.execute("BEGIN IMMEDIATE")
    failure = failure_of(caught.value)
    assert failure is not None
    assert (failure.exit_code, failure.message) == (75, "database is locked")
    holder.close()
    waiting.close()


def test_what_postgresql_says_is_classed(postgres_server: postgres.Server) -> None:
    wrong_password = postgres_server.url().replace(postgres_server.password, "wrong-password")
    for url, failure in (
        (wrong_password, PermissionDenied),
        (postgres_server.url("absent"), Misconfigured),
        ("postgresql://127.0.0.1:1/x", Unavailable),
    ):
        with pytest.raises(sqlalchemy.exc.OperationalError) as caught:
            names(url)
        assert type(failure_of(caught.value)) is failure


def test_a_password_is_written_nowhere(trial: Trial) -> None:
    refused = trial.run("store", DATABASE_URL="postgresql://me:secret-word@127.0.0.1:1/x")
    assert (refused.exit_code, refused.error["retryable"]) == (75, True)
    assert "Traceback" in refused.log
    assert "secret-word" not in refused.log + json.dumps(refused.termination)


END_IT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'broken-off' AND state = 'idle in transaction' AND query LIKE 'INSERT%'
"""


def test_a_connection_that_breaks_off_is_worth_another_attempt(trial: Trial, postgres_server: postgres.Server) -> None:
    with postgres_server.database() as url, psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        process = trial.start("store", "--items=1", "--pause=1", DATABASE_URL=url, TASK_NAME="t", TASK_RUN="broken-off")
        deadline = time.monotonic() + 30
        while not admin.execute(END_IT).fetchall():
            assert time.monotonic() < deadline
        ended = trial.ended(process)
    assert (ended.exit_code, ended.error["class"]) == (75, "Unavailable")
    assert "connection" in ended.error["message"]
