"""The PostgreSQL that tests get: with pgvector, a fresh database each, and gone with whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.cluster.waiting import until

OWNER = """
from tests import postgres
with postgres.running() as server:
    print(server.url(), flush=True)
    input()
"""


def test_each_database_is_new_and_knows_vectors(postgres_server: postgres.Server) -> None:
    with postgres_server.database() as first, psycopg.connect(first) as connection:
        connection.execute("CREATE EXTENSION vector")
        assert connection.execute("SELECT '[1,2]'::vector <-> '[1,4]'::vector").fetchone() == (2.0,)
        with postgres_server.database() as second, psycopg.connect(second) as other:
            assert other.execute("SELECT count(*) FROM pg_extension WHERE extname = 'vector'").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)


def test_a_killed_owner_takes_its_server_with_it() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        psycopg.connect(url).close()
        owner.kill()
    until("the server is gone", lambda: not listens(url))


def listens(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        return "refused" not in str(error)  # while it shuts down it still says so
    return True
